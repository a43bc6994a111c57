"""One way or more to break each rule of the verifier: by another plan, or by a tighter problem under the same plan.

A mutation gets a good plan with its problem and answers the broken pair, or None where it does not apply.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from medley_planner.model import (
    CheaperFleet,
    LimitKind,
    LimitUse,
    Plan,
    PlanStatus,
    Pool,
    Problem,
    Quota,
    RoutingMode,
    Service,
    ServicePlan,
    SingleType,
    Unserved,
    UnservedReason,
    VariantPlan,
)
from medley_planner.optimize import Rule
from tests.brute_force import Fleet, alike, feasible

Pair = tuple[Problem, Plan]
Mutation = Callable[[random.Random, Problem, Plan], Pair | None]


def _set_service(problem: Problem, index: int, service: Service) -> Problem:
    return replace(problem, services=tuple(service if i == index else old for i, old in enumerate(problem.services)))


def _set_planned(plan: Plan, index: int, planned: ServicePlan) -> Plan:
    return replace(plan, services=tuple(planned if i == index else old for i, old in enumerate(plan.services)))


def _set_part(plan: Plan, index: int, position: int, part: VariantPlan) -> Plan:
    planned = plan.services[index]
    parts = tuple(part if i == position else old for i, old in enumerate(planned.variants))
    return _set_planned(plan, index, replace(planned, variants=parts))


def _used(plan: Plan) -> list[tuple[int, int]]:
    """Service and variant of all that have replicas."""
    return [
        (index, position)
        for index, planned in enumerate(plan.services)
        for position, part in enumerate(planned.variants)
        if part.replicas
    ]


def _serving(plan: Plan) -> list[tuple[int, int]]:
    return [(i, p) for i, p in _used(plan) if plan.services[i].variants[p].share > 0.01]


def _gpus(problem: Problem, plan: Plan) -> dict[str, list[int]]:
    """The GPUs of each replica by pool."""
    found: dict[str, list[int]] = {}
    for i, p in _used(plan):
        variant = problem.services[i].variants[p]
        found.setdefault(variant.pool, []).extend([variant.gpus_per_replica] * plan.services[i].variants[p].replicas)
    return found


def _set_pool(problem: Problem, name: str, change: Callable[[Pool], Pool]) -> Problem:
    return replace(problem, pools=tuple(change(pool) if pool.name == name else pool for pool in problem.pools))


def _structure(draw: random.Random, problem: Problem, plan: Plan) -> Pair:
    planned = plan.services[0]
    part = planned.variants[0]
    return problem, draw.choice(
        (
            replace(plan, services=plan.services[1:]),
            _set_planned(plan, 0, replace(planned, service="other")),
            _set_planned(plan, 0, replace(planned, variants=planned.variants[1:])),
            _set_part(plan, 0, 0, replace(part, pool="other")),
            _set_part(plan, 0, 0, replace(part, bucket_shares=(*part.bucket_shares, 0.0))),
            _set_planned(plan, 0, replace(planned, unserved=(Unserved(99, 1.0, UnservedReason.STOCK),))),
        )
    )


def _replicas(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    if not _used(plan):
        return None
    i, p = draw.choice(_used(plan))
    service, count = problem.services[i], plan.services[i].variants[p].replicas
    total = sum(part.replicas for part in plan.services[i].variants)
    variants = list(service.variants)
    kind = draw.randrange(4)
    if kind == 0:
        variants[p] = replace(variants[p], max_replicas=count - 1, min_replicas=0)
    elif kind == 1:
        variants[p] = replace(variants[p], min_replicas=count + 1, max_replicas=None)
    elif kind == 2:
        return _set_service(problem, i, replace(service, max_replicas=total - 1)), plan
    else:
        return _set_service(problem, i, replace(service, min_replicas=total + 1)), plan
    return _set_service(problem, i, replace(service, variants=tuple(variants))), plan


def _spot_share(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    if not _used(plan):
        return None
    i, p = draw.choice(_used(plan))
    service = replace(problem.services[i], on_demand_min_replicas=0)
    moved = _set_pool(problem, service.variants[p].pool, lambda pool: replace(pool, spot=True))
    spot = {pool.name for pool in moved.pools if pool.spot}
    parts = list(zip(service.variants, plan.services[i].variants, strict=True))
    reclaimable = sum(part.replicas for variant, part in parts if variant.pool in spot)
    share = draw.uniform(0.0, 0.99) * reclaimable / sum(part.replicas for _, part in parts)
    # Others may not be held back by the pool that is spot now.
    others = tuple(replace(other, spot_max_share=1.0, on_demand_min_replicas=0) for other in moved.services)
    return _set_service(replace(moved, services=others), i, replace(service, spot_max_share=share)), plan


def _on_demand_floor(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    i = draw.randrange(len(plan.services))
    spot = {pool.name for pool in problem.pools if pool.spot}
    count = sum(part.replicas for part in plan.services[i].variants if part.pool not in spot)
    wished = replace(problem.services[i], on_demand_min_replicas=count + draw.randint(1, 3))
    return _set_service(problem, i, wished), plan


def _zone_spread(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    totals = [sum(part.replicas for part in planned.variants) for planned in plan.services]
    many = [i for i, total in enumerate(totals) if total >= 2]
    if not many:
        return None
    i = draw.choice(many)
    used = {part.pool for part in plan.services[i].variants if part.replicas}
    zones: tuple[str, ...] = draw.choice((("z",), ()))
    services = tuple(replace(service, zone_spread=False) for service in problem.services)
    moved = replace(
        problem,
        services=services,
        pools=tuple(replace(pool, zones=zones) if pool.name in used else pool for pool in problem.pools),
    )
    return _set_service(moved, i, replace(services[i], zone_spread=True)), plan


def _budget(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    if not _used(plan):
        return None
    i, _ = draw.choice(_used(plan))
    budget = plan.services[i].cost_per_hour * draw.uniform(0.1, 0.999)
    return _set_service(problem, i, replace(problem.services[i], max_cost_per_hour=budget)), plan


def _stock(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    taken = _gpus(problem, plan)
    if not taken:
        return None
    name = draw.choice(sorted(taken))
    stock = draw.randrange(sum(taken[name]))
    return _set_pool(problem, name, lambda pool: replace(pool, stock_gpus=stock)), replace(plan, limits=())


def _packing(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    paid = {pool.name for pool in problem.pools if pool.node_price is not None}
    taken = {name: gpus for name, gpus in _gpus(problem, plan).items() if name not in paid}
    if not taken:
        return None
    name = draw.choice(sorted(taken))
    largest = max(taken[name])
    if largest > 1 and draw.random() < 0.7:
        # GPUs enough, but in pieces; or one node too few of those that hold a large replica.
        whole = taken[name].count(largest) - 1
        nodes = (largest,) * whole + (largest - 1,) * sum(taken[name])
    else:
        nodes = (1,) * (sum(taken[name]) - 1)
    return _set_pool(problem, name, lambda pool: replace(pool, node_gpus=nodes)), replace(plan, limits=())


def _nodes(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    bought = [(position, entry) for position, entry in enumerate(plan.nodes) if entry.nodes]
    if not bought:
        return None
    position, entry = draw.choice(bought)
    kind = draw.randrange(4)
    if kind == 0:
        entries = [*plan.nodes[:position], *plan.nodes[position + 1 :]]
        return problem, replace(plan, nodes=tuple(entries))
    if kind == 1:

        def fewer(pool: Pool) -> Pool:
            if pool.node_price is None:
                raise AssertionError(f"{pool.name} is not paid by the node")
            return replace(pool, node_price=replace(pool.node_price, max_nodes=entry.nodes - 1))

        return _set_pool(problem, entry.pool, fewer), replace(plan, limits=())
    price = entry.cost_per_hour / entry.nodes
    change = draw.choice((-1, 1))
    changed = replace(
        entry,
        nodes=entry.nodes + change,
        cost_per_hour=entry.cost_per_hour + change * price,
        idle_cost_per_hour=entry.idle_cost_per_hour + change * price,
    )
    entries = [changed if i == position else old for i, old in enumerate(plan.nodes)]
    whole = plan.cost_per_hour + change * price
    bound = whole + plan.switching_cost_per_hour
    return problem, replace(plan, nodes=tuple(entries), cost_per_hour=whole, lower_bound_per_hour=bound)


def _power(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    drawn = [entry for entry in plan.limits if entry.kind is LimitKind.POWER and entry.used > 0]
    if not drawn:
        return None
    entry = draw.choice(drawn)
    budget = entry.used * draw.uniform(0.0, 0.999)
    domains = tuple(
        replace(domain, budget_watts=budget) if domain.name == entry.name else domain
        for domain in problem.power_domains
    )
    return replace(problem, power_domains=domains), replace(plan, limits=())


def _quota(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    """A limit below what one service takes."""
    if not _used(plan):
        return None
    i, _ = draw.choice(_used(plan))
    service, planned = problem.services[i], plan.services[i]
    gpus = sum(
        variant.gpus_per_replica * part.replicas
        for variant, part in zip(service.variants, planned.variants, strict=True)
    )
    cost = sum(part.cost_per_hour for part in planned.variants)
    # The cost of a plan that is paid by the node is not its replicas' alone, and may be nothing.
    too_dear = Quota("team", max_cost_per_hour=cost * draw.uniform(0.1, 0.99)) if cost > 0.01 else None
    quota = draw.choice([each for each in (Quota("team", max_gpus=draw.randrange(gpus)), too_dear) if each])
    variants = tuple(replace(variant, quota=quota.name) for variant in service.variants)
    within_it = _set_service(problem, i, replace(service, variants=variants))
    return replace(within_it, quotas=(quota,)), replace(plan, limits=())


def _shares(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    if not _serving(plan):
        return None
    i, p = draw.choice(_serving(plan))
    part = plan.services[i].variants[p]
    bucket = max(range(len(part.bucket_shares)), key=lambda b: part.bucket_shares[b])
    kind = draw.randrange(4)
    if kind == 0:
        return problem, _set_part(plan, i, p, replace(part, share=part.share * draw.uniform(0.1, 0.99)))
    if kind == 1:
        return problem, _set_part(plan, i, p, replace(part, replicas=0))
    changed = list(part.bucket_shares)
    changed[bucket] = draw.choice((changed[bucket] * 0.9, float("nan"), -changed[bucket], changed[bucket] + 0.01))
    return problem, _set_part(plan, i, p, replace(part, bucket_shares=tuple(changed)))


def _routing(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    """Moves a part of one bucket from one variant to another, so that all sums still hold."""
    for i, service in enumerate(problem.services):
        serving = [p for index, p in _serving(plan) if index == i]
        groups = [group for group in alike(service) if len(group) > 1]
        if service.routing is RoutingMode.SERVICE:
            groups = alike(service)
        if len(serving) < 2 or not groups or service.routing is RoutingMode.PER_BUCKET:
            continue
        bucket = draw.choice(draw.choice(groups))
        giver, taker = draw.sample(serving, 2)
        out, into = plan.services[i].variants[giver], plan.services[i].variants[taker]
        moved = out.bucket_shares[bucket] * draw.uniform(0.05, 1.0)
        if moved < 0.001:
            continue
        for position, part, by in ((giver, out, -moved), (taker, into, moved)):
            row = list(part.bucket_shares)
            row[bucket] += by
            share = sum(one * whole for one, whole in zip(row, service.demand.shares, strict=True))
            plan = _set_part(plan, i, position, replace(part, bucket_shares=tuple(row), share=share))
        return problem, plan
    return None


def _capacity(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    if not _serving(plan):
        return None
    i, p = draw.choice(_serving(plan))
    part = plan.services[i].variants[p]
    if draw.random() < 0.3:
        return problem, _set_part(plan, i, p, replace(part, load=part.load * draw.choice((0.5, 1.1, float("nan")))))
    if draw.random() < 0.5:
        limit = part.load * draw.uniform(0.1, 0.99)
        return _set_service(problem, i, replace(problem.services[i], utilisation_limit=limit)), plan
    # W + beta sqrt(W) is above all replicas where beta is.
    beta = draw.uniform(1.0, 3.0) * part.replicas / part.load + 2.0 * part.replicas
    return _set_service(problem, i, replace(problem.services[i], staffing_beta=beta)), plan


def _cannot_serve(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    if not _serving(plan):
        return None
    i, p = draw.choice(_serving(plan))
    service = problem.services[i]
    bucket = draw.choice([b for b, share in enumerate(plan.services[i].variants[p].bucket_shares) if share > 0])
    variants = list(service.variants)
    capacity = list(variants[p].capacity_rps)
    capacity[bucket] = 0.0
    variants[p] = replace(variants[p], capacity_rps=tuple(capacity))
    return _set_service(problem, i, replace(service, variants=tuple(variants))), plan


def _n_plus_one(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    """Where nothing but the load asks for the replicas, and without one of them it is not served."""
    fleets = [tuple(part.replicas for part in planned.variants) for planned in plan.services]
    critical = [
        i
        for i, p in _serving(plan)
        if _asks_only_for_load(problem.services[i])
        and not feasible(problem, [_one_fewer(fleet, p) if index == i else fleet for index, fleet in enumerate(fleets)])
    ]
    if not critical:
        return None
    i = draw.choice(critical)
    return _set_service(problem, i, replace(problem.services[i], n_plus_one=True)), plan


def _asks_only_for_load(service: Service) -> bool:
    minima = [service.min_replicas, service.on_demand_min_replicas, *(v.min_replicas for v in service.variants)]
    return not any(minima) and not service.zone_spread and not service.n_plus_one and service.spot_max_share == 1


def _one_fewer(fleet: Fleet, position: int) -> Fleet:
    return (*fleet[:position], fleet[position] - 1, *fleet[position + 1 :])


def _cost(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    if not _used(plan):
        return None
    i, p = draw.choice(_used(plan))
    by = draw.choice((0.9, 1.001, float("nan")))
    planned = plan.services[i]
    choices = [
        replace(plan, cost_per_hour=plan.cost_per_hour * by),
        _set_planned(plan, i, replace(planned, cost_per_hour=planned.cost_per_hour * by)),
        _set_part(plan, i, p, replace(planned.variants[p], cost_per_hour=planned.variants[p].cost_per_hour * by)),
    ]
    if plan.nodes and plan.nodes[0].nodes:
        first = plan.nodes[0]
        choices.append(replace(plan, nodes=(replace(first, cost_per_hour=first.cost_per_hour * by), *plan.nodes[1:])))
        idle = first.idle_cost_per_hour + 0.01 * by
        choices.append(replace(plan, nodes=(replace(first, idle_cost_per_hour=idle), *plan.nodes[1:])))
    return problem, draw.choice(choices)


def _switching(draw: random.Random, problem: Problem, plan: Plan) -> Pair:
    more = draw.choice((0.01, -0.01, float("nan")))
    planned = plan.services[0]
    cost = planned.switching_cost_per_hour + more
    return problem, draw.choice(
        (
            replace(plan, switching_cost_per_hour=plan.switching_cost_per_hour + more),
            _set_planned(plan, 0, replace(planned, switching_cost_per_hour=cost)),
        )
    )


def _bound(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    whole = plan.cost_per_hour + plan.switching_cost_per_hour
    if whole == 0:
        return None
    return problem, draw.choice(
        (
            replace(plan, lower_bound_per_hour=whole * 1.01),
            replace(plan, lower_bound_per_hour=whole * 0.9),
            replace(plan, lower_bound_per_hour=float("nan")),
            replace(plan, gap=plan.gap + 0.01),
            replace(plan, gap=float("nan")),
        )
    )


def _best_single(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    if not _serving(plan):
        return None
    i, p = draw.choice(_serving(plan))
    variant, planned = problem.services[i].variants[p], plan.services[i]
    work = sum(
        problem.services[i].demand.bucket_rate_rps(b) / capacity if capacity else 1e9
        for b, capacity in enumerate(variant.capacity_rps)
    )
    too_few = max(0, int(work * 0.99))
    return problem, draw.choice(
        (
            _set_planned(plan, i, replace(planned, best_single=SingleType("other", 1, 1.0))),
            _set_planned(
                plan, i, replace(planned, best_single=SingleType(variant.name, 9, variant.cost_per_hour * 8.5))
            ),
            _set_planned(
                plan,
                i,
                replace(planned, best_single=SingleType(variant.name, too_few, variant.cost_per_hour * too_few)),
            ),
        )
    )


def _cheaper(draw: random.Random, problem: Problem, plan: Plan) -> Pair:
    i = draw.randrange(len(plan.services))
    planned = plan.services[i]
    now = tuple(part.replicas for part in planned.variants)
    named = draw.choice(
        (
            CheaperFleet(now, 1.0, 1.0),
            CheaperFleet((), 1.0, 1.0),
            CheaperFleet(tuple(count + 1 for count in now), 1.0, -1.0),
            CheaperFleet((0,) * len(now), planned.cost_per_hour, 0.0),
            CheaperFleet((0,) * len(now), float("nan"), float("nan")),
        )
    )
    return problem, _set_planned(plan, i, replace(planned, cheaper=named))


def _limits(draw: random.Random, problem: Problem, plan: Plan) -> Pair:
    if not plan.limits or draw.random() < 0.2:
        alien = LimitUse(draw.choice(list(LimitKind)), "other", 1, 0.0, 4.0)
        return problem, replace(plan, limits=(*plan.limits, alien))
    position = draw.randrange(len(plan.limits))
    entry = plan.limits[position]
    changed = draw.choice(
        (
            replace(entry, used=entry.used + 1),
            replace(entry, limit=entry.limit - 1),
            replace(entry, shadow_price_per_hour=-0.01),
            replace(entry, shadow_price_per_hour=float("nan")),
            replace(entry, size=0),
        )
    )
    kept = [*plan.limits[:position], *plan.limits[position + 1 :]]
    twice = [entry, entry] if draw.random() < 0.2 else [changed]
    return problem, replace(plan, limits=(*kept, *twice))


def _unserved(draw: random.Random, problem: Problem, plan: Plan) -> Pair | None:
    rate = problem.services[0].demand.bucket_rate_rps(0)
    entry = draw.choice(
        (
            Unserved(0, -0.1, UnservedReason.STOCK),
            Unserved(0, 0.0, UnservedReason.STOCK),
            Unserved(0, rate * 1.5 + 1, UnservedReason.STOCK),
            Unserved(0, float("nan"), UnservedReason.STOCK),
            Unserved(0, rate / 2, UnservedReason.POWER, ("other",)),
        )
    )
    return problem, _set_planned(plan, 0, replace(plan.services[0], unserved=(entry,)))


def _status(draw: random.Random, problem: Problem, plan: Plan) -> Pair:
    planned = plan.services[0]
    whole = planned.status in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE)
    choices = [
        replace(plan, status=PlanStatus.PARTIAL if whole else PlanStatus.OPTIMAL),
        _set_planned(plan, 0, replace(planned, status=PlanStatus.PARTIAL)),
        _set_planned(plan, 0, replace(planned, status=PlanStatus.INFEASIBLE)),
    ]
    return problem, draw.choice(choices)


MUTATIONS: dict[Rule, Mutation] = {
    Rule.STRUCTURE: _structure,
    Rule.REPLICAS: _replicas,
    Rule.SPOT_SHARE: _spot_share,
    Rule.ON_DEMAND_FLOOR: _on_demand_floor,
    Rule.ZONE_SPREAD: _zone_spread,
    Rule.BUDGET: _budget,
    Rule.STOCK: _stock,
    Rule.PACKING: _packing,
    Rule.NODES: _nodes,
    Rule.POWER: _power,
    Rule.QUOTA: _quota,
    Rule.SHARES: _shares,
    Rule.ROUTING: _routing,
    Rule.CAPACITY: _capacity,
    Rule.CANNOT_SERVE: _cannot_serve,
    Rule.N_PLUS_ONE: _n_plus_one,
    Rule.COST: _cost,
    Rule.SWITCHING: _switching,
    Rule.BOUND: _bound,
    Rule.BEST_SINGLE: _best_single,
    Rule.CHEAPER: _cheaper,
    Rule.LIMITS: _limits,
    Rule.UNSERVED: _unserved,
    Rule.STATUS: _status,
}
"""Mutations by rule; `PRIORITY` takes two services at odds, which are made on purpose."""

ALONE = frozenset(
    {
        Rule.SPOT_SHARE,
        Rule.ON_DEMAND_FLOOR,
        Rule.ZONE_SPREAD,
        Rule.BUDGET,
        Rule.STOCK,
        Rule.POWER,
        Rule.N_PLUS_ONE,
        Rule.BOUND,
        Rule.BEST_SINGLE,
        Rule.CHEAPER,
        Rule.LIMITS,
        Rule.STRUCTURE,
    }
)
"""Mutations that break nothing but their rule."""
