"""The changes since the last plan, and their causes: replica counts, the facts that differ, and what each of them
costs.

The difference in cost is split by changing the last problem into this one in steps (demand, prices, what is shared, the
rest) and planning each; the order is fixed, so that the parts add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from medley_planner.explain.limits import explain_limits
from medley_planner.explain.values import Change, ChangeKind, CostCause, PlanChange, ReplicaChange
from medley_planner.explain.whatif import WhatIf
from medley_planner.model import Plan, Pool, PowerBudget, Problem, Service, Variant
from medley_planner.units import per_hour, req_per_second

_SAME = 1e-9
"""Relative. Numbers that differ by less are equal."""
_SHOWN_CAPACITIES = 0.001
"""Relative. A capacity row is said to have changed from here on."""


def explain_change(
    problem: Problem, planned: Plan, last: Plan, *, last_problem: Problem | None, ask: WhatIf
) -> PlanChange:
    """`last_problem` is what `last` was made from; without it only the replicas and the cost can be compared."""
    why: tuple[Change, ...] = ()
    causes: tuple[CostCause, ...] = ()
    if last_problem is not None:
        why = (*_differences(last_problem, problem), *_limits(last_problem, last, problem, planned))
        causes = _causes(last_problem, last, problem, planned, ask)
    return PlanChange(
        cost_before_per_hour=last.cost_per_hour,
        cost_after_per_hour=planned.cost_per_hour,
        replicas=tuple(_replicas(last, planned)),
        why=why,
        causes=causes,
    )


def _replicas(last: Plan, planned: Plan) -> Iterator[ReplicaChange]:
    before = {service.service: service.replicas() for service in last.services}
    after = {service.service: service.replicas() for service in planned.services}
    for name in dict.fromkeys((*after, *before)):
        old, new = before.get(name, {}), after.get(name, {})
        for variant in dict.fromkeys((*new, *old)):
            if old.get(variant, 0) != new.get(variant, 0):
                yield ReplicaChange(name, variant, old.get(variant, 0), new.get(variant, 0))


def _differences(last: Problem, problem: Problem) -> Iterator[Change]:
    before = {service.name: service for service in last.services}
    after = {service.name: service for service in problem.services}
    for name in dict.fromkeys((*after, *before)):
        if name not in after:
            yield Change(ChangeKind.SERVICE, name, f"service {name} is gone")
        elif name not in before:
            yield Change(ChangeKind.SERVICE, name, f"service {name} is new")
        else:
            yield from _service(before[name], after[name])
    old_pools = {pool.name: pool for pool in last.pools}
    for pool in problem.pools:
        if pool.name in old_pools:
            yield from _pool(old_pools[pool.name], pool)
    old_domains = {domain.name: domain for domain in last.power_domains}
    for domain in problem.power_domains:
        if domain.name in old_domains:
            yield from _domain(old_domains[domain.name], domain)


def _service(last: Service, service: Service) -> Iterator[Change]:
    name = service.name
    before, after = last.demand.rate_rps, service.demand.rate_rps
    if _differ(before, after):
        percent = f" ({after / before - 1:+.1%})" if before > 0 else ""
        words = f"the demand of service {name} went from {before:.4g} to {req_per_second(after)}{percent}"
        yield Change(ChangeKind.DEMAND, name, words, before, after)
    if last.demand.buckets != service.demand.buckets or any(
        _differ(a, b) for a, b in zip(last.demand.shares, service.demand.shares, strict=True)
    ):
        yield Change(ChangeKind.DEMAND, name, f"the mix of sizes of service {name} changed")
    for field in _SERVICE_FIELDS:
        old, new = getattr(last, field), getattr(service, field)
        if old != new:
            words = f"{field} of service {name} went from {old} to {new}"
            yield Change(ChangeKind.SERVICE_LIMITS, name, words)
    old_variants = {variant.name: variant for variant in last.variants}
    new_variants = {variant.name: variant for variant in service.variants}
    for variant in dict.fromkeys((*new_variants, *old_variants)):
        if variant not in new_variants:
            yield Change(ChangeKind.VARIANT, f"{name} {variant}", f"variant {variant} of service {name} is gone")
        elif variant not in old_variants:
            yield Change(ChangeKind.VARIANT, f"{name} {variant}", f"variant {variant} of service {name} is new")
        else:
            yield from _variant(name, old_variants[variant], new_variants[variant])


_SERVICE_FIELDS = tuple(
    field.name for field in fields(Service) if field.name not in ("name", "demand", "variants", "stay_seconds")
)


def _variant(service: str, last: Variant, variant: Variant) -> Iterator[Change]:
    name = f"{service} {variant.name}"
    words = f"variant {variant.name} of service {service}"
    before, after = last.cost_per_hour, variant.cost_per_hour
    if _differ(before, after):
        yield Change(
            ChangeKind.PRICE,
            name,
            f"a replica of {words} went from {per_hour(before)} to {per_hour(after)}",
            before,
            after,
        )
    ratios = [
        b / a
        for a, b in zip(last.capacity_rps, variant.capacity_rps, strict=False)
        if a > 0 and abs(b / a - 1) > _SHOWN_CAPACITIES
    ]
    if ratios:
        yield Change(
            ChangeKind.CAPACITY,
            name,
            f"the capacity of {words} is {min(ratios):.3g} to {max(ratios):.3g} times its earlier value, by size",
        )
    appeared = sum(1 for a, b in zip(last.capacity_rps, variant.capacity_rps, strict=False) if a == 0 < b)
    if appeared:
        yield Change(ChangeKind.CAPACITY, name, f"{words} now meets the targets for {appeared} more sizes")
    for field in ("min_replicas", "max_replicas"):
        old, new = getattr(last, field), getattr(variant, field)
        if old != new:
            yield Change(ChangeKind.SERVICE_LIMITS, name, f"{field} of {words} went from {old} to {new}")


def _pool(last: Pool, pool: Pool) -> Iterator[Change]:
    before, after = last.stock_gpus, pool.stock_gpus
    if before != after:
        words = f"the stock of pool {pool.name} went from {_or_endless(before)} to {_or_endless(after)} GPUs"
        yield Change(ChangeKind.STOCK, pool.name, words, before, after)
    if last.node_gpus != pool.node_gpus:
        words = f"the nodes of pool {pool.name} changed from {_nodes(last)} to {_nodes(pool)}"
        yield Change(ChangeKind.STOCK, pool.name, words)
    if last.node_price != pool.node_price:
        yield Change(ChangeKind.PRICE, pool.name, f"the price or the number of nodes of pool {pool.name} changed")
    for field in ("spot", "zones", "power_domain"):
        if getattr(last, field) != getattr(pool, field):
            yield Change(ChangeKind.STOCK, pool.name, f"{field} of pool {pool.name} changed")


def _domain(last: PowerBudget, domain: PowerBudget) -> Iterator[Change]:
    before, after = last.budget_watts, domain.budget_watts
    if _differ(before, after):
        words = f"the budget of power domain {domain.name} went from {before:g} to {after:g} W"
        yield Change(ChangeKind.STOCK, domain.name, words, before, after)


def _or_endless(stock: int | None) -> str:
    return "unlimited" if stock is None else str(stock)


def _nodes(pool: Pool) -> str:
    return "no limit" if pool.node_gpus is None else f"{len(pool.node_gpus)} with {sum(pool.node_gpus)} GPUs"


def _limits(last_problem: Problem, last: Plan, problem: Problem, planned: Plan) -> Iterator[Change]:
    none = WhatIf(0.0)
    before = {(e.kind, e.name, e.size): e for e in explain_limits(last_problem, last, none)}
    for entry in explain_limits(problem, planned, none):
        old = before.get((entry.kind, entry.name, entry.size))
        if (old is not None and old.binding) == entry.binding:
            continue
        places = f" (places for {entry.size} GPUs)" if entry.size > 1 else ""
        earlier = f", {old.used:g} of {old.limit:g} before" if old is not None else ""
        binds = "binds now" if entry.binding else "no longer binds"
        yield Change(
            ChangeKind.LIMIT,
            entry.name,
            f"{entry.kind.value} of {entry.name}{places} {binds}: {entry.used:g} of {entry.limit:g} used{earlier}",
        )


def _causes(last_problem: Problem, last: Plan, problem: Problem, planned: Plan, ask: WhatIf) -> tuple[CostCause, ...]:
    """Only stages that change something are planned, and the last one is this plan itself."""
    stages: tuple[tuple[ChangeKind, Callable[[Problem, Problem], Problem]], ...] = (
        (ChangeKind.DEMAND, _with_demand),
        (ChangeKind.PRICE, _with_prices),
        (ChangeKind.STOCK, _with_shared),
        (ChangeKind.REST, lambda _, target: target),
    )
    causes: list[CostCause] = []
    current, cost = last_problem, last.cost_per_hour
    for kind, step in stages:
        following = step(current, problem)
        if following == current:
            continue
        answer = planned if following == problem else ask.ask(following)
        if answer is None:
            return ()
        causes.append(CostCause(kind, answer.cost_per_hour - cost))
        current, cost = following, answer.cost_per_hour
    if current == problem and cost != planned.cost_per_hour:
        # The same problem, another plan: one of the two was not brought to its end.
        causes.append(CostCause(ChangeKind.REST, planned.cost_per_hour - cost))
    return tuple(causes)


def _with_demand(current: Problem, target: Problem) -> Problem:
    """Demands of services that are in both; sizes of another grid come with the rest, as do their capacities."""
    wanted = {service.name: service.demand for service in target.services}

    def changed(service: Service) -> Service:
        demand = wanted.get(service.name)
        same_grid = demand is not None and len(demand.shares) == len(service.demand.shares)
        return replace(service, demand=demand) if demand is not None and same_grid else service

    return replace(current, services=tuple(changed(service) for service in current.services))


def _with_prices(current: Problem, target: Problem) -> Problem:
    prices = {
        (service.name, variant.name): variant.cost_per_hour
        for service in target.services
        for variant in service.variants
    }
    nodes = {pool.name: pool.node_price for pool in target.pools}

    def priced(service: Service) -> Service:
        variants = tuple(
            replace(variant, cost_per_hour=prices.get((service.name, variant.name), variant.cost_per_hour))
            for variant in service.variants
        )
        return replace(service, variants=variants)

    def pool_priced(pool: Pool) -> Pool:
        price = nodes.get(pool.name)
        if price is None or pool.node_price is None:
            return pool
        return replace(pool, node_price=replace(pool.node_price, cost_per_hour=price.cost_per_hour))

    return replace(
        current,
        services=tuple(priced(service) for service in current.services),
        pools=tuple(pool_priced(pool) for pool in current.pools),
    )


def _with_shared(current: Problem, target: Problem) -> Problem:
    """Stock, nodes and power, if the target still has all pools that the services use."""
    known = {pool.name for pool in target.pools}
    if any(variant.pool not in known for service in current.services for variant in service.variants):
        return current
    return replace(current, pools=target.pools, power_domains=target.power_domains)


def _differ(before: float, after: float) -> bool:
    return abs(after - before) > _SAME * max(abs(before), abs(after))
