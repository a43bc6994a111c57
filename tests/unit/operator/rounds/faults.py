"""Faults as a look at the cluster sees them: the cluster before, and with the fault in it. Times stand still."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from medley_operator.domain.values import labels
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Observation, Snapshot
from medley_operator.domain.values.views import Autoscaler, PodTrouble
from medley_operator.metrics.observe import ServiceQuery
from tests.unit.operator import factories as make
from tests.unit.operator.metrics.fake_prometheus import WINDOW_SECONDS, FakePrometheus
from tests.unit.operator.placing import foreign, nodes, on, settled_placed, with_nodes, with_seen
from tests.unit.operator.placing import service as placed
from tests.unit.operator.rounds.play import ROUND_SECONDS, Round, run, settle

SINCE = "2026-11-24T12:10:00Z"
UNIX = 1_800_000_000.0
ROUTED: dict[str, Any] = {"routing": {"gatewayRef": {"name": "inference"}}}
ON_L4: dict[str, Any] = {"variants": [on("l4", minReplicas=3, maxReplicas=8)]}
See = Callable[[Round], Snapshot]


def nothing() -> Round:
    """No service yet: the fault is there from the start."""
    return run(with_seen(make.snapshot(pools=[make.pool(nodes=None)], nodes=nodes("l4", 3))))


def serving() -> Round:
    """Three replicas on three nodes of four L4, all Ready, behind a route."""
    snapshot = make.snapshot(placed(rate="1", **ON_L4, **ROUTED), pools=[make.pool(nodes=None)], nodes=nodes("l4", 3))
    steady = settled_placed(snapshot)
    assert steady.condition("WorkloadsReady").reason == "AllReady"
    return steady


def pooled() -> Round:
    """The same behind a pool of endpoints, all reports good."""
    spec: dict[str, Any] = {"routing": {"mode": "InferencePool", "gatewayRef": {"name": "inference"}}}
    snapshot = make.snapshot(placed(rate="1", **ON_L4, **spec), pools=[make.pool(nodes=None)], nodes=nodes("l4", 3))
    steady = settled_placed(snapshot)
    assert steady.condition("RoutingReady").reason == "Routed"
    return steady


def cordoned() -> Round:
    """All nodes have been cordoned for a while, and no other takes what stands there."""
    current = serving()
    names = [node.name for node in current.snapshot.nodes]
    for _ in range(2):
        snapshot = with_nodes(moved(current), names, cordoned=True)
        current = run(snapshot, current.memory, steps=current.steps, at_seconds=current.at_seconds + ROUND_SECONDS)
    return current


def elastic() -> Round:
    """Three replicas, Ready, in a pool whose nodes are made as asked."""
    made = make.pool(kind="Elastic", nodes=None)
    return settled_placed(make.snapshot(placed(rate="1", **ON_L4), pools=[made], nodes=nodes("l4", 3)))


def scraped() -> Round:
    """A service that follows its traffic."""
    spec = {"workload": {"source": "Prometheus"}, **ON_L4}
    return settle(make.snapshot(make.service(spec=spec), observations={"llama": make.found(1.0)}))


def moved(earlier: Round) -> Snapshot:
    """The cluster after the round was carried out, ten minutes later."""
    snapshot = make.carried_out(earlier.snapshot, earlier.decision)
    return replace(snapshot, unix_seconds=UNIX, at_seconds=earlier.snapshot.at_seconds + 600.0)


# what becomes of them


def asked(**fields: Any) -> See:
    """A new service of this spec."""
    return lambda earlier: replace(moved(earlier), services=(make.service(spec=fields),))


def looks(**fields: Any) -> See:
    """The cluster as it was, with these fields of the snapshot."""
    return lambda earlier: replace(moved(earlier), **fields)


def prometheus(fake: FakePrometheus) -> See:
    """The metrics as this Prometheus has them, read as the operator reads them."""
    query = ServiceQuery(namespace=make.NAMESPACE, name="llama", window_seconds=WINDOW_SECONDS)

    def see(earlier: Round) -> Snapshot:
        found = asyncio.run(fake.reader().observe([query]))
        return observed(found[query.key])(earlier)

    return see


def observed(found: Observation) -> See:
    return looks(observations={ServiceKey(make.NAMESPACE, "llama"): found})


def pods_with(trouble: PodTrouble, *, waited: float = 200.0) -> See:
    """No pod of the service runs: each has the trouble, for so long."""

    def see(earlier: Round) -> Snapshot:
        snapshot = moved(earlier)
        bound = trouble.reason != "Unschedulable"
        pods = [
            replace(
                pod,
                node=pod.node if bound else "",
                ready=False,
                created_at=UNIX - waited,
                trouble=replace(trouble, since=UNIX - waited),
            )
            for pod in snapshot.pods
        ]
        return _counted(with_seen(snapshot, pods))

    return see


def gated(earlier: Round) -> Snapshot:
    """A scheduling gate, such as Kueue's, holds all pods of the service."""
    snapshot = moved(earlier)
    pods = [replace(pod, node="", ready=False, gated=True, created_at=UNIX - 30.0) for pod in snapshot.pods]
    return _counted(with_seen(snapshot, pods))


def crowded(earlier: Round) -> Snapshot:
    """A new service of two GPUs a replica, and one GPU free on each node."""
    snapshot = asked(variants=[on("l4", 2, minReplicas=1)])(earlier)
    taken = [foreign(f"notebook-{n}", f"l4-{n}", gpus=3) for n in range(3)]
    return with_seen(snapshot, (*snapshot.pods, *taken))


def node_lost(**change: Any) -> See:
    """The first node is changed so, or gone, and its pods are not Ready."""

    def see(earlier: Round) -> Snapshot:
        snapshot = moved(earlier)
        name = min(pod.node for pod in snapshot.pods)
        if change:
            snapshot = with_nodes(snapshot, [name], **change)
        else:
            snapshot = replace(snapshot, nodes=tuple(node for node in snapshot.nodes if node.name != name))
        pods = [replace(pod, ready=pod.ready and pod.node != name) for pod in snapshot.pods]
        return _counted(with_seen(snapshot, pods))

    return see


def _counted(snapshot: Snapshot) -> Snapshot:
    """Deployments count the Ready pods."""
    children = dict(snapshot.children)
    for key, manifest in children.items():
        if key.kind == labels.DEPLOYMENT:
            own = manifest["spec"]["selector"]["matchLabels"].items()
            ready = sum(pod.ready and own <= pod.labels.items() for pod in snapshot.pods)
            children[key] = {**manifest, "status": {**manifest["status"], "readyReplicas": ready}}
    return replace(snapshot, children=children)


def all_nodes(**change: Any) -> See:
    def see(earlier: Round) -> Snapshot:
        snapshot = replace(moved(earlier), services=(placed(rate="1", **ON_L4),))
        return with_nodes(snapshot, [node.name for node in snapshot.nodes], **change)

    return see


def child(kind: str, edit: Callable[[Manifest], object]) -> See:
    """The service's child of that kind, edited by others."""

    def see(earlier: Round) -> Snapshot:
        snapshot = moved(earlier)
        key = min(key for key in snapshot.children if key.kind == kind)
        manifest = copy.deepcopy(snapshot.children[key])
        edit(manifest)
        return replace(snapshot, children={**snapshot.children, key: manifest})

    return see


def refuses_pods(message: str) -> Callable[[Manifest], object]:
    def edit(manifest: Manifest) -> None:
        condition = {"type": "ReplicaFailure", "status": "True", "message": message}
        manifest["status"] |= {"readyReplicas": 0, "conditions": [condition]}

    return edit


def rollout_stalled(manifest: Manifest) -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    manifest["status"]["conditions"] = [condition]


def canary_fails(earlier: Round) -> Snapshot:
    """An image with a typing error: the first replica with it is not Ready."""
    snapshot = replace(moved(earlier), profiles=(make.profile(image="vllm/vllm-openai:v0.32.O"),))
    rolled = run(snapshot, earlier.memory, steps=earlier.steps, at_seconds=earlier.at_seconds + 30.0, now=SINCE)
    assert rolled.applied("Deployment")
    after = make.carried_out(rolled.snapshot, rolled.decision)
    first = after.pods[0]
    trouble = PodTrouble("ErrImagePull", 'manifest for "vllm/vllm-openai:v0.32.O" not found', since=UNIX - 10.0)
    pods = [replace(pod, ready=False, trouble=trouble) if pod == first else pod for pod in after.pods]
    return _counted(with_seen(after, pods))


def resized(earlier: Round) -> Snapshot:
    key = min(key for key in earlier.snapshot.children if key.kind == labels.DEPLOYMENT)
    return replace(moved(earlier), autoscalers={key: Autoscaler(resources="VerticalPodAutoscaler demo/mine")})


def autoscaled(earlier: Round) -> Snapshot:
    key = min(key for key in earlier.snapshot.children if key.kind == labels.DEPLOYMENT)
    return replace(moved(earlier), autoscalers={key: Autoscaler(replicas="HorizontalPodAutoscaler demo/mine")})


def contended() -> Round:
    """A policy has changed the image back five times."""
    current = serving()
    for _ in range(5):
        current = run(
            with_image(current), current.memory, steps=current.steps, at_seconds=current.at_seconds + ROUND_SECONDS
        )
        assert current.applied("Deployment")
    return current


def with_image(earlier: Round) -> Snapshot:
    """The image is changed again."""
    snapshot = moved(earlier)
    key = min(key for key in snapshot.children if key.kind == labels.DEPLOYMENT)
    manifest = copy.deepcopy(snapshot.children[key])
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.example.com/vllm:v0.32.0"
    return replace(snapshot, children={**snapshot.children, key: manifest})


def taken_name(kind: str) -> See:
    """Another's object has the name that the service's needs."""

    def see(earlier: Round) -> Snapshot:
        fresh = replace(moved(earlier), services=(placed(rate="1", **ON_L4),))
        wanted = run(fresh).decision.applies
        taken = min(
            (each.manifest for each in wanted if each.manifest["kind"] == kind),
            key=lambda it: len(it["metadata"]["name"]),
        )
        metadata = {"namespace": make.NAMESPACE, "name": taken["metadata"]["name"], "uid": "uid-of-another"}
        metadata["labels"] = {labels.MANAGED_BY: labels.MANAGED_BY_VALUE}
        theirs = {**{name: taken[name] for name in ("apiVersion", "kind", "spec")}, "metadata": metadata}
        return replace(fresh, children={ObjectKey(kind, make.NAMESPACE, metadata["name"]): theirs})

    return see


FAULT = "boom \x1b[31m\nat 0x7f0000001234"


def raising(function: Callable[..., Any], *, about: Collection[str]) -> Callable[..., Any]:
    """`function`, raising where an argument is of an object of those names."""

    def names(value: object) -> set[object]:
        for holder in (value, *(getattr(value, part, None) for part in ("candidate", "service", "pool", "profile"))):
            metadata = getattr(holder, "metadata", None) or getattr(getattr(holder, "service", None), "metadata", None)
            if metadata is not None:
                return {metadata.name}
        return set()

    def call(*given: Any, **named: Any) -> Any:
        if any(names(each) & set(about) for each in (*given, *named.values())):
            raise RuntimeError(FAULT)
        return function(*given, **named)

    return call
