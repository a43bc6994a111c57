"""The watts that power domains leave for the replicas of a problem: rows, and GPUs that no row can hold back. Pure.

From a domain's budget go, before any replica: what its nodes draw beside their GPUs, what its GPUs draw idle, GPUs that
pods of others hold (at their limit), and replicas that are not planned now. A replica counts with what it adds to that.

The scheduler chooses among the nodes of a pool. A pool whose nodes are in several domains is held to the row of the
lowest one that feeds them all; in each below, GPUs that its budget does not feed are taken out of the pool's stock, so
that no plan needs them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from medley_operator.domain.feeds.tree import FeedTree
from medley_operator.domain.values.candidates import PoolState, ServiceCandidate
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Holder, NodeStock, PlacedPod, ReplicaSizes
from medley_planner.capacity.watts import idle_watts
from medley_planner.model import PowerBudget


@dataclass(frozen=True, slots=True)
class FedNode:
    """A pool's part of a node, or a node outside of all pools (`pool` None), with the domain that feeds it."""

    domain: str
    stock: NodeStock
    pool: PoolState | None
    limit_watts: float

    @property
    def idle(self) -> float:
        return idle_watts(self.limit_watts)


@dataclass(frozen=True, slots=True)
class Feeding:
    """The domains, the pools, and the nodes that domains feed. `most_gpus`: by pool and node, the most GPUs that may be
    planned with, where a domain has no row for the pool."""

    tree: FeedTree
    pools: tuple[PoolState, ...] = ()
    nodes: tuple[FedNode, ...] = ()
    budgets: tuple[PowerBudget, ...] = ()
    most_gpus: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


NO_FEEDING = Feeding(FeedTree({}, {}))


def with_budgets(
    feeding: Feeding,
    candidates: Sequence[ServiceCandidate],
    *,
    planned: Collection[ServiceKey],
    reserved: Mapping[str, ReplicaSizes],
) -> Feeding:
    """The rest for the services in `planned`. `reserved`: replicas of others that have no place yet."""
    if not feeding.tree.domains:
        return feeding
    known = _known_watts(candidates)
    left = dict(feeding.tree.budgets)
    for name, watts in _before_replicas(feeding, planned, known):
        _take(feeding.tree, left, name, watts)
    for state in feeding.pools:
        domain = state.feed.domain if state.feed is not None else None
        if domain is not None:
            gpus = sum(size * count for size, count in reserved.get(state.name, {}).items())
            _take(feeding.tree, left, domain, gpus * (state.limit_watts - idle_watts(state.limit_watts)))
    running = _running(feeding, planned, known)
    for name in feeding.tree.refused | feeding.tree.unconfirmed.keys():
        left[name] = min(max(left[name], 0.0), running[name])
    most_gpus = _without_row(feeding, left, _per_gpu(candidates, planned))
    budgets = tuple(
        PowerBudget(name, max(left[name], 0.0), feeding.tree.parent(name)) for name in sorted(feeding.tree.held)
    )
    return replace(feeding, budgets=budgets, most_gpus=most_gpus)


def _take(tree: FeedTree, left: dict[str, float], domain: str, watts: float) -> None:
    for name in tree.chain(domain):
        left[name] -= watts


def _known_watts(candidates: Iterable[ServiceCandidate]) -> dict[Holder, float]:
    """The watts that a replica of each variant adds."""
    return {
        Holder(candidate.key, each.variant.name): each.variant.watts
        for candidate in candidates
        for each in candidate.variants
    }


def _before_replicas(
    feeding: Feeding, planned: Collection[ServiceKey], known: Mapping[Holder, float]
) -> Iterator[tuple[str, float]]:
    counted: set[str] = set()
    for node in feeding.nodes:
        stock = node.stock
        if not stock.name or stock.name not in counted:
            yield node.domain, feeding.tree.non_gpu_watts(node.domain)
            counted.add(stock.name)
        yield node.domain, max(stock.gpus, stock.running_gpus) * node.idle
        yield node.domain, stock.foreign_gpus * (node.limit_watts - node.idle)
        for pod in stock.running:
            if pod.holder.service not in planned:
                yield node.domain, _replica(known, node, pod)


def _replica(known: Mapping[Holder, float], node: FedNode, pod: PlacedPod) -> float:
    """One that is not known counts at its limit."""
    return known.get(pod.holder, pod.gpus * (node.limit_watts - node.idle))


def _running(feeding: Feeding, planned: Collection[ServiceKey], known: Mapping[Holder, float]) -> dict[str, float]:
    """The watts that replicas of the planned services add to each domain now."""
    found: dict[str, float] = defaultdict(float)
    for node in feeding.nodes:
        watts = sum(_replica(known, node, pod) for pod in node.stock.running if pod.holder.service in planned)
        for name in feeding.tree.chain(node.domain):
            found[name] += watts
    return found


def _per_gpu(candidates: Iterable[ServiceCandidate], planned: Collection[ServiceKey]) -> dict[str, float]:
    """The most that a GPU of a planned replica adds, by pool."""
    found: dict[str, float] = {}
    for candidate in candidates:
        for each in candidate.variants if candidate.key in planned else ():
            watts = each.variant.watts / each.variant.gpus_per_replica
            found[each.variant.pool] = max(found.get(each.variant.pool, 0.0), watts)
    return found


def _without_row(feeding: Feeding, left: dict[str, float], per_gpu: Mapping[str, float]) -> dict[str, dict[str, int]]:
    """GPUs of nodes in domains that have no row for their pool. What these get is taken from the rows that stay, so
    that two pools do not both count on it: each pool gets its part by the GPUs that it may use there."""
    tree = feeding.tree
    below: dict[str, list[FedNode]] = defaultdict(list)
    usable: dict[str, float] = defaultdict(float)
    for node in feeding.nodes:
        if node.pool is None or node.pool.feed is None or node.pool.name not in per_gpu:
            continue
        watts = node.stock.stock_gpus * per_gpu[node.pool.name]
        chain, row = tree.chain(node.domain), node.pool.feed.domain
        for name in chain:
            usable[name] += watts
        for name in chain[: chain.index(row) if row in chain else len(chain)]:
            below[name].append(node)
    most: dict[str, dict[str, int]] = {}
    # The lowest domains first: what they take away, those above need not.
    for name in sorted(below, key=lambda each: -len(tree.chain(each))):
        nodes = below[name]
        asked = sum(_planned_gpus(most, node) * per_gpu[_pool(node)] for node in nodes)
        share = max(left[name], 0.0) * asked / usable[name] if usable[name] > 0.0 else 0.0
        _cut(most, nodes, per_gpu, asked - share)
        left[name] -= sum(_planned_gpus(most, node) * per_gpu[_pool(node)] for node in nodes)
    return most


def _pool(node: FedNode) -> str:
    return node.pool.name if node.pool is not None else ""


def _planned_gpus(most: Mapping[str, Mapping[str, int]], node: FedNode) -> int:
    return most.get(_pool(node), {}).get(node.stock.name, node.stock.stock_gpus)


def _cut(
    most: dict[str, dict[str, int]], nodes: Sequence[FedNode], per_gpu: Mapping[str, float], over_watts: float
) -> None:
    """Takes GPUs away until what is over is gone: free ones first, those of the emptiest nodes first."""
    ranked = sorted(nodes, key=lambda node: (node.stock.running_gpus, node.stock.name))
    for running in (False, True):
        for node in ranked:
            if over_watts <= 1e-9:
                return
            each = per_gpu[_pool(node)]
            have = _planned_gpus(most, node)
            spare = have if running else max(have - node.stock.running_gpus, 0)
            gone = min(spare, math.ceil(over_watts / each - 1e-9)) if each > 0.0 else 0
            if gone > 0:
                most.setdefault(_pool(node), {})[node.stock.name] = have - gone
                over_watts -= gone * each
