"""The pools of a round with stock, price and what feeds them, and the nodes that power domains feed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from medley_operator.api.v1alpha1 import GPUPool, ServicePriority
from medley_operator.domain.cluster.pools import planner_pool, pool_state
from medley_operator.domain.feeds.budgets import FedNode, Feeding
from medley_operator.domain.feeds.levels import pool_clocks
from medley_operator.domain.feeds.tree import FeedTree
from medley_operator.domain.firewall import Firewall
from medley_operator.domain.planner_input import pool_budgets
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.labels import NODE, POD
from medley_operator.domain.values.power import CountedLevel, PoolFeed
from medley_operator.domain.values.snapshot import ObjectFault, ObjectKey, Snapshot
from medley_operator.domain.values.stock import Ledger, NodeStock
from medley_operator.domain.values.views import GPU_PRODUCT_LABELS, GPU_RESOURCES
from medley_planner.capacity.watts import idle_watts
from medley_planner.model import Priority


def pool_states(
    snapshot: Snapshot, ledger: Ledger, tree: FeedTree, levels: Mapping[str, CountedLevel], wall: Firewall
) -> tuple[PoolState, ...]:
    """In the order of their names; one that raises here, or as a part of the problem, is refused."""
    in_order = sorted(snapshot.pools, key=lambda pool: pool.metadata.name)
    labels = {node.name: node.labels for node in snapshot.nodes}
    return tuple(_pool(pool, snapshot, ledger, tree, levels, labels, wall) for pool in in_order)


def _pool(
    pool: GPUPool,
    snapshot: Snapshot,
    ledger: Ledger,
    tree: FeedTree,
    levels: Mapping[str, CountedLevel],
    labels: Mapping[str, Mapping[str, str]],
    wall: Firewall,
) -> PoolState:
    stock = ledger.pools[pool.metadata.name]

    def state() -> PoolState:
        unreadable, price = snapshot.unreadable.get(NODE, ""), snapshot.prices.get(pool.metadata.name)
        found = pool_state(pool, stock, unreadable, snapshot.catalogue, price)
        if found.refusal is None:
            clash = found.name in tree.domains
            found = replace(
                found,
                feed=_feed(found, tree, levels, labels),
                budget_name=f"GPUPool {found.name}" if clash else found.name,
            )
            planner_pool(found, None, degrees=())
            pool_budgets((found,), ledger=ledger, planned=(), reserved={})
        return found

    found = wall.guard(ObjectKey.of("GPUPool", pool.metadata), state)
    return (
        PoolState(pool=pool, gpu=None, stock=stock, refusal=found.refusal) if isinstance(found, ObjectFault) else found
    )


def _feed(
    state: PoolState, tree: FeedTree, levels: Mapping[str, CountedLevel], labels: Mapping[str, Mapping[str, str]]
) -> PoolFeed | None:
    """None where no domain that plans are held to feeds any of its nodes."""
    if not tree.domains:
        return None
    selected = tree.of_node(state.pool.spec.node_selector)
    gpus: Counter[str | None] = Counter()
    for node in state.stock.nodes:
        gpus[_domain(node, tree, selected, labels)] += max(node.gpus, node.running_gpus)
    domain = tree.lowest_common(gpus) if selected is None and gpus else selected
    names = sorted({name for each in (*gpus, domain) for name in tree.chain(each)})
    if tree.held.isdisjoint(names):
        return None
    unlimited, limit = state.stock.unlimited, state.limit_watts
    return PoolFeed(
        domain=tree.row(domain),
        domains=tuple(names),
        base_watts=0.0 if unlimited else idle_watts(limit),
        node_watts=tree.non_gpu_watts(domain) / state.pool.spec.capacity.gpus_per_node if unlimited else 0.0,
        clocks=pool_clocks(tree, levels, gpus or Counter({domain: 1}), limit_watts=limit),
    )


def _domain(
    node: NodeStock, tree: FeedTree, selected: str | None, labels: Mapping[str, Mapping[str, str]]
) -> str | None:
    """The domain of a node; of one that is declared and not seen, that of all nodes of its pool."""
    own = tree.of_node(labels[node.name]) if node.name in labels else None
    return own or selected


def feeding_of(snapshot: Snapshot, pools: Sequence[PoolState], tree: FeedTree) -> Feeding:
    """The nodes of pools, and those of no pool, that domains feed. A pool whose nodes are made as asked has none."""
    if not tree.domains:
        return Feeding(tree)
    labels = {node.name: node.labels for node in snapshot.nodes}
    pods_known = POD not in snapshot.unreadable
    held: Counter[str] = Counter()
    for pod in snapshot.pods:
        held[pod.place] += 0 if pod.ended else max((pod.gpus.get(name, 0) for name in GPU_RESOURCES), default=0)
    found: list[FedNode] = []
    seen: set[str] = set()
    for state in pools:
        if state.feed is None:
            continue
        if state.stock.unlimited:
            seen.update(stock.name for stock in state.stock.nodes)
            continue
        selected = tree.of_node(state.pool.spec.node_selector)
        for stock in state.stock.nodes:
            domain = _domain(stock, tree, selected, labels)
            if domain is not None:
                found.append(FedNode(domain, stock, state, state.limit_watts))
                seen.add(stock.name)
    for node in snapshot.nodes:
        domain = None if node.name in seen else tree.of_node(node.labels)
        if domain is None:
            continue
        gpus = max((node.allocatable.get(name, 0) for name in GPU_RESOURCES), default=0)
        product = next((node.labels[label] for label in GPU_PRODUCT_LABELS if node.labels.get(label)), "")
        known = find_gpu(product, snapshot.catalogue) if product else None
        # Where pods cannot be seen, they are taken to use all.
        stock = NodeStock(node.name, gpus, open=False, foreign_gpus=held[node.name] if pods_known else gpus)
        found.append(FedNode(domain, stock, None, known.watts if known is not None else 0.0))
    return Feeding(tree, tuple(pools), tuple(found))


def seen_by(pools: Sequence[PoolState], priority: ServicePriority) -> tuple[PoolState, ...]:
    """The pools with the clocks that GPUs of services of this priority are held to."""
    if not any(state.feed is not None and state.feed.clocks for state in pools):
        return tuple(pools)
    return tuple(
        replace(state, clock_percent=state.feed.clocks[Priority(priority.value)])
        if state.feed is not None and state.feed.clocks
        else state
        for state in pools
    )
