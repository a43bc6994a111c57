"""Whole nodes of pools that are paid by the node: how many a fleet takes, and what stands idle on them.

A replica's own price is its GPUs' part of a node; what is paid beyond that is the price of the idle rest. It is shared
by all services on the pool, so it belongs to none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medley_planner.model import NodeCount, Pool
from medley_planner.optimize.task.task import Task

Fleet = Iterable[tuple[Task, Sequence[int]]]
"""Tasks with their replicas by variant."""


def paid_by_node(pools: Mapping[str, Pool]) -> dict[str, Pool]:
    return {name: pool for name, pool in pools.items() if pool.node_price is not None}


def node_counts(pools: Mapping[str, Pool], fleet: Fleet) -> tuple[NodeCount, ...]:
    """The fewest nodes of each pool paid by the node that hold the fleet, in the order of `pools`."""
    paid = paid_by_node(pools)
    if not paid:
        return ()
    taken: dict[str, dict[int, int]] = {name: {} for name in paid}
    own: dict[str, list[float]] = {name: [] for name in paid}
    for task, replicas in fleet:
        for variant, count in zip(task.variants, replicas, strict=True):
            if count and variant.pool in paid:
                by_size = taken[variant.pool]
                by_size[variant.gpus_per_replica] = by_size.get(variant.gpus_per_replica, 0) + count
                own[variant.pool].append(variant.cost_per_hour * count)
    found = []
    for name, pool in paid.items():
        price = pool.node_price
        if price is None:
            raise AssertionError(f"pool {name} has no node price")
        nodes = _fewest(taken[name], price.gpus)
        cost = nodes * price.cost_per_hour
        found.append(NodeCount(name, nodes, cost, max(0.0, cost - math.fsum(own[name]))))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """The replicas on pools that are paid by the node, to be changed service by service: `taken` by pool and size, and
    what they pay of the nodes' cost themselves."""

    pools: Mapping[str, Pool]
    taken: Mapping[tuple[str, int], int]
    own_per_hour: float

    @classmethod
    def of(cls, pools: Mapping[str, Pool], fleet: Fleet) -> NodeLoad:
        load = cls(paid_by_node(pools), {}, 0.0)
        for task, replicas in fleet:
            load = load.with_more(task, replicas)
        return load

    def with_more(self, task: Task, replicas: Sequence[int]) -> NodeLoad:
        """Negative counts give back."""
        taken, own = dict(self.taken), self.own_per_hour
        for variant, count in zip(task.variants, replicas, strict=True):
            if count and variant.pool in self.pools:
                size = (variant.pool, variant.gpus_per_replica)
                taken[size] = taken.get(size, 0) + count
                own += variant.cost_per_hour * count
        return NodeLoad(self.pools, taken, own)

    def idle_per_hour(self) -> float:
        """The cost of idle parts in US dollars per hour."""
        cost = 0.0
        for name, pool in self.pools.items():
            if pool.node_price is not None:
                by_size = {size: count for (owner, size), count in self.taken.items() if owner == name and count > 0}
                cost += _fewest(by_size, pool.node_price.gpus) * pool.node_price.cost_per_hour
        return cost - self.own_per_hour


def idle_per_hour(pools: Mapping[str, Pool], fleet: Fleet) -> float:
    """The cost of idle parts of nodes in US dollars per hour."""
    return math.fsum(count.idle_cost_per_hour for count in node_counts(pools, fleet))


def _fewest(by_size: Mapping[int, int], gpus: int) -> int:
    """Places by the rule of `limits`: for each size, the places that it and the larger sizes take."""
    nodes = 0
    for size in by_size:
        places = sum(count * other // size for other, count in by_size.items() if other >= size)
        nodes = max(nodes, -(-places // max(1, gpus // size)))
    return nodes
