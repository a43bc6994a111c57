"""Shared limits: GPUs and nodes of pools, watts of power domains, quotas, and what the plan says of their use."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medley_planner.model import LimitKind, LimitUse, Plan, Pool, Problem, Quota, Service, Variant
from medley_planner.optimize.verify.packing import left_over, nodes_opened
from medley_planner.optimize.verify.rules import Finding, Rule, close, within

Sizes = dict[int, int]
"""Replicas by GPUs per replica."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The part of a quota that replicas take, or by which it changes."""

    gpus: int = 0
    cost_per_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Taken:
    """The use by all replicas: by pool the replicas of each size and their cost, by power domain watts, by quota what
    they draw of it."""

    sizes: Mapping[str, Sizes]
    cost_per_hour: Mapping[str, float]
    watts: Mapping[str, float]
    above: Mapping[str, Sequence[str]]
    """The power domains that feed each pool, the nearest first."""
    nodes: Mapping[str, Mapping[int, int]]
    """Number of nodes by their GPUs, for each pool whose nodes are known."""
    quotas: Mapping[str, Drawn]


def take(problem: Problem, counts: Sequence[Sequence[int]]) -> Taken:
    """`counts` by service and variant."""
    above = {pool.name: _domains_above(problem, pool) for pool in problem.pools}
    sizes: dict[str, Sizes] = {pool.name: {} for pool in problem.pools}
    costs: dict[str, list[float]] = {pool.name: [] for pool in problem.pools}
    watts: dict[str, list[float]] = {domain.name: [] for domain in problem.power_domains}
    drawn: dict[str, list[tuple[Variant, int]]] = {quota.name: [] for quota in problem.quotas}
    for service, row in zip(problem.services, counts, strict=True):
        for variant, count in zip(service.variants, row, strict=True):
            if count == 0:
                continue
            by_size = sizes[variant.pool]
            by_size[variant.gpus_per_replica] = by_size.get(variant.gpus_per_replica, 0) + count
            costs[variant.pool].append(variant.cost_per_hour * count)
            for name in above[variant.pool]:
                watts[name].append(variant.watts * count)
            if variant.quota is not None:
                drawn[variant.quota].append((variant, count))
    return Taken(
        sizes,
        {name: math.fsum(parts) for name, parts in costs.items()},
        {name: math.fsum(parts) for name, parts in watts.items()},
        above,
        {pool.name: Counter(pool.node_gpus) for pool in problem.pools if pool.node_gpus is not None},
        {name: _drawn(replicas) for name, replicas in drawn.items()},
    )


def _drawn(replicas: Sequence[tuple[Variant, int]]) -> Drawn:
    return Drawn(
        sum(variant.gpus_per_replica * count for variant, count in replicas),
        math.fsum(variant.cost_per_hour * count for variant, count in replicas),
    )


def check_shared(problem: Problem, plan: Plan, taken: Taken) -> Iterator[Finding]:
    for pool in problem.pools:
        yield from check_pool(pool, taken.sizes[pool.name], taken.nodes)
    for domain in problem.power_domains:
        if not within(taken.watts[domain.name], domain.budget_watts):
            yield (
                Rule.POWER,
                f"power domain {domain.name} may draw {domain.budget_watts:g} W, "
                f"the plan draws {taken.watts[domain.name]:g} W",
            )
    for quota in problem.quotas:
        yield from check_quota(quota, taken.quotas[quota.name])
    yield from _check_nodes(problem, plan, taken)
    yield from _check_limits(problem, plan, taken)


def check_pool(pool: Pool, sizes: Mapping[int, int], nodes: Mapping[str, Mapping[int, int]]) -> Iterator[Finding]:
    """Whether the pool holds these replicas. `nodes` are those of all pools, as in `Taken`."""
    gpus = _gpus(sizes)
    if pool.stock_gpus is not None and gpus > pool.stock_gpus:
        yield Rule.STOCK, f"pool {pool.name} holds {pool.stock_gpus} GPUs, the plan takes {gpus}"
    if pool.node_price is not None:
        opened = nodes_opened(pool.node_price.gpus, sizes)
        most = pool.node_price.max_nodes
        if opened is None:
            yield (
                Rule.PACKING,
                f"pool {pool.name} has nodes of {pool.node_price.gpus} GPUs, a replica takes {max(sizes)}",
            )
        elif most is not None and opened > most:
            yield Rule.NODES, f"pool {pool.name} may have {most} nodes, the replicas take {opened}"
    elif pool.node_gpus is not None:
        missing = left_over(nodes[pool.name], sizes)
        if missing:
            told = ", ".join(f"{count} of {size} GPUs" for size, count in missing.items())
            yield Rule.PACKING, f"pool {pool.name}: no place on its {len(pool.node_gpus)} nodes for replicas: {told}"


def check_quota(quota: Quota, drawn: Drawn) -> Iterator[Finding]:
    """Whether the quota allows so much."""
    if quota.max_gpus is not None and drawn.gpus > quota.max_gpus:
        yield Rule.QUOTA, f"quota {quota.name} allows {quota.max_gpus} GPUs, the plan takes {drawn.gpus}"
    if quota.max_cost_per_hour is not None and not within(drawn.cost_per_hour, quota.max_cost_per_hour):
        allowed, cost = quota.max_cost_per_hour, drawn.cost_per_hour
        yield Rule.QUOTA, f"quota {quota.name} allows ${allowed:.6f}/h, the plan takes ${cost:.6f}/h"


def check_replaced(
    problem: Problem, taken: Taken, service: Service, old: Sequence[int], new: Sequence[int]
) -> Iterator[Finding]:
    """The shared limits that would break if `service` had the `new` counts and all else stayed."""
    sizes: dict[str, Sizes] = {}
    watts: dict[str, float] = {}
    more: dict[str, list[tuple[Variant, int]]] = {}
    for variant, before, after in zip(service.variants, old, new, strict=True):
        if before == after:
            continue
        by_size = sizes.setdefault(variant.pool, dict(taken.sizes[variant.pool]))
        by_size[variant.gpus_per_replica] = by_size.get(variant.gpus_per_replica, 0) + after - before
        for name in taken.above[variant.pool]:
            watts[name] = watts.get(name, taken.watts[name]) + variant.watts * (after - before)
        if variant.quota is not None:
            more.setdefault(variant.quota, []).append((variant, after - before))
    for pool in problem.pools:
        if pool.name in sizes:
            held = {size: count for size, count in sizes[pool.name].items() if count > 0}
            yield from check_pool(pool, held, taken.nodes)
    for domain in problem.power_domains:
        if domain.name in watts and not within(watts[domain.name], domain.budget_watts):
            yield Rule.POWER, f"power domain {domain.name} would draw {watts[domain.name]:g} W"
    for quota in problem.quotas:
        if quota.name in more:
            then, now = _drawn(more[quota.name]), taken.quotas[quota.name]
            yield from check_quota(quota, Drawn(now.gpus + then.gpus, now.cost_per_hour + then.cost_per_hour))


def _domains_above(problem: Problem, pool: Pool) -> list[str]:
    parents = {domain.name: domain.parent for domain in problem.power_domains}
    found: list[str] = []
    name = pool.power_domain
    while name is not None and name in parents and name not in found:
        found.append(name)
        name = parents[name]
    return found


def _gpus(sizes: Mapping[int, int]) -> int:
    return sum(size * count for size, count in sizes.items())


def _check_nodes(problem: Problem, plan: Plan, taken: Taken) -> Iterator[Finding]:
    stated = {entry.pool: entry for entry in plan.nodes}
    prices = {pool.name: pool.node_price for pool in problem.pools if pool.node_price is not None}
    if len(stated) < len(plan.nodes) or not stated.keys() <= prices.keys():
        yield Rule.NODES, f"nodes of {[entry.pool for entry in plan.nodes]}, those paid by the node are {list(prices)}"
    for name, price in prices.items():
        entry = stated.get(name)
        bought = entry.nodes if entry is not None else 0
        opened = nodes_opened(price.gpus, taken.sizes[name])
        if opened is not None and bought != opened:
            yield Rule.NODES, f"pool {name}: the plan buys {bought} nodes, its replicas take {opened}"
        if entry is None:
            continue
        if not close(entry.cost_per_hour, bought * price.cost_per_hour):
            yield Rule.COST, f"pool {name}: {bought} nodes do not cost {entry.cost_per_hour:.6f}"
        idle = bought * price.cost_per_hour - taken.cost_per_hour[name]
        # The difference of two sums that may be large: its tolerance is theirs.
        if not abs(idle - entry.idle_cost_per_hour) <= 1e-9 + 1e-6 * max(1.0, bought * price.cost_per_hour):
            yield Rule.COST, f"pool {name}: idle parts cost {idle:.6f}, not {entry.idle_cost_per_hour:.6f}"


def _check_limits(problem: Problem, plan: Plan, taken: Taken) -> Iterator[Finding]:
    keys = [(entry.kind, entry.name, entry.size) for entry in plan.limits]
    if len(set(keys)) < len(keys):
        yield Rule.LIMITS, "a limit is listed twice"
    for entry in plan.limits:
        told = f"{entry.kind} of {entry.name} in sizes of {entry.size}"
        price = entry.shadow_price_per_hour
        if price is not None and not 0 <= price < math.inf:
            yield Rule.LIMITS, f"{told}: its shadow price is {price}"
        truth = _true_limit(problem, entry, taken)
        if truth is None:
            yield Rule.LIMITS, f"{told}: the problem has no such limit"
        elif not (close(truth[0], entry.used) and close(truth[1], entry.limit)):
            yield (
                Rule.LIMITS,
                f"{told}: {truth[0]:g} of {truth[1]:g} are used, the plan says {entry.used:g} of {entry.limit:g}",
            )


def _true_limit(problem: Problem, entry: LimitUse, taken: Taken) -> tuple[float, float] | None:
    """Used and limit; None where nothing limits it."""
    if entry.kind is LimitKind.POWER:
        budget = next((d.budget_watts for d in problem.power_domains if d.name == entry.name), None)
        return None if budget is None or entry.size != 1 else (taken.watts[entry.name], budget)
    if entry.kind.of_quota:
        return _true_limit_of_quota(problem, entry, taken)
    pool = next((pool for pool in problem.pools if pool.name == entry.name), None)
    if pool is None or entry.size < 1:
        return None
    nodes = _all_nodes(pool)
    sizes = taken.sizes[pool.name]
    if entry.kind is LimitKind.SLOTS:
        if nodes is None:
            return None
        used = sum(count * size / entry.size for size, count in sizes.items() if size >= entry.size)
        return used, float(sum(gpus // entry.size * count for gpus, count in nodes.items()))
    ends = [sum(gpus * count for gpus, count in nodes.items())] if nodes is not None else []
    ends += [pool.stock_gpus] if pool.stock_gpus is not None else []
    return (float(_gpus(sizes)), float(min(ends))) if ends and entry.size == 1 else None


def _true_limit_of_quota(problem: Problem, entry: LimitUse, taken: Taken) -> tuple[float, float] | None:
    quota = next((quota for quota in problem.quotas if quota.name == entry.name), None)
    if quota is None or entry.size != 1:
        return None
    drawn = taken.quotas[quota.name]
    if entry.kind is LimitKind.QUOTA_GPUS:
        return None if quota.max_gpus is None else (float(drawn.gpus), float(quota.max_gpus))
    return None if quota.max_cost_per_hour is None else (drawn.cost_per_hour, quota.max_cost_per_hour)


def _all_nodes(pool: Pool) -> Mapping[int, int] | None:
    """Number of nodes that there may be by their GPUs; None where nodes have no limit or packing is not checked."""
    if pool.node_price is not None:
        most = pool.node_price.max_nodes
        return None if most is None else {pool.node_price.gpus: most}
    return None if pool.node_gpus is None else Counter(pool.node_gpus)
