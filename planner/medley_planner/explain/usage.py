"""How far a plan uses what is shared: GPUs, places on nodes, watts and quotas, counted from its replicas.

A plan may contain this itself (`Plan.limits`); what it does not contain is counted here, without a price.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from medley_planner.model import LimitKind, LimitUse, Plan, Pool, PowerBudget, Problem, Quota, Service, Variant


def limit_uses(problem: Problem, planned: Plan) -> tuple[LimitUse, ...]:
    """The plan's own list, and after it whatever limit of the problem it lacks."""
    told = {(use.kind, use.name, use.size) for use in planned.limits}
    counted = (use for use in _count(problem, planned) if (use.kind, use.name, use.size) not in told)
    return (*planned.limits, *counted)


def users(problem: Problem, *, kind: LimitKind, name: str) -> tuple[Variant, ...]:
    """The variants that could use a limit: those that draw from it, may have a replica and serve something."""
    draws = drawing(problem, kind=kind, name=name)
    return tuple(variant for service in problem.services for variant in usable(service) if draws(variant))


def drawing(problem: Problem, *, kind: LimitKind, name: str) -> Callable[[Variant], bool]:
    """Whether a replica of the variant takes of the limit: by its pool, or by its quota."""
    if kind.of_quota:
        return lambda variant: variant.quota == name
    pools = fed_by(problem, name) if kind is LimitKind.POWER else {name}
    return lambda variant: variant.pool in pools


def fed_by(problem: Problem, domain: str) -> set[str]:
    """The pools in a power domain or in one below it."""
    parents = {entry.name: entry.parent for entry in problem.power_domains}
    return {pool.name for pool in problem.pools if domain in above(pool.power_domain, parents)}


def above(domain: str | None, parents: Mapping[str, str | None]) -> Iterator[str]:
    """The domain itself and all that feed it."""
    seen: set[str] = set()
    while domain is not None and domain not in seen:
        seen.add(domain)
        yield domain
        domain = parents.get(domain)


def usable(service: Service) -> Iterator[Variant]:
    """The variants that may have a replica and serve something."""
    for variant in service.variants:
        serves = any(
            capacity > 0 and share > 0
            for capacity, share in zip(variant.capacity_rps, service.demand.shares, strict=True)
        )
        if serves and variant.max_replicas != 0 and service.max_replicas != 0:
            yield variant


def replicas_by_pool(problem: Problem, planned: Plan) -> dict[str, list[tuple[Variant, int]]]:
    """Variants with their replica counts (above 0), by pool."""
    plans = {service.service: service.replicas() for service in planned.services}
    result: dict[str, list[tuple[Variant, int]]] = {}
    for service in problem.services:
        counts = plans[service.name]
        for variant in service.variants:
            if counts.get(variant.name, 0) > 0:
                result.setdefault(variant.pool, []).append((variant, counts[variant.name]))
    return result


def gpus_used(replicas: list[tuple[Variant, int]]) -> int:
    return sum(variant.gpus_per_replica * count for variant, count in replicas)


def watts_used(problem: Problem, planned: Plan, domain: str) -> float:
    by_pool = replicas_by_pool(problem, planned)
    return math.fsum(
        variant.watts * count for pool in sorted(fed_by(problem, domain)) for variant, count in by_pool.get(pool, [])
    )


def _count(problem: Problem, planned: Plan) -> Iterator[LimitUse]:
    by_pool = replicas_by_pool(problem, planned)
    for pool in problem.pools:
        replicas = by_pool.get(pool.name, [])
        if pool.stock_gpus is not None:
            yield LimitUse(LimitKind.STOCK, pool.name, 1, float(gpus_used(replicas)), float(pool.stock_gpus))
        yield from _slots(problem, pool, replicas)
    for domain in problem.power_domains:
        yield _power(problem, planned, domain)
    for quota in problem.quotas:
        yield from _of_quota(quota, [each for found in by_pool.values() for each in found])


def _slots(problem: Problem, pool: Pool, replicas: list[tuple[Variant, int]]) -> Iterator[LimitUse]:
    """Places for each size in use by the problem, where nodes have an end. A larger replica takes several places."""
    nodes = pool.nodes_by_gpus()
    if nodes is None:
        return
    sizes = {v.gpus_per_replica for service in problem.services for v in service.variants if v.pool == pool.name}
    for size in sorted(sizes):
        used = sum(v.gpus_per_replica / size * count for v, count in replicas if v.gpus_per_replica >= size)
        places = sum(gpus // size * count for gpus, count in nodes.items())
        yield LimitUse(LimitKind.SLOTS, pool.name, size, float(used), float(places))


def _power(problem: Problem, planned: Plan, domain: PowerBudget) -> LimitUse:
    return LimitUse(LimitKind.POWER, domain.name, 1, watts_used(problem, planned, domain.name), domain.budget_watts)


def _of_quota(quota: Quota, replicas: list[tuple[Variant, int]]) -> Iterator[LimitUse]:
    own = [(variant, count) for variant, count in replicas if variant.quota == quota.name]
    if quota.max_gpus is not None:
        yield LimitUse(LimitKind.QUOTA_GPUS, quota.name, 1, float(gpus_used(own)), float(quota.max_gpus))
    if quota.max_cost_per_hour is not None:
        cost_per_hour = math.fsum(variant.cost_per_hour * count for variant, count in own)
        yield LimitUse(LimitKind.QUOTA_COST, quota.name, 1, cost_per_hour, quota.max_cost_per_hour)
