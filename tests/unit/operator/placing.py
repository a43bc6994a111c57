"""A scheduler for tests: pods of Deployments get nodes, and stay there, as in a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medley_operator.domain.cluster.node_shares import may_start
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest, Snapshot
from medley_operator.domain.values.views import NodeView, PodView
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import ROUND_SECONDS, Round, plain, run

GPU = "nvidia.com/gpu"


def service(name: str = "llama", *, rate: str = "40", **spec: Any) -> Any:
    load = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": rate}}
    return make.service(name, spec={"workload": load, **spec})


def on(pool: str, degree: int = 1, **fields: Any) -> dict[str, Any]:
    return {"poolRef": pool, "tensorParallel": degree, **fields}


def applied(done: Round) -> dict[str, int]:
    """Replicas of all Deployments after the round."""
    children = make.carried_out(done.snapshot, done.decision).children
    return {plain(key.name): each["spec"]["replicas"] for key, each in children.items() if key.kind == "Deployment"}


def with_seen(snapshot: Snapshot, pods: Iterable[PodView] = ()) -> Snapshot:
    """The snapshot where these are all pods."""
    unreadable = {kind: why for kind, why in snapshot.unreadable.items() if kind != labels.POD}
    return replace(snapshot, pods=tuple(pods), unreadable=unreadable)


def without_pods(snapshot: Snapshot) -> Snapshot:
    """The snapshot where pods cannot be listed."""
    return replace(snapshot, pods=(), unreadable={**snapshot.unreadable, labels.POD: "pods are forbidden"})


def nodes(pool: str, count: int, *, gpus: int = 4, **fields: Any) -> list[NodeView]:
    return [replace(make.node(f"{pool}-{index}", pool_name=pool, gpus=gpus), **fields) for index in range(count)]


def foreign(name: str, node: str, *, gpus: int = 1, **fields: Any) -> PodView:
    """A pod that is not ours, such as a notebook."""
    given = {"namespace": "lab", "name": name, "uid": f"uid-{name}", "gpus": {GPU: gpus}, "node": node, **fields}
    return PodView(**given)


def pod(name: str, node: str, *, deployment: Manifest, **fields: Any) -> PodView:
    """A pod of a Deployment."""
    template = deployment["spec"]["template"]
    limits = template["spec"]["containers"][0]["resources"]["limits"]
    given: dict[str, Any] = {
        "namespace": deployment["metadata"]["namespace"],
        "name": name,
        "uid": f"uid-{name}",
        "gpus": {resource: int(count) for resource, count in limits.items() if "/" in resource},
        "node": node,
        "controller": ("ReplicaSet", f"uid-rs-{deployment['metadata']['name']}"),
        "labels": template["metadata"]["labels"],
        "ready": bool(node),
        **fields,
    }
    return PodView(**given)


def scheduled(snapshot: Snapshot, *, spread: bool = False) -> Snapshot:
    """The cluster after its Deployments made or removed their pods. Pods that no node takes are Pending and not Ready.

    New pods go to the node with the fewest GPUs left that holds them, or with the most where they `spread`.
    """
    kept = [each for each in snapshot.pods if labels.MANAGED_BY not in each.labels or each.terminating]
    children = dict(snapshot.children)
    for key, manifest in sorted(children.items()):
        if manifest["kind"] != labels.DEPLOYMENT:
            continue
        running = [each for each in snapshot.pods if _is_of(each, manifest) and not each.terminating]
        # As a ReplicaSet keeps them: those that have a node, are Ready, and cost most to delete.
        running.sort(key=lambda each: (not each.node, not each.ready, -each.deletion_cost, each.name))
        made = running[: manifest["spec"]["replicas"]]
        numbers = (n for n in range(10_000) if f"{key.name}-{n}" not in {each.name for each in running})
        made += [
            pod(f"{key.name}-{next(numbers)}", "", deployment=manifest)
            for _ in range(manifest["spec"]["replicas"] - len(made))
        ]
        kept += made
        children[key] = manifest
    pods: list[PodView] = [each for each in kept if each.node]
    for each in sorted(
        (each for each in kept if not each.node), key=lambda each: (-sum(each.gpus.values()), each.name)
    ):
        pods.append(_placed(each, snapshot, pods, spread=spread))
    for key, manifest in children.items():
        if manifest["kind"] == labels.DEPLOYMENT:
            ready = sum(1 for each in pods if _is_of(each, manifest) and each.ready and not each.terminating)
            children[key] = {**manifest, "status": {**manifest.get("status", {}), "readyReplicas": ready}}
    return with_seen(replace(snapshot, children=children), pods)


def _is_of(each: PodView, deployment: Manifest) -> bool:
    wanted: Mapping[str, str] = deployment["spec"]["selector"]["matchLabels"]
    same = each.namespace == deployment["metadata"]["namespace"]
    return same and all(each.labels.get(key) == value for key, value in wanted.items())


def _placed(each: PodView, snapshot: Snapshot, pods: Sequence[PodView], *, spread: bool) -> PodView:
    pool = next(pool for pool in snapshot.pools if pool.metadata.name == each.labels[labels.POOL])
    resource, gpus = pool.spec.resource_name, each.gpus[pool.spec.resource_name]
    free: dict[str, int] = {}
    for node in snapshot.nodes:
        if may_start(pool, node) and pool.spec.node_selector.items() <= node.labels.items():
            held = sum(other.gpus.get(resource, 0) for other in pods if other.node == node.name)
            free[node.name] = node.allocatable.get(resource, 0) - held
    fitting = sorted((name for name, left in free.items() if left >= gpus), key=lambda name: free[name])
    if not fitting:
        return replace(each, node="", ready=False)
    return replace(each, node=fitting[-1 if spread else 0], ready=True)


def follow_placed(
    earlier: Round, change: Callable[[Snapshot], Snapshot] | None = None, *, spread: bool = False
) -> Round:
    """The next round, after the earlier one was carried out, `change` was made, and pods were scheduled."""
    snapshot = make.carried_out(earlier.snapshot, earlier.decision)
    snapshot = scheduled(change(snapshot) if change is not None else snapshot, spread=spread)
    at_seconds = earlier.at_seconds + ROUND_SECONDS
    return run(snapshot, earlier.memory, steps=earlier.steps, at_seconds=at_seconds)


def settled_placed(snapshot: Snapshot, *, spread: bool = False) -> Round:
    """Rounds until no child is written any more."""
    current = run(with_seen(snapshot, snapshot.pods))
    for _ in range(10):
        current = follow_placed(current, spread=spread)
        if not (current.decision.applies or current.decision.deletes):
            return current
    raise AssertionError(f"still writing: {current.decision.applies}")


def with_pods(snapshot: Snapshot, *pods: PodView) -> Snapshot:
    return with_seen(snapshot, (*snapshot.pods, *pods))


def with_nodes(snapshot: Snapshot, names: Iterable[str], **fields: Any) -> Snapshot:
    """The snapshot with those nodes changed."""
    changed = frozenset(names)
    found = tuple(replace(node, **fields) if node.name in changed else node for node in snapshot.nodes)
    return replace(snapshot, nodes=found)
