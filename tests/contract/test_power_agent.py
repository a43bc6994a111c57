"""The node agent as a process, with the chart's rights, on a real API server and the unmodified NVML binding: what is
ordered is in the boards' registers, and nothing is un-capped when the controller, the agent or the driver goes."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.controlplane import ControlPlane
from e2e.controlplane.plane import free_port
from medley_operator.api.v1alpha1 import API_VERSION
from medley_planner.power import CHANGE_SECONDS
from tests.contract.apiserver import Api, Json
from tests.contract.operator_process import NAMESPACE, denied, wait_for
from tests.nvml.agent import running_agent
from tests.nvml.registers import BoardModel, FakeRegisters, NoCompilerError, build

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
CAPS = "/apis/medley.dev/v1alpha1/nodepowercaps"
NODE, OTHER = "gpu-node-1", "gpu-node-2"
ACCOUNT = "medley-agent"
LIMITS = {"clockFraction": "0.787", "capWatts": 300}
SAFE = {"clockFraction": "0.5", "capWatts": 200}
BOARDS = [
    BoardModel("GPU-a"),
    BoardModel("GPU-b"),
    BoardModel("GPU-mig", mig=True),
    BoardModel("GPU-consumer", "GeForce", clocks_mhz=(0, 0, 0), has_limit=False),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    try:
        return build(tmp_path_factory.mktemp("nvml"))
    except NoCompilerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cluster(admin: Api) -> Api:
    """The CRDs, the chart's agent but for its DaemonSet, two nodes, and a pod of the agent on each."""
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    admin.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/nodepowercaps.medley.dev")
    admin.kubectl("create", "namespace", NAMESPACE)
    values = ("--set", "image.repository=example/medley", "--set", "powerAgent.enabled=true")
    manifests = admin.helm(
        "template", "medley", str(ROOT / "helm" / "medley"), "-n", NAMESPACE, *values, "-s", "templates/agent.yaml"
    )
    admin.kubectl("apply", "-f", "-", stdin=manifests)
    for node in (NODE, OTHER):
        assert admin.request("POST", "/api/v1/nodes", {"metadata": {"name": node}})[0] == 201
        assert admin.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", agent_pod(node))[0] == 201
    return admin


def agent_pod(node: str) -> Json:
    container = {"name": "agent", "image": "example/medley"}
    spec = {"nodeName": node, "serviceAccountName": ACCOUNT, "containers": [container]}
    return {"metadata": {"name": f"agent-on-{node}"}, "spec": spec}


@pytest.fixture(scope="module")
def kubeconfig(cluster: Api, plane: ControlPlane) -> Path:
    return plane.service_account_kubeconfig(NAMESPACE, ACCOUNT, pod=f"agent-on-{NODE}")


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Node:
    """The node's caps as a controller writes them, its boards, and its agent."""

    api: Api
    registers: FakeRegisters
    start: Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]
    port: int
    log: Path
    revision: int = 0

    def order(self, *, lease_seconds: int = 60, **changes: Any) -> float:
        """Writes the spec; returns the Unix time at which its lease is over."""
        self.revision += 1
        others = {"limit": LIMITS, "safe": SAFE} | changes.pop("others", {})
        renewed = now_text()
        lease = {"holder": "test", "renewTime": renewed, "durationSeconds": lease_seconds}
        spec = {"revision": self.revision, "lease": lease, "others": others} | changes
        body = {"apiVersion": API_VERSION, "kind": "NodePowerCap", "metadata": {"name": NODE}, "spec": spec}
        code, answer = self.api.apply(f"{CAPS}/{NODE}?fieldManager=test&force=true", body)
        assert code in (200, 201), answer
        return datetime.fromisoformat(renewed).timestamp() + lease_seconds

    def renew(self) -> None:
        self.api.merge(f"{CAPS}/{NODE}", {"spec": {"lease": {"renewTime": now_text()}}})

    def status(self) -> Json:
        found: Json = self.api.request("GET", f"{CAPS}/{NODE}")[1].get("status") or {}
        return found

    def gpu(self, uuid: str) -> Json:
        return next((gpu for gpu in self.status().get("gpus", []) if gpu["uuid"] == uuid), {})

    def limits(self, index: int = 0) -> tuple[int, int]:
        """(watts, MHz) of a board's registers; 0 MHz: not locked."""
        return self.registers[index].limit_mw // 1000, self.registers[index].locked_mhz

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        wait_for(f"{what}; status {self.status()}; log {self.log.read_text()}", holds, timeout_seconds=60.0)

    def wait_for_revision(self) -> None:
        """The agent has answered the last order, so what it ordered is done."""
        self.wait("the revision is observed", lambda: self.status().get("observedRevision") == self.revision)


def asked(kubeconfig: Path, method: str, path: str, body: Json | None = None) -> int:
    """HTTP status of one request by the owner of that kubeconfig."""
    config = json.loads(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    headers = {"Authorization": f"Bearer {user['token']}", "Content-Type": "application/merge-patch+json"}
    context = ssl.create_default_context(cadata=authority)
    url = cluster["server"] + path
    with httpx.Client(headers=headers, verify=context, trust_env=False, timeout=10) as client:
        return client.request(method, url, json=body).status_code


def patched(kubeconfig: Path, body: Json, *, subresource: str = "/status") -> int:
    return asked(kubeconfig, "PATCH", f"{CAPS}/{NODE}{subresource}", body)


def audited(plane: ControlPlane, since: float, verb: str) -> int:
    """How many requests of that kind the agent made."""
    events = plane.audit_events(since=since)
    return sum(ACCOUNT in event["user"]["username"] and event["verb"] == verb for event in events)


@pytest.fixture
def node(cluster: Api, kubeconfig: Path, library: dict[str, str], tmp_path: Path) -> Iterator[Node]:
    port, log = free_port(), tmp_path / "agent.log"
    with FakeRegisters(tmp_path / "registers", BOARDS) as registers:
        start = partial(running_agent, kubeconfig, NODE, registers, library, log, port=port)
        log.touch()
        yield Node(cluster, registers, start, port, log)
    cluster.request("DELETE", f"{CAPS}/{NODE}")


def test_orders_are_in_the_registers_and_the_status_says_what_is_in_force(node: Node) -> None:
    node.registers[1].outside_mw = 250_000
    node.order(gpus=[{"uuid": "GPU-a", "limit": {"capWatts": 350}, "safe": SAFE}])
    with node.start():
        node.wait_for_revision()
        assert [node.limits(index) for index in range(4)] == [(350, 0), (300, 1110), (300, 1110), (400, 0)]
        status = node.status()
        assert (status["state"], status["cappedGpus"]) == ("Enforcing", 3)
        states = {gpu["uuid"]: gpu["state"] for gpu in status["gpus"]}
        assert states == {"GPU-a": "Ok", "GPU-b": "Limited", "GPU-mig": "Ok", "GPU-consumer": "NotSupported"}
        limited = node.gpu("GPU-b")
        assert (limited["requestedWatts"], limited["enforcedWatts"], limited["enforcedClockMhz"]) == (300, 250, 1110)
        assert (limited["minCapWatts"], limited["maxCapWatts"], limited["defaultCapWatts"]) == (100, 400, 400)
        assert node.gpu("GPU-mig")["mig"]
        node.order(others={"limit": {"capWatts": 150}}, gpus=[])
        node.wait("the next order is in force", lambda: node.limits(2)[0] == 150)
        metrics = httpx.get(f"http://127.0.0.1:{node.port}/metrics", trust_env=False).text
        assert 'medley_agent_gpu_limit_watts{gpu="GPU-mig"} 150.0' in metrics
        assert 'medley_agent_state{state="Enforcing"} 1.0' in metrics


def test_without_the_controller_the_safe_limits_are_in_force(node: Node) -> None:
    with node.start():
        node.order()
        node.wait_for_revision()
        assert node.limits() == (300, 1110)
        node.order(lease_seconds=6)
        node.wait("the safe limits are in force", lambda: node.limits() == (200, 705))
        node.wait("the status says so", lambda: node.status()["state"] == "Safe")
        assert "test last renewed the lease of 6 s" in node.status()["message"]
        time.sleep(CHANGE_SECONDS + 2.0)
        assert node.limits() == (200, 705), "nothing is un-capped on lost control"
        node.order()
        node.wait("the controller is back", lambda: node.limits() == (300, 1110))


def test_an_agent_that_is_killed_leaves_the_limits_and_comes_back_to_the_safe_ones(node: Node) -> None:
    with node.start() as agent:
        node.order()
        node.wait_for_revision()
        agent.kill()
        agent.wait()
    ends = node.order(lease_seconds=5)
    time.sleep(ends + 2.0 - time.time())
    assert node.limits() == (300, 1110)
    with node.start() as agent:
        node.wait("the lease was over meanwhile", lambda: node.limits() == (200, 705))
        agent.terminate()
        assert agent.wait(10) == 0
    assert node.limits() == (200, 705), "an agent that ends leaves the limits"


def test_a_reloaded_driver_gets_the_limits_again_and_a_lost_gpu_is_reported(node: Node) -> None:
    with node.start():
        node.order()
        node.wait_for_revision()
        node.registers.reload()
        node.wait("the limits are set again", lambda: node.limits() == (300, 1110))
        node.registers[0].fault = 15
        node.wait("the GPU is lost", lambda: node.gpu("GPU-a").get("state") == "Lost")
        condition = node.status()["conditions"][0]
        assert (condition["type"], condition["status"], condition["reason"]) == ("Enforced", "False", "GpusNotHeld")
        node.registers[0].fault, node.registers[0].limit_mw, node.registers[0].locked_mhz = 0, 400_000, 0
        node.wait("the GPU is back with its limits", lambda: node.limits() == (300, 1110))
        node.wait("it is well", lambda: node.gpu("GPU-a")["state"] == "Ok")
        node.registers[0].write_fault = 4
        node.order(others={"limit": {"capWatts": 250}})
        node.wait("it is not permitted", lambda: node.gpu("GPU-a")["state"] == "NoPermission")
        node.wait("another GPU is not held up", lambda: node.limits(1)[0] == 250)


def test_only_a_release_restores_the_defaults(node: Node) -> None:
    with node.start():
        node.order()
        node.wait_for_revision()
        node.api.request("DELETE", f"{CAPS}/{NODE}")
        time.sleep(2.0)
        assert node.limits() == (300, 1110)
        node.order(mode="Shadow")
        node.wait("the agent only watches", lambda: node.status().get("state") == "Shadow")
        assert node.limits() == (300, 1110)
        node.order(mode="Release", lease_seconds=5)
        node.wait("the defaults are restored", lambda: node.limits() == (400, 0))
        node.wait("the status says so", lambda: node.status()["state"] == "Released")


def test_a_hung_driver_of_one_gpu_holds_up_no_other(node: Node) -> None:
    with node.start():
        node.order(others={"limit": {"capWatts": 350}})
        node.wait_for_revision()
        node.registers[0].delay_ms = 20_000
        node.order()
        node.wait("the other GPU is held", lambda: node.limits(1) == (300, 1110))
        node.wait("the first is reported", lambda: node.gpu("GPU-a").get("state") == "Failed")
        node.registers[0].delay_ms = 0


def test_an_agent_may_write_the_status_of_its_own_node_alone(node: Node, plane: ControlPlane, kubeconfig: Path) -> None:
    node.order()
    own = Path(kubeconfig)
    other = plane.service_account_kubeconfig(NAMESPACE, ACCOUNT, pod=f"agent-on-{OTHER}")
    unbound = plane.service_account_kubeconfig(NAMESPACE, ACCOUNT)
    status = {"status": {"message": "written by hand"}}
    assert patched(own, status) == 200
    assert patched(other, status) == 403
    assert patched(unbound, status) == 403
    assert patched(own, {"spec": {"mode": "Release"}}, subresource="") == 403
    assert asked(own, "GET", CAPS) == 200
    forbidden = ["/api/v1/nodes", "/api/v1/pods", "/api/v1/secrets", "/apis/medley.dev/v1alpha1/powerdomains"]
    assert [asked(own, "GET", path) for path in forbidden] == [403] * len(forbidden)
    assert asked(own, "DELETE", f"{CAPS}/{NODE}") == 403


def test_the_agent_asks_for_nothing_that_it_may_not_do(node: Node, plane: ControlPlane) -> None:
    began = time.time()
    with node.start():
        node.order()
        node.wait("the status is in the audit log", lambda: audited(plane, began, "patch") > 0)
        for _ in range(5):
            time.sleep(1.0)
            node.renew()
        time.sleep(1.0)
        assert audited(plane, began, "patch") == 1, "a renewal is no reason to write"
    events = [event for event in plane.audit_events(since=began) if ACCOUNT in event["user"]["username"]]
    assert denied(events) == []
    assert {event["verb"] for event in events} == {"list", "watch", "patch"}
