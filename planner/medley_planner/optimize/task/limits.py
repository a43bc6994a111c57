"""Shared limits and what is left of them: GPUs of pools, places on nodes, watts of power domains, quotas, as numbers.

A replica of k GPUs sits on one node. Where the sizes in a pool divide each other, replicas pack onto its nodes if and
only if for each size k those of k GPUs and more, counted in places of k, are no more than the places there are: after
the larger ones are placed, as many places of k are left wherever they were put. So packing is linear, and a plan that
keeps the rows packs. Rows that another row implies are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from medley_planner.model import LimitKind, Pool, PowerBudget, Problem, Quota, Variant
from medley_planner.optimize.task.task import Task

_ROUNDING = 1e-9
"""Relative, because watts are not whole numbers."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One row. `size`: GPUs of one place (1 but for SLOTS); `total`: GPUs, places, watts or US dollars per hour."""

    kind: LimitKind
    name: str
    size: int
    total: float


ShareKey = tuple[str, int, float, str | None, float]


def share_key(variant: Variant) -> ShareKey:
    """The figures by which one replica takes of what is shared: variants of one key take the same."""
    cost_per_hour = variant.cost_per_hour if variant.quota is not None else 0.0
    return variant.pool, variant.gpus_per_replica, variant.watts, variant.quota, cost_per_hour


@dataclass(frozen=True, slots=True)
class Room:
    """The rows and what is `left` of each. `pools` and `above` (the domains that feed a pool) are the problem's."""

    limits: tuple[Limit, ...]
    left: tuple[float, ...]
    pools: Mapping[str, Pool]
    above: Mapping[str, frozenset[str]]
    rows_of: Mapping[str, tuple[int, ...]]
    """Indices of rows, by pool."""
    rows_of_quota: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    known: dict[ShareKey, tuple[tuple[int, float], ...]] = field(default_factory=dict, compare=False)
    """Earlier results of `uses`, for every rest: services ask for the same replicas again and again."""

    def uses(self, variant: Variant) -> tuple[tuple[int, float], ...]:
        """Row and how much of it one replica takes."""
        if not self.limits:
            return ()
        key = share_key(variant)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = tuple(self._uses(variant))
        return found

    def _uses(self, variant: Variant) -> Iterator[tuple[int, float]]:
        for row in self.rows_of.get(variant.pool, ()):
            limit = self.limits[row]
            if limit.kind is LimitKind.POWER:
                if variant.watts > 0:
                    yield row, variant.watts
            elif limit.kind is LimitKind.STOCK:
                yield row, float(variant.gpus_per_replica)
            elif variant.gpus_per_replica >= limit.size:
                yield row, variant.gpus_per_replica / limit.size
        for row in self.rows_of_quota.get(variant.quota or "", ()):
            by_gpus = self.limits[row].kind is LimitKind.QUOTA_GPUS
            yield row, float(variant.gpus_per_replica) if by_gpus else variant.cost_per_hour

    def most(self, variant: Variant) -> float:
        """How many replicas of the variant alone fit into what is left; infinite where nothing limits them."""
        pool = self.pools.get(variant.pool)
        node = pool.node_price if pool is not None else None
        if node is not None and variant.gpus_per_replica > node.gpus:
            return 0.0
        uses = self.uses(variant)
        if not uses:
            return math.inf
        least = min([self.left[row] / amount for row, amount in uses])
        return max(0.0, math.floor(least * (1 + _ROUNDING) + _ROUNDING))

    def after(self, task: Task, replicas: Sequence[int]) -> Room:
        """The rest that these replicas leave; below 0 where they take more than there is. Negative counts give back."""
        if not self.limits:
            return self
        left = list(self.left)
        for variant, count in zip(task.variants, replicas, strict=True):
            if count:
                for row, amount in self.uses(variant):
                    left[row] -= count * amount
        return replace(self, left=tuple(left))

    def after_all(self, fleet: Iterable[tuple[Task, Sequence[int]]]) -> Room:
        """The rest that these tasks with their replicas leave."""
        left = self
        for task, replicas in fleet:
            left = left.after(task, replicas)
        return left

    def at_least_nothing(self) -> Room:
        return replace(self, left=tuple(max(amount, 0.0) for amount in self.left))

    def exceeded(self) -> frozenset[int]:
        """Rows of which more is taken than there is."""
        pairs = enumerate(zip(self.left, self.limits, strict=True))
        return frozenset(row for row, (left, limit) in pairs if left < -_ROUNDING * max(1.0, limit.total))

    def fits(self) -> bool:
        return min(self.left, default=0.0) >= 0 or not self.exceeded()

    def scarce(self, variant: Variant, *, count: int = 1) -> list[Limit]:
        """The limits that leave no room for `count` more replicas of the variant."""
        least = count * (1 - _ROUNDING)
        return [self.limits[row] for row, amount in self.uses(variant) if self.left[row] < amount * least]


NOTHING_SHARED = Room(limits=(), left=(), pools={}, above={}, rows_of={})
"""No limits at all."""


def shared_room(problem: Problem) -> Room:
    """All of what the problem's services share, with nothing taken."""
    pools = {pool.name: pool for pool in problem.pools}
    above = _domains_above(problem)
    sizes: dict[str, set[int]] = {pool.name: set() for pool in problem.pools}
    for service in problem.services:
        for variant in service.variants:
            sizes[variant.pool].add(variant.gpus_per_replica)
    limits: list[Limit] = []
    rows_of: dict[str, list[int]] = {pool.name: [] for pool in problem.pools}
    for pool in problem.pools:
        for limit in _limits_of(pool, sorted(sizes[pool.name])):
            rows_of[pool.name].append(len(limits))
            limits.append(limit)
    for domain in problem.power_domains:
        fed = [pool.name for pool in problem.pools if domain.name in above[pool.name]]
        if fed:
            for name in fed:
                rows_of[name].append(len(limits))
            limits.append(Limit(LimitKind.POWER, domain.name, 1, float(domain.budget_watts)))
    rows_of_quota: dict[str, tuple[int, ...]] = {}
    drawn = {variant.quota for service in problem.services for variant in service.variants}
    for quota in (quota for quota in problem.quotas if quota.name in drawn):
        own = tuple(_limits_of_quota(quota))
        rows_of_quota[quota.name] = tuple(range(len(limits), len(limits) + len(own)))
        limits += own
    return Room(
        limits=tuple(limits),
        left=tuple(limit.total for limit in limits),
        pools=pools,
        above=above,
        rows_of={name: tuple(rows) for name, rows in rows_of.items()},
        rows_of_quota=rows_of_quota,
    )


def _domains_above(problem: Problem) -> dict[str, frozenset[str]]:
    domains: dict[str, PowerBudget] = {domain.name: domain for domain in problem.power_domains}
    above = {}
    for pool in problem.pools:
        found: set[str] = set()
        name = pool.power_domain
        while name is not None and name not in found:
            found.add(name)
            name = domains[name].parent
        above[pool.name] = frozenset(found)
    return above


def _limits_of(pool: Pool, sizes: Sequence[int]) -> Iterator[Limit]:
    nodes = pool.nodes_by_gpus()
    stock = math.inf if pool.stock_gpus is None else float(pool.stock_gpus)
    if nodes is not None:
        stock = min(stock, float(sum(gpus * count for gpus, count in nodes.items())))
    if math.isfinite(stock):
        yield Limit(LimitKind.STOCK, pool.name, 1, stock)
    if nodes is None:
        return
    size_before, places_before = 1, stock
    for size in sizes:
        places = float(sum(gpus // size * count for gpus, count in nodes.items()))
        if size > 1 and places * (size / size_before) < places_before:
            yield Limit(LimitKind.SLOTS, pool.name, size, places)
            size_before, places_before = size, places


def _limits_of_quota(quota: Quota) -> Iterator[Limit]:
    if quota.max_gpus is not None:
        yield Limit(LimitKind.QUOTA_GPUS, quota.name, 1, float(quota.max_gpus))
    if quota.max_cost_per_hour is not None:
        yield Limit(LimitKind.QUOTA_COST, quota.name, 1, quota.max_cost_per_hour)
