"""Faults that are not in a request: the line, the control plane's processes, nodes, other people's pods and edits.

Each is called right after the step in which it strikes, and returns when the fault is over.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from typing import Any

import httpx

from e2e.chaos.proxy import Line
from e2e.chaos.run import Act
from e2e.chaos.scenario import NAME, POOLS
from e2e.chaos.world import OURS, OWN_API, World
from e2e.controlplane import processes
from e2e.controlplane.errors import CommandFailed

MERGE = "application/merge-patch+json"
_START_SECONDS = 60.0


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
        agent = world.proxy.writes[-1].call.agent
        leader = next(child for child in world.operators if f"({child.name})" in agent)
        before = len(world.proxy.writes)
        leader.process.send_signal(signal.SIGSTOP)
        world.pause(seconds)
        leader.process.send_signal(signal.SIGCONT)
        if all(write.call.agent == agent for write in world.proxy.writes[before:]):
            raise AssertionError(f"nobody took over from {leader.name} within {seconds:g} s")

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


def adversary(seconds: float, *, seed: int, pause_seconds: float = 1.5) -> Act:
    """Somebody scales, edits, labels and deletes what is ours. Each field is changed too rarely to be left to them."""

    def act(world: World, namespace: str) -> None:
        chance = random.Random(seed)  # noqa: S311 - the same each time, on purpose
        moves: list[Callable[[World, str, random.Random], None]] = [_scale, _label, _delete, _weights, _selector] * 3
        chance.shuffle(moves)
        for move in moves[: round(seconds / pause_seconds)]:
            try:
                move(world, namespace, chance)
            except (CommandFailed, IndexError):
                # What it wanted to change has just gone.
                continue
            finally:
                world.pause(pause_seconds)

    return act


def _pick(world: World, path: str, chance: random.Random) -> str:
    found = world.items(f"{path}?labelSelector={OURS}")
    owned = [item["metadata"]["name"] for item in found if item["metadata"].get("ownerReferences")]
    return f"{path}/{chance.choice(owned)}"


def _deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def _scale(world: World, namespace: str, chance: random.Random) -> None:
    path = _pick(world, _deployments(namespace), chance)
    world.plane.request("PATCH", path, {"spec": {"replicas": chance.choice((0, 1, 20))}}, content_type=MERGE)


def _label(world: World, namespace: str, chance: random.Random) -> None:
    path = _pick(world, _deployments(namespace), chance)
    name = chance.choice(
        ("app.kubernetes.io/managed-by", "medley.dev/service", "medley.dev/variant", "medley.dev/pool")
    )
    world.plane.request("PATCH", path, {"metadata": {"labels": {name: "theirs"}}}, content_type=MERGE)


def _delete(world: World, namespace: str, chance: random.Random) -> None:
    kinds = (
        _deployments(namespace),
        f"/api/v1/namespaces/{namespace}/services",
        f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes",
    )
    world.plane.request("DELETE", _pick(world, chance.choice(kinds), chance))


def _weights(world: World, namespace: str, chance: random.Random) -> None:
    path = _pick(world, f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes", chance)
    rules = world.plane.request("GET", path)["spec"]["rules"]
    for backend in rules[0]["backendRefs"]:
        backend["weight"] = chance.randrange(1000)
    world.plane.request("PATCH", path, {"spec": {"rules": rules}}, content_type=MERGE)


def _selector(world: World, namespace: str, chance: random.Random) -> None:
    path = _pick(world, f"/api/v1/namespaces/{namespace}/services", chance)
    world.plane.request("PATCH", path, {"spec": {"selector": {"app": "theirs"}}}, content_type=MERGE)
