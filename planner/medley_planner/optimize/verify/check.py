"""`verify`: all rules over all services, then over what they share. Looks at structure first: the rest relies on it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from medley_planner.model import Plan, PlanStatus, Pool, Problem, Service, ServicePlan
from medley_planner.optimize.verify.cheaper import check_cheaper
from medley_planner.optimize.verify.money import check_fleet_cost, check_service_cost
from medley_planner.optimize.verify.own import check_own_limits, short_of_minima
from medley_planner.optimize.verify.priority import check_priorities
from medley_planner.optimize.verify.rules import TOLERANCE, Finding, Rule, Violation
from medley_planner.optimize.verify.shared import check_shared, take
from medley_planner.optimize.verify.single import check_single
from medley_planner.optimize.verify.traffic import check_traffic

_WHOLE = (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE)


def verify(problem: Problem, plan: Plan) -> tuple[Violation, ...]:
    """All rules that the plan breaks; empty for a good plan.

    Costs, loads and limits are recomputed from the problem; whether there is a cheaper plan is not looked for, but for
    the single type that the plan itself names. The problem has to be one that the planner accepts.
    """
    wanted = [service.name for service in problem.services]
    got = [service.service for service in plan.services]
    if wanted != got:
        return (Violation("", Rule.STRUCTURE, f"the problem has services {wanted}, the plan {got}"),)
    pairs = list(zip(problem.services, plan.services, strict=True))
    broken = [Violation(service.name, rule, told) for service, p in pairs for rule, told in _check_form(service, p)]
    if broken:
        return tuple(broken)
    pools = {pool.name: pool for pool in problem.pools}
    taken = take(problem, [[part.replicas for part in planned.variants] for planned in plan.services])
    names = pools.keys() | {domain.name for domain in problem.power_domains} | {quota.name for quota in problem.quotas}
    found: list[Violation] = []
    for service, planned in pairs:
        findings = [
            *_check_own(service, planned, pools),
            *check_single(problem, plan, service, planned, taken, pools),
            *check_cheaper(problem, service, planned, taken, pools),
            *_check_status(service, planned, pools),
        ]
        findings += [
            (Rule.UNSERVED, f"bucket {entry.bucket}: there is no pool, power domain or quota {name}")
            for entry in planned.unserved
            for name in entry.limits
            if name not in names
        ]
        found += [Violation(service.name, rule, message) for rule, message in findings]
    fleet = [*check_shared(problem, plan, taken), *check_fleet_cost(problem, plan), *_check_fleet_status(plan)]
    found += [Violation("", rule, message) for rule, message in fleet]
    found += check_priorities(problem, plan, taken, pools)
    return tuple(found)


def _check_form(service: Service, planned: ServicePlan) -> Iterator[Finding]:
    names = [variant.name for variant in service.variants]
    got = [variant.variant for variant in planned.variants]
    buckets = len(service.demand.shares)
    if names != got or planned.routing is not service.routing:
        yield Rule.STRUCTURE, f"variants {names} by {service.routing}, the plan has {got} by {planned.routing}"
        return
    for variant, part in zip(service.variants, planned.variants, strict=True):
        if len(part.bucket_shares) != buckets or part.pool != variant.pool:
            yield Rule.STRUCTURE, f"{part.variant}: {len(part.bucket_shares)} of {buckets} shares, pool {part.pool}"
            return
    if not all(0 <= entry.bucket < buckets for entry in planned.unserved):
        yield Rule.STRUCTURE, "unserved names a bucket that the demand does not have"


def _check_own(service: Service, planned: ServicePlan, pools: Mapping[str, Pool]) -> Iterator[Finding]:
    counts = [part.replicas for part in planned.variants]
    yield from check_own_limits(service, counts, pools, may_be_short=planned.status not in _WHOLE)
    yield from check_traffic(service, planned)
    yield from check_service_cost(service, planned)


def _check_status(service: Service, planned: ServicePlan, pools: Mapping[str, Pool]) -> Iterator[Finding]:
    missed = math.fsum(entry.rate_rps for entry in planned.unserved)
    if planned.status in _WHOLE and planned.unserved:
        yield Rule.STATUS, f"{planned.status}, but {missed:.6g} req/s are unserved"
    counts = [part.replicas for part in planned.variants]
    if planned.status not in _WHOLE and not planned.unserved and not short_of_minima(service, counts, pools):
        yield Rule.STATUS, f"{planned.status}, but all is served and no minimum is missed"
    serves = any(part.share > TOLERANCE for part in planned.variants)
    if planned.status is PlanStatus.INFEASIBLE and serves and service.demand.rate_rps > 0:
        yield Rule.STATUS, "Infeasible, but some demand is served"


def _check_fleet_status(plan: Plan) -> Iterator[Finding]:
    statuses = {planned.status for planned in plan.services}
    allowed = {
        PlanStatus.OPTIMAL: statuses <= {PlanStatus.OPTIMAL},
        PlanStatus.FEASIBLE: statuses <= set(_WHOLE),
        PlanStatus.PARTIAL: not statuses <= set(_WHOLE),
        PlanStatus.INFEASIBLE: statuses <= {PlanStatus.INFEASIBLE},
    }
    if not allowed[plan.status]:
        yield Rule.STATUS, f"the fleet is {plan.status}, its services are {sorted(statuses)}"
