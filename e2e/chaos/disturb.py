"""Faults that are not in a request: the line, the control plane's processes, nodes, other people's pods and edits.

Each is called right after the step in which it strikes, and returns when the fault is over.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from typing import Any

import httpx

from e2e.chaos.oracle import late_writes
from e2e.chaos.proxy import Line
from e2e.chaos.run import Act, prepare, take
from e2e.chaos.scenario import GROW, NAME, POOLS
from e2e.chaos.world import MERGE, OWN_API, World
from e2e.controlplane import processes
from e2e.controlplane.errors import CommandFailed

REFUSAL = "no routes today"
_START_SECONDS = 60.0
_THAW_SECONDS = 5.0
_ADMISSION = "/apis/admissionregistration.k8s.io/v1/validatingadmission"


def partition(seconds: float, *, line: Line = Line.CUT) -> Act:
    def act(world: World, _namespace: str) -> None:
        world.proxy.line = line
        world.pause(seconds)
        world.proxy.line = Line.OPEN

    return act


def restart(*names: str, away_seconds: float, compact: bool = False) -> Act:
    """Processes of the control plane end by SIGKILL and start again with the same arguments."""

    def act(world: World, _namespace: str) -> None:
        if compact:
            _compact(world)
        ended = [world.plane.child(name) for name in names]
        for child in ended:
            child.stop(grace_seconds=0)
        world.pause(away_seconds)
        for child in reversed(ended):
            argv = [str(part) for part in child.process.args]  # type: ignore[union-attr]
            world.plane.children.append(processes.start(child.name, argv, logs=world.plane.logs_dir))
        world.wait("the API server is back", lambda: _answers(world), timeout_seconds=_START_SECONDS)

    return act


def forgets(seconds: float) -> Act:
    """All of etcd's history goes but the present, a while after the step has begun."""

    def act(world: World, _namespace: str) -> None:
        world.pause(seconds)
        _compact(world)

    return act


def _compact(world: World) -> None:
    """All of etcd's history goes but the present."""
    args = [str(part) for part in world.plane.child("etcd").process.args]  # type: ignore[union-attr]
    url = next(each.partition("=")[2] for each in args if each.startswith("--listen-client-urls="))
    with httpx.Client(base_url=url, trust_env=False) as etcd:
        revision = etcd.post("/v3/maintenance/status", json={}).raise_for_status().json()["header"]["revision"]
        etcd.post("/v3/kv/compaction", json={"revision": revision, "physical": True}).raise_for_status()


def _answers(world: World) -> bool:
    try:
        world.plane.request("GET", "/readyz")
    except (OSError, CommandFailed):
        return False
    return True


def freeze_leader(seconds: float) -> Act:
    """SIGSTOP to the operator that wrote last, and SIGCONT when another has long taken over."""

    def act(world: World, _namespace: str) -> None:
        world.pause(0.3)
        since = time.time()
        agent = world.proxy.writes[-1].call.agent
        leader = next(child for child in world.operators if f"({child.name})" in agent)
        before = len(world.proxy.writes)
        leader.process.send_signal(signal.SIGSTOP)
        world.pause(seconds)
        leader.process.send_signal(signal.SIGCONT)
        if all(write.call.agent == agent for write in world.proxy.writes[before:]):
            raise AssertionError(f"nobody took over from {leader.name} within {seconds:g} s")
        # It thaws in the middle of what it was doing: time for whatever it would still write.
        world.pause(_THAW_SECONDS)
        wrong = late_writes(world.plane.audit_events(since=since), agent)
        if wrong:
            raise AssertionError(f"{leader.name} wrote after it had lost the Lease: {', '.join(wrong)}")

    return act


def cordon(seconds: float, *, node: str = "l4-0") -> Act:
    return _for_a_while(node, {"unschedulable": True}, {"unschedulable": None}, seconds)


def taint(seconds: float, *, node: str = "l4-0", effect: str = "NoSchedule") -> Act:
    taints = [{"key": "maintenance", "value": "now", "effect": effect}]
    return _for_a_while(node, {"taints": taints}, {"taints": None}, seconds)


def _for_a_while(node: str, during: dict[str, Any], after: dict[str, Any], seconds: float) -> Act:
    def act(world: World, _namespace: str) -> None:
        path = f"/api/v1/nodes/{node}"
        world.plane.request("PATCH", path, {"spec": during}, content_type=MERGE)
        world.pause(seconds)
        world.plane.request("PATCH", path, {"spec": after}, content_type=MERGE)

    return act


def node_gone(seconds: float, *, pool: str = "l4", index: int = 2) -> Act:
    def act(world: World, _namespace: str) -> None:
        world.plane.request("DELETE", f"/api/v1/nodes/{pool}-{index}")
        world.pause(seconds)
        world.add_node(pool, index)

    return act


def foreign_pods(seconds: float, *, pool: str = "l4", gpus: int = 4) -> Act:
    """Pods of others take GPUs of a pool's nodes, and go again."""

    def act(world: World, _namespace: str) -> None:
        gpu = next(each.gpu for each in POOLS if each.name == pool)
        path = "/api/v1/namespaces/default/pods"
        for number in range(gpus):
            world.plane.request("POST", path, _foreign_pod(f"theirs-{number}", gpu))
        world.pause(seconds)
        for number in range(gpus):
            world.plane.request("DELETE", f"{path}/theirs-{number}?gracePeriodSeconds=0")

    return act


def _foreign_pod(name: str, gpu: str) -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": "1"}}
    container = {"name": "main", "image": "theirs", "resources": resources}
    spec = {"nodeSelector": {"medley.dev/gpu": gpu}, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def finalizer(seconds: float) -> Act:
    """A finalizer of others holds the service for a while after it is deleted."""

    def act(world: World, namespace: str) -> None:
        path = f"{OWN_API}/namespaces/{namespace}/llmservices/{NAME}"
        world.plane.request("PATCH", path, {"metadata": {"finalizers": ["example.org/held"]}}, content_type=MERGE)
        world.plane.request("DELETE", path)
        world.pause(seconds)
        world.plane.request("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)

    return act


def gpus_lost(seconds: float, *, left: int, nodes: Sequence[str] = ("l4-0",)) -> Act:
    """Nodes have only `left` GPUs to give for a while, as when a device plugin takes them for broken."""

    def act(world: World, _namespace: str) -> None:
        paths = [f"/api/v1/nodes/{node}/status" for node in nodes]
        had = [world.plane.request("GET", path)["status"]["allocatable"]["nvidia.com/gpu"] for path in paths]
        for path in paths:
            _allocatable(world, path, str(left))
        world.pause(seconds)
        for path, gpus in zip(paths, had, strict=True):
            _allocatable(world, path, gpus)

    return act


def _allocatable(world: World, path: str, gpus: str) -> None:
    body = {"status": {"allocatable": {"nvidia.com/gpu": gpus}}}
    found = world.plane.request("PATCH", path, body, content_type=MERGE)["status"]["allocatable"]["nvidia.com/gpu"]
    assert found == gpus, f"{path} has {found} GPUs and not {gpus}: something else sets them"


def refused_routes(seconds: float) -> Act:
    """A policy of the platform refuses HTTPRoutes of the namespace for a while; the service must say so."""

    def act(world: World, namespace: str) -> None:
        rule = {"apiGroups": ["gateway.networking.k8s.io"], "apiVersions": ["*"], "resources": ["httproutes"]}
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": selector,
                "resourceRules": [rule | {"operations": ["CREATE", "UPDATE"]}],
            },
            "validations": [{"expression": "false", "message": REFUSAL}],
        }
        bound = {"policyName": namespace, "validationActions": ["Deny"]}
        for plural, body in (("policies", spec), ("policybindings", bound)):
            world.plane.request("POST", f"{_ADMISSION}{plural}", {"metadata": {"name": namespace}, "spec": body})
        try:
            world.wait("RoutingReady tells", lambda: _says_refusal(world, namespace), timeout_seconds=seconds)
            world.pause(seconds / 2)
        finally:
            for plural in ("policybindings", "policies"):
                world.plane.request("DELETE", f"{_ADMISSION}{plural}/{namespace}")

    return act


def _says_refusal(world: World, namespace: str) -> bool:
    status = world.plane.request("GET", f"{OWN_API}/namespaces/{namespace}/llmservices/{NAME}").get("status") or {}
    return any(
        each["type"] == "RoutingReady" and each["status"] == "False" and REFUSAL in each["message"]
        for each in status.get("conditions") or []
    )


def namespace_ends(world: World, namespace: str) -> None:
    """The namespace is deleted with all that is in it, and made again with the same service."""
    world.judge.begin(namespace, None)
    path = f"/api/v1/namespaces/{namespace}"
    world.plane.request("DELETE", path)
    world.wait("the namespace is gone", lambda: world.find(path) is None, timeout_seconds=_START_SECONDS)
    prepare(world, namespace)
    take(world, namespace, GROW)
    world.judge.begin(namespace, GROW.rate_rps)
