"""The least that a problem leaves out and costs, by one integer program for all services, as docs/planner.md has it.

Replicas short of minima first, then the unmet demand of High, Normal and Low priority, then cost, switching cost and
idle parts of whole nodes: each level is solved by HiGHS and then held. For services of all modes, with all rules, cuts
and shared limits; what services hold so far is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ortools.math_opt.python import mathopt

from medley_planner.model import Pool, Priority, Problem, RoutingMode, Service
from tests.brute_force import alike, work

HELD = (1e-7, 3e-6, 1e-5)
"""How far a later level may give up what an earlier one reached. HiGHS proves wrong optima with each now and then,
so another one is tried before a plan is said to be wrong."""


@dataclass(frozen=True, slots=True)
class Least:
    """`short` replicas of minima, unmet requests per second by priority (High first), US dollars per hour."""

    short: float
    unmet: tuple[float, ...]
    cost: float


@dataclass(slots=True)
class _Made:
    model: Any
    problem: Problem
    pools: dict[str, Pool]
    replicas: list[list[Any]] = field(default_factory=list)
    short: list[Any] = field(default_factory=list)
    unmet: dict[Priority, list[Any]] = field(default_factory=lambda: {each: [] for each in Priority})
    cost: list[Any] = field(default_factory=list)


def least(problem: Problem, *, held: float = HELD[0]) -> Least | None:
    """None where HiGHS does not say."""
    made = _Made(mathopt.Model(), problem, {pool.name: pool for pool in problem.pools})
    for service in problem.services:
        _add_service(made, service)
    _add_shared(made)
    levels = [made.short, *(made.unmet[each] for each in Priority), made.cost]
    found = []
    for terms in levels:
        total = sum(terms, start=mathopt.LinearSum([0.0]))
        made.model.minimize(total)
        result = mathopt.solve(made.model, mathopt.SolverType.HIGHS)
        if result.termination.reason is not mathopt.TerminationReason.OPTIMAL:
            return None
        found.append(result.objective_value())
        made.model.add_linear_constraint(total <= found[-1] + held)
    return Least(found[0], tuple(found[1:4]), found[4])


def _add_service(made: _Made, service: Service) -> None:
    model, pools = made.model, made.pools
    loads = [work(service, variant) for variant in service.variants]
    most = [_most(made, service, index, loads) for index in range(len(loads))]
    counts = [model.add_integer_variable(lb=0, ub=ub) for ub in most]
    used = [model.add_binary_variable() for _ in counts]
    made.replicas.append(counts)
    for count, there, ub in zip(counts, used, most, strict=True):
        model.add_linear_constraint(count <= ub * there)
        model.add_linear_constraint(count >= there)
    total = mathopt.LinearSum(counts)
    spot = mathopt.LinearSum(
        [count for count, each in zip(counts, service.variants, strict=True) if pools[each.pool].spot]
    )
    _minimum(made, total, service.min_replicas)
    _minimum(made, total - spot, service.on_demand_min_replicas)
    for count, variant in zip(counts, service.variants, strict=True):
        _minimum(made, count, variant.min_replicas)
        price = 0.0 if pools[variant.pool].node_price is not None else variant.cost_per_hour
        made.cost.append(price * count)
        start = variant.cost_per_hour * (variant.startup_seconds + variant.drain_seconds) / service.stay_seconds
        if start > 0:
            more = model.add_variable(lb=0)
            model.add_linear_constraint(more >= count - variant.current_replicas)
            made.cost.append(start * more)
    if service.max_replicas is not None:
        model.add_linear_constraint(total <= service.max_replicas)
    if any(pools[each.pool].spot for each in service.variants):
        model.add_linear_constraint(spot <= service.spot_max_share * total)
    if service.max_cost_per_hour is not None:
        money = mathopt.LinearSum([v.cost_per_hour * n for v, n in zip(service.variants, counts, strict=True)])
        model.add_linear_constraint(money <= service.max_cost_per_hour)
    if service.zone_spread:
        _spread(made, service, counts, sum(most))
    if service.demand.rate_rps > 0:
        _serve(made, service, loads, counts, used, most)


def _most(made: _Made, service: Service, index: int, loads: list[list[float]]) -> int:
    """No plan needs more: all of the load, a minimum, what a spot share asks for; within maxima and the stock."""
    variant = service.variants[index]
    whole = max(sum(load for load in row if load < math.inf) for row in loads)
    share = service.spot_max_share
    enough = (math.ceil(whole) + 2) * (1 + (math.ceil(1 / share) if 0 < share < 1 else 0))
    enough = max(enough, variant.min_replicas, service.min_replicas, service.on_demand_min_replicas)
    pool = made.pools[variant.pool]
    limits = [enough, variant.max_replicas, service.max_replicas]
    if pool.stock_gpus is not None:
        limits.append(pool.stock_gpus // variant.gpus_per_replica)
    nodes = pool.nodes_by_gpus()
    if nodes is not None:
        limits.append(sum(gpus // variant.gpus_per_replica * count for gpus, count in nodes.items()))
    if pool.node_price is not None and pool.node_price.gpus < variant.gpus_per_replica:
        limits.append(0)
    return min(limit for limit in limits if limit is not None)


def _minimum(made: _Made, total: Any, least_count: int) -> None:
    if least_count > 0:
        short = made.model.add_variable(lb=0, ub=least_count)
        made.short.append(short)
        made.model.add_linear_constraint(total + short >= least_count)


def _spread(made: _Made, service: Service, counts: list[Any], most: int) -> None:
    several = made.model.add_binary_variable()
    made.model.add_linear_constraint(mathopt.LinearSum(counts) <= 1 + most * several)
    where = [made.pools[variant.pool].zones for variant in service.variants]
    zones = {zone for names in where for zone in names}
    for zone in zones or {""}:
        outside = [count for count, names in zip(counts, where, strict=True) if any(name != zone for name in names)]
        made.model.add_linear_constraint(mathopt.LinearSum(outside) >= several)


def _serve(
    made: _Made, service: Service, loads: list[list[float]], counts: list[Any], used: list[Any], most: list[int]
) -> None:
    """One cut of each class is served, or none; of it the same part of every size."""
    model, rate = made.model, service.demand.rate_rps
    lost = 1 if service.n_plus_one else 0
    serving: list[Any] = []
    parts: list[list[Any]] = [[] for _ in counts]
    able: list[list[Any]] = [[] for _ in counts]
    blind = service.routing in (RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE)
    for members in alike(service):
        choices = []
        for cut in _cuts(service, loads, members, most):
            chosen, part = model.add_binary_variable(), model.add_variable(lb=0, ub=1)
            choices.append(chosen)
            model.add_linear_constraint(part <= chosen)
            serving.append(sum(service.demand.shares[bucket] for bucket in cut) * rate * part)
            whole = [sum(row[bucket] for bucket in cut) for row in loads]
            for own, load in zip(able, whole, strict=True):
                own.extend([chosen] if load < math.inf else [])
            if service.routing is RoutingMode.SERVICE:
                _by_pod(made, whole, counts, used, chosen, part, lost)
            elif blind:
                _by_weight(made, whole, counts, used, chosen, part, lost)
            else:
                shares = []
                for index, load in enumerate(whole):
                    if load < math.inf:
                        shares.append(model.add_variable(lb=0, ub=1))
                        parts[index].append(load * shares[-1])
                model.add_linear_constraint(mathopt.LinearSum(shares) >= part)
        model.add_linear_constraint(mathopt.LinearSum(choices) <= 1)
    if not blind:
        for index, own in enumerate(parts):
            if own:
                model.add_linear_constraint(mathopt.LinearSum(own) <= counts[index] - lost * used[index])
    for index, (variant, own) in enumerate(zip(service.variants, able, strict=True)):
        # What gets no requests is there for its own minimum only.
        beyond = max(0, most[index] - variant.min_replicas)
        model.add_linear_constraint(counts[index] <= variant.min_replicas + beyond * mathopt.LinearSum(own))
    made.unmet[service.priority].append(rate - mathopt.LinearSum(serving))


def _cuts(service: Service, loads: list[list[float]], members: Iterable[int], most: list[int]) -> list[tuple[int, ...]]:
    """All intersections of what the variants serve of a class, of those that there could be a replica of."""
    covers = [
        frozenset(bucket for bucket in members if row[bucket] < math.inf)
        for row, count in zip(loads, most, strict=True)
        if count >= 1
    ]
    found: set[frozenset[int]] = set()
    for cover in covers:
        found |= {cover} | {cover & other for other in found}
    return [tuple(sorted(cut)) for cut in found if cut]


def _by_pod(
    made: _Made, whole: list[float], counts: list[Any], used: list[Any], chosen: Any, part: Any, lost: int
) -> None:
    """Each pod in use carries the same part, one may be lost, and none is there that cannot serve the cut."""
    total = mathopt.LinearSum(counts)
    made.model.add_linear_constraint(part <= mathopt.LinearSum(used))
    for load, there in zip(whole, used, strict=True):
        if load < math.inf:
            made.model.add_linear_constraint(load * part <= total - lost * there + load * (1 - there))
        else:
            made.model.add_linear_constraint(there <= 1 - chosen)


def _by_weight(
    made: _Made, whole: list[float], counts: list[Any], used: list[Any], chosen: Any, part: Any, lost: int
) -> None:
    """Variants that serve the cut carry it, without the replica that carries most where one may be lost."""
    carried = []
    largest = made.model.add_variable(lb=0)
    for load, count, there in zip(whole, counts, used, strict=True):
        if load < math.inf:
            reach = 1 / max(load, 1e-9)
            carried.append(reach * count)
            made.model.add_linear_constraint(largest >= reach * (there + chosen - 1))
    # Where another cut is chosen this one carries nothing.
    made.model.add_linear_constraint(part <= mathopt.LinearSum(carried) - lost * largest + lost * (1 - chosen))


def _add_shared(made: _Made) -> None:
    model, problem = made.model, made.problem
    each = [
        (variant, count)
        for service, counts in zip(problem.services, made.replicas, strict=True)
        for variant, count in zip(service.variants, counts, strict=True)
    ]
    for pool in problem.pools:
        own = [(variant.gpus_per_replica, count) for variant, count in each if variant.pool == pool.name]
        if pool.stock_gpus is not None:
            model.add_linear_constraint(mathopt.LinearSum([gpus * n for gpus, n in own]) <= pool.stock_gpus)
        sizes = {gpus for gpus, _ in own}
        if pool.node_price is not None:
            price = pool.node_price
            nodes = model.add_integer_variable(lb=0, ub=price.max_nodes if price.max_nodes is not None else 10_000)
            made.cost.append(price.cost_per_hour * nodes)
            for size in sizes:
                taken = mathopt.LinearSum([gpus / size * n for gpus, n in own if gpus >= size])
                model.add_linear_constraint(taken <= price.gpus // size * nodes)
        elif pool.node_gpus is not None:
            for size in sizes:
                taken = mathopt.LinearSum([gpus / size * n for gpus, n in own if gpus >= size])
                model.add_linear_constraint(taken <= sum(node // size for node in pool.node_gpus))
    for domain in problem.power_domains:
        fed = {pool.name for pool in problem.pools if _below(problem, pool.power_domain, domain.name)}
        drawn = mathopt.LinearSum([variant.watts * n for variant, n in each if variant.pool in fed])
        model.add_linear_constraint(drawn <= domain.budget_watts)
    for quota in problem.quotas:
        own_variants = [(variant, n) for variant, n in each if variant.quota == quota.name]
        if quota.max_gpus is not None:
            gpus = mathopt.LinearSum([variant.gpus_per_replica * n for variant, n in own_variants])
            model.add_linear_constraint(gpus <= quota.max_gpus)
        if quota.max_cost_per_hour is not None:
            money = mathopt.LinearSum([variant.cost_per_hour * n for variant, n in own_variants])
            model.add_linear_constraint(money <= quota.max_cost_per_hour)


def _below(problem: Problem, name: str | None, above: str) -> bool:
    parents = {domain.name: domain.parent for domain in problem.power_domains}
    while name is not None and name != above:
        name = parents[name]
    return name == above
