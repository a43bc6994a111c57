"""The ledger of stock: which GPUs of which node each pool may plan with, from nodes, from pods of anybody, and from
what DRA drivers, Kueue and Karpenter say (`devices`, `growth`). Pure.

A GPU is taken by each pod that is bound to a node, or for which the scheduler keeps a place there, whoever made it,
until the pod is gone: pods that end hold theirs. What Deployments ask for takes nothing by itself; the planner's input
keeps what services that are not planned ask for and lack (`planner_input.reserved_replicas`). `held` says whose pods
are whose, `node_shares` whose nodes are whose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from medley_operator.api.v1alpha1 import CapacityType, GPUPool
from medley_operator.domain.cluster.devices import idle_devices, with_devices
from medley_operator.domain.cluster.growth import limited
from medley_operator.domain.cluster.held import (
    HeldByNode,
    HeldGpus,
    OwnedDeployment,
    held_by_node,
    owned_deployments,
)
from medley_operator.domain.cluster.node_shares import NodeShares, may_start, node_shares, untolerated
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import ActuatorView
from medley_operator.domain.values.stock import (
    Ledger,
    NodeStock,
    PlacedPod,
    PoolStock,
    ReplicaSizes,
    Workload,
    packed,
)
from medley_operator.domain.values.views import NodeView

ZONE_LABEL = "topology.kubernetes.io/zone"
MOST_HOMELESS = 4096
"""Ready replicas of one pool without a known node that are counted: more than there are, and few enough to list."""


def stock_ledger(view: ActuatorView) -> Ledger:
    """The stock of each pool of the view.

    With `capacity.nodes`, nodes that are seen count as they are, and up to that number those that are not seen count
    as empty. Without: those that are seen; where nodes are made on demand, there is no limit. Where no node at all can
    be seen, there are those on which pods of ours run, and, where nodes cannot be listed, as many more as were last
    seen, be it by an operator before this one. Nodes that are declared and not seen count once for pools that select
    the very same ones.
    """
    pools = sorted(view.pools, key=lambda pool: pool.metadata.name)
    idle = {pool.metadata.name: idle_devices(pool, view) for pool in pools}
    view = with_devices(view)
    owned = owned_deployments(view)
    pods_known = labels.POD not in view.unreadable
    held = held_by_node(view.pods if pods_known else (), owned)
    shares = node_shares(pools, view.nodes or _nodes_of_pods(pools, held), held, view.catalogue)
    if not view.nodes and not pods_known:
        # Nothing of a cluster is seen: each pool has what it declares.
        shares = replace(shares, second=frozenset())
    stock = {pool.metadata.name: _pool_stock(pool, shares, held) for pool in pools}
    if not view.nodes and labels.NODE in view.unreadable:
        stock = {pool.metadata.name: _as_last_seen(pool, stock[pool.metadata.name]) for pool in pools}
    workloads = _workloads(owned, held)
    if pods_known:
        stock = {
            name: replace(each, pods_known=True, watched=view.watched, idle_devices=idle[name])
            for name, each in limited(stock, view, workloads).items()
        }
    else:
        stock = _as_asked(stock, workloads)
    bound = Counter(pod.holder for each in stock.values() for node in each.nodes for pod in node.running)
    ending = Counter(pod.holder for pods in held.values() for pod in pods if pod.ending and pod.holder is not None)
    return Ledger(pools=stock, workloads=workloads, pods_known=pods_known, bound=bound, ending=ending)


def _workloads(owned: Sequence[OwnedDeployment], held: HeldByNode) -> tuple[Workload, ...]:
    ours = (pod for pods in held.values() for pod in pods if not pod.ending)
    placed = Counter((pod.holder.service.namespace, pod.deployment) for pod in ours if pod.holder is not None)
    return tuple(
        replace(each, placed=placed[(each.holder.service.namespace, each.deployment)])
        for each in (deployment.workload for deployment in owned)
    )


def _as_last_seen(pool: GPUPool, stock: PoolStock) -> PoolStock:
    """With what the pool's status says, where its nodes are counted and none can be."""
    capacity, seen = pool.spec.capacity, pool.status
    stock = replace(stock, ready_nodes=seen.ready_nodes)
    if capacity.nodes is not None or stock.unlimited:
        return stock
    whole, rest = divmod(max((seen.stock_gpus or 0) - (stock.stock_gpus or 0), 0), capacity.gpus_per_node)
    sizes = (*(capacity.gpus_per_node for _ in range(whole)), *((rest,) if rest else ()))
    nodes = (*stock.nodes, *(NodeStock(name="", gpus=gpus, open=True) for gpus in sizes))
    return replace(stock, nodes=nodes, free_by_node=tuple(node.free_gpus for node in nodes))


def _nodes_of_pods(pools: Sequence[GPUPool], held: HeldByNode) -> tuple[NodeView, ...]:
    """Nodes that cannot be seen, as whole nodes of the pool whose pods are there."""
    known = {pool.metadata.name: pool.spec for pool in pools}
    found: list[NodeView] = []
    for name in sorted(held):
        spec = next((known[pod.pool] for pod in held[name] if pod.pool in known), None)
        if spec is not None:
            gpus = {spec.resource_name: spec.capacity.gpus_per_node}
            found.append(NodeView(name=name, labels=spec.node_selector, allocatable=gpus))
    return tuple(found)


def _pool_stock(pool: GPUPool, shares: NodeShares, held: HeldByNode) -> PoolStock:
    name, capacity = pool.metadata.name, pool.spec.capacity
    matching, own = shares.matching[name], shares.own[name]
    # Its pods run on where a node is gone, was given other labels, or counts for another pool.
    others = sorted(held.keys() - {node.name for node in matching})
    moved = [place for place in others if _running(pool, held[place])]
    nodes = [_node_stock(pool, node, held.get(node.name, ())) for node in matching if node.name in own]
    places = [*(node.name for node in matching if node.name not in own), *moved]
    nodes += [_without_room(pool, place, held[place]) for place in places if _running(pool, held.get(place, ()))]
    if capacity.nodes is not None:
        unseen = 0 if name in shares.second else max(capacity.nodes - len(matching) - len(moved), 0)
        nodes = _closed_beyond(nodes, capacity.nodes)
        nodes += [NodeStock(name="", gpus=capacity.gpus_per_node, open=True)] * unseen
    usable = [node for node in matching if node.usable]
    blocked = [node for node in usable if not may_start(pool, node)]
    return PoolStock(
        nodes=tuple(nodes),
        unlimited=capacity.type is CapacityType.ELASTIC and capacity.nodes is None,
        free_by_node=tuple(node.free_gpus for node in nodes),
        shares_with=tuple(sorted(shares.shares_with[name])),
        untolerated=tuple(sorted({taint for node in blocked for taint in untolerated(pool, node)})),
        tainted_nodes=len(blocked),
        zones=tuple(sorted({zone for node in usable if (zone := node.labels.get(ZONE_LABEL, ""))})),
        ready_nodes=len(usable),
    )


def _node_stock(pool: GPUPool, node: NodeView, pods: Sequence[HeldGpus]) -> NodeStock:
    resource, name = pool.spec.resource_name, pool.metadata.name
    ours = [pod for pod in pods if pod.holder is not None]
    return NodeStock(
        name=node.name,
        gpus=node.allocatable.get(resource, 0),
        open=may_start(pool, node),
        running=_running(pool, ours),
        ending_gpus=sum(pod.gpus.get(resource, 0) for pod in ours if pod.ending and pod.pool == name),
        foreign_gpus=sum(pod.gpus.get(resource, 0) for pod in pods if pod.holder is None),
        other_gpus=sum(pod.gpus.get(resource, 0) for pod in ours if pod.pool != name),
    )


def _without_room(pool: GPUPool, place: str, pods: Sequence[HeldGpus]) -> NodeStock:
    return NodeStock(name=place, gpus=0, open=False, running=_running(pool, pods))


def _running(pool: GPUPool, pods: Iterable[HeldGpus]) -> tuple[PlacedPod, ...]:
    name, resource = pool.metadata.name, pool.spec.resource_name
    return tuple(
        PlacedPod(pod.holder, gpus)
        for pod in pods
        if pod.holder is not None and not pod.ending and pod.pool == name and (gpus := pod.gpus.get(resource, 0)) > 0
    )


def _closed_beyond(nodes: Sequence[NodeStock], most: int) -> list[NodeStock]:
    """The nodes, of which at most so many take new pods: those with the most pods of ours first."""
    ranked = sorted(range(len(nodes)), key=lambda each: (not nodes[each].open, -nodes[each].running_gpus, each))
    kept = frozenset(ranked[:most])
    return [node if each in kept else replace(node, open=False) for each, node in enumerate(nodes)]


def _as_asked(stock: Mapping[str, PoolStock], workloads: Sequence[Workload]) -> dict[str, PoolStock]:
    """The stock where no pod can be seen: what Deployments ask for is packed as tightly as can be."""

    def placed(name: str, pool: PoolStock) -> PoolStock:
        return _packed_pool(pool, [each for each in workloads if each.pool == name])

    found = {name: placed(name, pool) for name, pool in stock.items()}
    for name, pool in stock.items():
        # Replicas of a pool without room run on the nodes that count for the pools that it shares them with.
        sizes = Counter(pod.gpus for other in pool.shares_with for node in found[other].nodes for pod in node.running)
        if sizes:
            found[name] = placed(name, _less(pool, sizes))
    return found


def _less(stock: PoolStock, taken: ReplicaSizes) -> PoolStock:
    left = packed([node.free_gpus for node in stock.nodes], taken).free
    nodes = (
        replace(node, other_gpus=node.free_gpus - free) if free < node.free_gpus else node
        for node, free in zip(stock.nodes, left, strict=True)
    )
    return replace(stock, nodes=tuple(nodes))


def _packed_pool(stock: PoolStock, workloads: Sequence[Workload]) -> PoolStock:
    """Replicas that are Ready and for which no node has room run somewhere all the same, and stay."""
    if stock.unlimited:
        return stock
    free = [node.free_gpus for node in stock.nodes]
    ready: Counter[int] = Counter()
    for each in workloads:
        ready[each.gpus] += each.ready
    homeless = dict(packed(free, ready).homeless)
    lost: list[NodeStock] = []
    asked: Counter[int] = Counter()
    for each in reversed(workloads):
        count = min(homeless.get(each.gpus, 0), each.ready, MOST_HOMELESS - len(lost))
        homeless[each.gpus] = homeless.get(each.gpus, 0) - count
        lost += [NodeStock(name="", gpus=0, open=False, running=(PlacedPod(each.holder, each.gpus),))] * count
        asked[each.gpus] += each.replicas - count
    free_by_node = (*packed(free, asked).free, *(0 for _ in lost))
    return replace(stock, nodes=(*stock.nodes, *lost), free_by_node=free_by_node)
