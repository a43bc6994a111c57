"""An independent check of a plan against its problem, before anything is done with it.

Imports the model and nothing else of the planner, and recomputes everything from the problem's own figures: a mistake
in the formulation must not be able to vouch for itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from medley_planner.model import Plan, PlanStatus, Problem, RoutingMode, Service, ServicePlan, Variant, VariantPlan

TOLERANCE = 1e-6
"""Relative slack on loads, shares and money."""


class Rule(StrEnum):
    """What a plan must obey."""

    STRUCTURE = "Structure"
    """The plan has each service and each of its variants, once and in order."""
    REPLICAS = "Replicas"
    """Whole numbers within the limits of variant and service; minima may only be missed by a Partial plan."""
    STOCK = "Stock"
    """No pool gives more GPUs than it holds."""
    SHARES = "Shares"
    """What is served and what is not make up each bucket; nothing is sent to a variant without a replica."""
    ROUTING = "Routing"
    """The shares are ones that the service's routing mode can bring about."""
    CAPACITY = "Capacity"
    """No replica carries more than its utilisation limit; the stated load is the true one."""
    CANNOT_SERVE = "CannotServe"
    """No bucket goes to a variant that cannot serve it."""
    COST = "Cost"
    """Costs are replicas times price and add up."""
    BOUND = "Bound"
    """The lower bound is not above the cost, and the gap is what they say."""
    BEST_SINGLE = "BestSingle"
    """The single type is one of the variants, within its limits, and not cheaper than the plan."""
    STATUS = "Status"
    """The status says what the plan leaves out."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule; `service` is empty where it is the fleet's."""

    service: str
    rule: Rule
    message: str


def verify(problem: Problem, plan: Plan) -> tuple[Violation, ...]:
    """All rules that the plan breaks; empty for a good plan."""
    wanted = [service.name for service in problem.services]
    got = [service.service for service in plan.services]
    if wanted != got:
        return (Violation("", Rule.STRUCTURE, f"the problem has services {wanted}, the plan {got}"),)
    found: list[Violation] = []
    for service, planned in zip(problem.services, plan.services, strict=True):
        found.extend(Violation(service.name, rule, message) for rule, message in _check_service(service, planned))
    if any(violation.rule is Rule.STRUCTURE for violation in found):
        return tuple(found)
    found.extend(Violation("", rule, message) for rule, message in _check_fleet(problem, plan))
    return tuple(found)


_Finding = tuple[Rule, str]


def _check_service(service: Service, planned: ServicePlan) -> Iterator[_Finding]:
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
    if any(not 0 <= entry.bucket < buckets for entry in planned.unserved):
        yield Rule.STRUCTURE, "unserved names a bucket that the demand does not have"
        return
    yield from _check_replicas(service, planned)
    if service.demand.rate_rps > 0:
        yield from _check_shares(service, planned)
        yield from _check_routing(service, planned)
        for variant, part in zip(service.variants, planned.variants, strict=True):
            yield from _check_load(service, variant, part)
    yield from _check_cost(service, planned)
    yield from _check_single(service, planned)
    yield from _check_status(service, planned)


def _check_replicas(service: Service, planned: ServicePlan) -> Iterator[_Finding]:
    may_be_short = planned.status in (PlanStatus.PARTIAL, PlanStatus.INFEASIBLE)
    limits = [(variant.name, variant.min_replicas, variant.max_replicas) for variant in service.variants]
    counts = [part.replicas for part in planned.variants]
    limits.append(("all variants", service.min_replicas, service.max_replicas))
    counts.append(sum(counts))
    for (name, least, most), count in zip(limits, counts, strict=True):
        if not isinstance(count, int) or count < 0:
            yield Rule.REPLICAS, f"{name}: {count} is no number of replicas"
        elif most is not None and count > most:
            yield Rule.REPLICAS, f"{name}: {count} replicas, the maximum is {most}"
        elif count < least and not may_be_short:
            yield Rule.REPLICAS, f"{name}: {count} replicas, the minimum is {least}"


def _check_shares(service: Service, planned: ServicePlan) -> Iterator[_Finding]:
    demand = service.demand
    missed = [0.0] * len(demand.shares)
    for entry in planned.unserved:
        missed[entry.bucket] += entry.rate_rps
    for bucket in range(len(demand.shares)):
        rate = demand.rate_rps * demand.shares[bucket]
        if rate <= 0:
            continue
        shares = [part.bucket_shares[bucket] for part in planned.variants]
        total = math.fsum(shares) + missed[bucket] / rate
        if any(not -TOLERANCE <= share <= 1 + TOLERANCE for share in (*shares, missed[bucket] / rate)):
            yield Rule.SHARES, f"bucket {bucket}: a share is outside 0 to 1"
        elif abs(total - 1) > TOLERANCE:
            yield Rule.SHARES, f"bucket {bucket}: served and unserved shares sum to {total:.9g}, not 1"
    for part in planned.variants:
        if part.replicas == 0 and any(share > 0 for share in part.bucket_shares):
            yield Rule.SHARES, f"{part.variant}: gets requests without a replica"
        stated = math.fsum(share * whole for share, whole in zip(part.bucket_shares, demand.shares, strict=True))
        if abs(stated - part.share) > TOLERANCE:
            yield Rule.SHARES, f"{part.variant}: share is {part.share:.9g}, its bucket shares make {stated:.9g}"


def _check_routing(service: Service, planned: ServicePlan) -> Iterator[_Finding]:
    if service.routing is RoutingMode.PER_BUCKET:
        return
    demand = service.demand
    served: list[list[float]] = []
    for bucket, share in enumerate(demand.shares):
        column = [part.bucket_shares[bucket] for part in planned.variants]
        if demand.rate_rps * share > 0 and math.fsum(column) > TOLERANCE:
            served.append([part / math.fsum(column) for part in column])
    total = sum(part.replicas for part in planned.variants)
    for index, part in enumerate(planned.variants):
        weights = [column[index] for column in served]
        if weights and max(weights) - min(weights) > TOLERANCE:
            yield (
                Rule.ROUTING,
                f"{part.variant}: its share of the served buckets differs, {min(weights):.6f} to {max(weights):.6f}",
            )
        equal = part.replicas / total if total else 0.0
        if service.routing is RoutingMode.SERVICE and any(abs(weight - equal) > TOLERANCE for weight in weights):
            yield (
                Rule.ROUTING,
                f"{part.variant}: behind a Service its share is {equal:.6f} by pods, the plan says {weights[0]:.6f}",
            )


def _check_load(service: Service, variant: Variant, part: VariantPlan) -> Iterator[_Finding]:
    demand = service.demand
    work = 0.0
    for bucket, share in enumerate(part.bucket_shares):
        rate = demand.rate_rps * demand.shares[bucket] * share
        if rate <= 0:
            continue
        if variant.capacity_rps[bucket] <= 0:
            yield Rule.CANNOT_SERVE, f"{variant.name}: gets {share:.6f} of bucket {bucket}, which it cannot serve"
            return
        work += rate / variant.capacity_rps[bucket]
    if work > service.utilisation_limit * part.replicas * (1 + TOLERANCE):
        yield (
            Rule.CAPACITY,
            f"{variant.name}: the load is worth {work:.6f} replicas, there are {part.replicas} "
            f"at limit {service.utilisation_limit:g}",
        )
    load = work / part.replicas if part.replicas else 0.0
    if abs(load - part.load) > TOLERANCE * max(1.0, load):
        yield Rule.CAPACITY, f"{variant.name}: load is {load:.6f}, the plan says {part.load:.6f}"


def _check_cost(service: Service, planned: ServicePlan) -> Iterator[_Finding]:
    for variant, part in zip(service.variants, planned.variants, strict=True):
        cost = variant.cost_per_hour * part.replicas
        if not _close(cost, part.cost_per_hour):
            yield Rule.COST, f"{variant.name}: {part.replicas} replicas cost {cost:.6f}, not {part.cost_per_hour:.6f}"
    total = math.fsum(part.cost_per_hour for part in planned.variants)
    if not _close(total, planned.cost_per_hour):
        yield Rule.COST, f"the variants cost {total:.6f} in all, not {planned.cost_per_hour:.6f}"


def _check_single(service: Service, planned: ServicePlan) -> Iterator[_Finding]:
    single = planned.best_single
    if single is None:
        return
    variant = next((variant for variant in service.variants if variant.name == single.variant), None)
    if variant is None:
        yield Rule.BEST_SINGLE, f"{single.variant} is no variant of the service"
        return
    if not _close(single.cost_per_hour, variant.cost_per_hour * single.replicas):
        yield Rule.BEST_SINGLE, f"{single.replicas} of {variant.name} do not cost {single.cost_per_hour:.6f}"
    most = [limit for limit in (variant.max_replicas, service.max_replicas) if limit is not None]
    if any(single.replicas > limit for limit in most):
        yield Rule.BEST_SINGLE, f"{single.replicas} of {variant.name} are above the maximum {min(most)}"
    minima = any(other.min_replicas > 0 for other in service.variants)
    cheaper = single.cost_per_hour < planned.cost_per_hour * (1 - TOLERANCE)
    if cheaper and not minima and not planned.unserved:
        yield (
            Rule.BEST_SINGLE,
            f"{single.replicas} of {variant.name} alone cost {single.cost_per_hour:.6f}, "
            f"less than the plan's {planned.cost_per_hour:.6f}",
        )


def _check_status(service: Service, planned: ServicePlan) -> Iterator[_Finding]:
    missed = math.fsum(entry.rate_rps for entry in planned.unserved)
    whole = planned.status in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE)
    if whole and planned.unserved:
        yield Rule.STATUS, f"{planned.status}, but {missed:.6g} requests/s are unserved"
    serves = any(part.share > TOLERANCE for part in planned.variants)
    if planned.status is PlanStatus.INFEASIBLE and serves and service.demand.rate_rps > 0:
        yield Rule.STATUS, "Infeasible, but some demand is served"


def _check_fleet(problem: Problem, plan: Plan) -> Iterator[_Finding]:
    taken: dict[str, int] = {}
    for service, planned in zip(problem.services, plan.services, strict=True):
        for variant, part in zip(service.variants, planned.variants, strict=True):
            taken[variant.pool] = taken.get(variant.pool, 0) + part.replicas * variant.gpus_per_replica
    for pool in problem.pools:
        if pool.stock_gpus is not None and taken.get(pool.name, 0) > pool.stock_gpus:
            yield Rule.STOCK, f"pool {pool.name} holds {pool.stock_gpus} GPUs, the plan takes {taken[pool.name]}"
    cost = math.fsum(service.cost_per_hour for service in plan.services)
    if not _close(cost, plan.cost_per_hour):
        yield Rule.COST, f"the services cost {cost:.6f} in all, not {plan.cost_per_hour:.6f}"
    bound = plan.lower_bound_per_hour
    if not bound <= cost * (1 + TOLERANCE) + 1e-9:
        yield Rule.BOUND, f"the lower bound {bound:.6f} is above the cost {cost:.6f}"
    gap = (cost - bound) / cost if cost > 0 else 0.0
    if not abs(gap - plan.gap) <= TOLERANCE:
        yield Rule.BOUND, f"cost and bound make a gap of {gap:.6g}, the plan says {plan.gap:.6g}"
    statuses = {planned.status for planned in plan.services}
    whole = plan.status in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE)
    if whole and statuses & {PlanStatus.PARTIAL, PlanStatus.INFEASIBLE}:
        yield Rule.STATUS, f"the fleet is {plan.status}, but not all services are planned whole"


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-9)
