"""How far the quota of a pool's queue (Kueue) and the limits of its NodePools (Karpenter) let its stock grow. Pure.

Neither takes a pod that runs: they bound what more may start, and what replicas ask for already counts as theirs, so
that a plan does not shrink while Kueue has admitted a pod that has no node yet, or while a node is being made for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from medley_operator.api.v1alpha1 import CapacityType, GPUPool
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import ActuatorView
from medley_operator.domain.values.stock import NodeStock, PoolStock, StockLimit, Workload
from medley_operator.domain.values.supply import CLUSTER_QUEUE, NODE_POOL, FlavorQuota, NodePoolView, QueueView
from medley_operator.domain.values.views import NodeView

NODE_POOL_LABEL = "karpenter.sh/nodepool"
NODES = "nodes"
MOST_NODES = 1000
"""Nodes that a NodePool may still make and that are counted one by one; more than these bind no plan."""


def limited(stock: Mapping[str, PoolStock], view: ActuatorView, workloads: Sequence[Workload]) -> dict[str, PoolStock]:
    """The stock of each pool, by name, within these limits. `workloads` as the ledger has them, with what is placed."""
    pools = sorted(view.pools, key=lambda pool: pool.metadata.name)
    found = {pool.metadata.name: _within_node_pools(pool, stock[pool.metadata.name], view) for pool in pools}
    queues = view.supply.queues
    if queues is None:
        return found
    sharing: dict[tuple[str, str, str], list[GPUPool]] = {}
    for pool in pools:
        if pool.spec.queue is not None:
            queue = pool.spec.queue
            key = (queue.cluster_queue_name, queue.flavor or "", pool.spec.resource_name)
            sharing.setdefault(key, []).append(pool)
    asked = _asked(view, workloads)
    for (name, flavor, resource), group in sharing.items():
        found.update(_within_queue(group, found, queues, (name, flavor, resource), asked))
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    """GPUs that replicas of a pool ask for and that have no place: all of them, and those of pods that no gate holds
    back any more."""

    gpus: int = 0
    admitted: int = 0


def _asked(view: ActuatorView, workloads: Iterable[Workload]) -> dict[str, _Asked]:
    """Replicas without a place, by pool. Labels alone make no pod ours: no more are admitted than our Deployments ask
    for."""
    resources = {pool.metadata.name: pool.spec.resource_name for pool in view.pools}
    lacking: Counter[str] = Counter()
    for each in workloads:
        lacking[each.pool] += max(each.replicas - each.placed, 0) * each.gpus
    admitted: Counter[str] = Counter()
    for pod in view.pods:
        if labels.managed(pod.labels) and not (pod.place or pod.gated or pod.ended or pod.terminating):
            name = pod.labels.get(labels.POOL, "")
            admitted[name] += pod.gpus.get(resources.get(name, ""), 0)
    return {name: _Asked(gpus, min(admitted[name], gpus)) for name, gpus in lacking.items()}


def _within_queue(
    pools: Sequence[GPUPool],
    stock: Mapping[str, PoolStock],
    queues: Mapping[str, QueueView],
    of: tuple[str, str, str],
    asked: Mapping[str, _Asked],
) -> dict[str, PoolStock]:
    """Pools that share a quota. What their replicas ask for goes first, and the rest to the first pool by name that has
    room for it: Kueue would let pods wait for ever that are planned on the same quota twice."""
    name, flavor, resource = of
    queue = queues.get(name)
    held = {each.metadata.name: _held_gpus(stock[each.metadata.name]) for each in pools}
    waiting = {each.metadata.name: asked.get(each.metadata.name, _Asked()) for each in pools}
    left = 0
    if queue is not None and not queue.stopped:
        own = sum(held.values()) + sum(each.admitted for each in waiting.values())
        left = max(_quota_left(queue, queues.values(), flavor, resource, own=own) - sum(held.values()), 0)
    problem = "" if queue is not None and not queue.stopped else "stopped" if queue is not None else "missing"
    first = {each: min(waiting[each].gpus, left) for each in sorted(waiting)}
    spare = left - _spend(first, left)
    found: dict[str, PoolStock] = {}
    for pool in pools:
        key = pool.metadata.name
        before = stock[key]
        most = spare + first[key]
        room = most if before.unlimited else min(most, sum(before.free_by_node))
        spare -= max(room - first[key], 0)
        found[key] = _bounded(pool, before, room, StockLimit(CLUSTER_QUEUE, name, held[key] + most, problem))
    return found


def _spend(wanted: dict[str, int], left: int) -> int:
    """Cuts what is wanted, in order, to what is left; returns its sum."""
    spent = 0
    for key, gpus in wanted.items():
        wanted[key] = min(gpus, left - spent)
        spent += wanted[key]
    return spent


def _held_gpus(stock: PoolStock) -> int:
    return sum(node.running_gpus + node.ending_gpus for node in stock.nodes)


def _quota_left(queue: QueueView, queues: Collection[QueueView], flavor: str, resource: str, *, own: int) -> int:
    """GPUs that Kueue admits for pods of ours together, those that they have already included: `own`."""
    rows = {key: row for key, row in queue.quotas.items() if key[1] == resource and flavor in ("", key[0])}
    of_others = max(sum(row.used for row in rows.values()) - own, 0)
    return sum(_most(queue, row, queues, key) for key, row in rows.items()) - of_others


def _most(queue: QueueView, row: FlavorQuota, queues: Collection[QueueView], key: tuple[str, str]) -> int:
    """Its quota, with what its cohort can lend it now, and what it has borrowed. Quotas of Cohort objects are not read:
    what they add is not counted."""
    if not queue.cohort:
        return row.nominal
    others = [each for each in queues if each.cohort == queue.cohort and each.name != queue.name]
    spare = 0
    for each in others:
        theirs = each.quotas.get(key)
        if theirs is not None:
            spare += theirs.lent - max(theirs.used - (theirs.nominal - theirs.lent), 0)
    borrowable = max(spare, 0)
    return row.nominal + (borrowable if row.borrowing is None else min(row.borrowing, borrowable))


def _bounded(pool: GPUPool, stock: PoolStock, room: int, limit: StockLimit) -> PoolStock:
    """With no more than `room` free GPUs, taken from nodes with the fewest, so that large replicas find a place."""
    nodes = list(stock.nodes)
    if stock.unlimited:
        unseen, rest = divmod(max(room - sum(stock.free_by_node), 0), pool.spec.capacity.gpus_per_node)
        sizes = [pool.spec.capacity.gpus_per_node] * min(unseen, MOST_NODES) + [rest] * (rest > 0)
        nodes += [NodeStock(name="", gpus=gpus, open=True) for gpus in sizes]
    over = sum(node.free_gpus for node in nodes) - room
    for index in sorted(range(len(nodes)), key=lambda index: (nodes[index].free_gpus, index)):
        taken = min(nodes[index].free_gpus, max(over, 0))
        if taken:
            nodes[index] = replace(nodes[index], withheld_gpus=taken)
        over -= taken
    return _with_nodes(stock, nodes, limit)


def _with_nodes(stock: PoolStock, nodes: Sequence[NodeStock], limit: StockLimit) -> PoolStock:
    return replace(
        stock,
        nodes=tuple(nodes),
        unlimited=False,
        free_by_node=tuple(node.free_gpus for node in nodes),
        limits=(*stock.limits, limit),
    )


def _within_node_pools(pool: GPUPool, stock: PoolStock, view: ActuatorView) -> PoolStock:
    """An elastic pool with no more nodes than its NodePools may make. Two pools of one NodePool may each take all that
    is left: a pod that gets no node is Unschedulable, and plans then go elsewhere."""
    capacity = pool.spec.capacity
    if capacity.type is not CapacityType.ELASTIC:
        return stock
    makers = [each for each in view.supply.node_pools if _makes(each, pool)]
    nodes = [_nodes_left(each, pool, view.nodes) for each in makers]
    known = [each for each in nodes if each is not None]
    if not makers or len(known) < len(nodes) or sum(known) > MOST_NODES:
        return stock
    left, unseen = sum(known), NodeStock(name="", gpus=capacity.gpus_per_node, open=True)
    if stock.unlimited:
        kept = [*stock.nodes, *[unseen] * left]
    else:
        empty = [node for node in stock.nodes if not node.name and not node.running]
        kept = [*(node for node in stock.nodes if node.name or node.running), *empty[:left]]
    held = sum(node.running_gpus + node.ending_gpus for node in kept)
    limit = StockLimit(NODE_POOL, ", ".join(each.name for each in makers), held + sum(node.free_gpus for node in kept))
    return _with_nodes(stock, kept, limit)


def _makes(maker: NodePoolView, pool: GPUPool) -> bool:
    """Whether a NodePool makes nodes of the pool: it says something of the selector's labels, and all that it says
    agrees."""
    said = [(value, maker.labels[key]) for key, value in pool.spec.node_selector.items() if key in maker.labels]
    return bool(said) and all(value in allowed for value, allowed in said)


def _nodes_left(maker: NodePoolView, pool: GPUPool, nodes: Iterable[NodeView]) -> int | None:
    """Nodes that the NodePool may still make, and those that it makes now; None: no limit that is known.

    A limit on another resource than the pool's counts by what the NodePool's nodes have of it on average, and not
    before there is one, unless it is used up.
    """
    made = maker.used.get(NODES, Decimal(0))
    bounds: list[int] = []
    for resource, limit in maker.limits.items():
        used = maker.used.get(resource, Decimal(0))
        whole = {pool.spec.resource_name: Decimal(pool.spec.capacity.gpus_per_node), NODES: Decimal(1)}
        size = whole.get(resource, used / made if made else None)
        if limit <= used:
            bounds.append(0)
        elif size:
            bounds.append(int((limit - used) / size))
    if not bounds:
        return None
    up = sum(node.labels.get(NODE_POOL_LABEL) == maker.name and _is_up(node) for node in nodes)
    return min(bounds) + max(int(made) - up, 0)


def _is_up(node: NodeView) -> bool:
    """One that is not Ready and that nobody took out of service is being made."""
    return node.ready or node.cordoned or node.leaving
