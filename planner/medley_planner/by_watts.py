"""Plans for the fewest watts instead of the lowest cost, with what they may cost as a limit. Pure.

Apart: the optimiser, the verifier and the bounds know one price. Here each replica's price is its watts, in kW, and its
draw is its price, so that the row of a power domain holds what the plan costs; every proof then counts for watts. The
plan is put back into US dollars after it was verified.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from medley_planner.bad_input import BadInput
from medley_planner.fleet_plan import FleetPlan
from medley_planner.model import (
    LimitKind,
    LimitUse,
    PowerBudget,
    Problem,
    Service,
    ServicePlan,
    SingleType,
    Unserved,
    UnservedReason,
    Variant,
)

COST_BUDGET = "max-cost-per-hour"
WATTS_PER_UNIT = 1000.0
"""Prices are in kW, since the optimiser's tolerances are made for some dollars per replica."""


class Objective(StrEnum):
    """The quantity that a plan has the least of."""

    COST = "cost"
    WATTS = "watts"


@dataclass(frozen=True, slots=True)
class WattsPlan:
    """`plan` is in US dollars, without a bound on them. `watts` is what its replicas draw at their limits, and
    `watts_bound` a proven lower bound on that."""

    plan: FleetPlan
    watts: float
    watts_bound: float


def priced_by_watts(problem: Problem, *, max_cost_per_hour: float = math.inf) -> Problem:
    """The problem whose cheapest plan draws the fewest watts. Starts are free in it, since they have no price in watts.

    Raises `BadInput` for what has no place beside one limit on cost.
    """
    if not max_cost_per_hour > 0.0:
        raise BadInput("", "--max-cost-per-hour", max_cost_per_hour, "give US dollars per hour above 0")
    _check(problem)
    domain = COST_BUDGET if math.isfinite(max_cost_per_hour) else None
    return replace(
        problem,
        services=tuple(_service(service) for service in problem.services),
        pools=tuple(replace(pool, power_domain=domain) for pool in problem.pools),
        power_domains=() if domain is None else (PowerBudget(domain, max_cost_per_hour),),
    )


def in_dollars(problem: Problem, planned: FleetPlan) -> WattsPlan:
    """`planned` is a plan of `priced_by_watts(problem)`."""
    services = {service.name: service for service in problem.services}
    parts = tuple(_plan_of(services[part.service], part) for part in planned.services)
    cost = sum(part.cost_per_hour for part in parts)
    plan = replace(
        planned,
        services=parts,
        cost_per_hour=cost,
        lower_bound_per_hour=0.0,
        limits=tuple(_limit(limit) for limit in planned.limits),
        token_costs={},
        binding={name: tuple(_limit(limit) for limit in limits) for name, limits in planned.binding.items()},
    )
    return WattsPlan(plan, planned.cost_per_hour * WATTS_PER_UNIT, planned.lower_bound_per_hour * WATTS_PER_UNIT)


def _check(problem: Problem) -> None:
    way_out = "leave it out with --objective watts, which holds one limit, --max-cost-per-hour"
    if problem.power_domains:
        names = ", ".join(domain.name for domain in problem.power_domains)
        raise BadInput("", "power_domains", names, way_out)
    if problem.quotas:
        raise BadInput("", "quotas", ", ".join(quota.name for quota in problem.quotas), way_out)
    for pool in problem.pools:
        if pool.node_price is not None:
            way_out_of_pool = "a node has no watts of its own; price the pool by the GPU with --objective watts"
            raise BadInput(f"pool {pool.name}", "node_price", pool.node_price.cost_per_hour, way_out_of_pool)
    for service in problem.services:
        if service.max_cost_per_hour is not None:
            raise BadInput(f"service {service.name}", "max_cost_per_hour", service.max_cost_per_hour, way_out)
        for variant in service.variants:
            if not variant.watts > 0.0:
                place = f"service {service.name}, variant {variant.name}"
                raise BadInput(place, "watts", variant.watts, "give the watts of a replica with --objective watts")


def _service(service: Service) -> Service:
    return replace(service, variants=tuple(_variant(each) for each in service.variants), stay_seconds=math.inf)


def _variant(variant: Variant) -> Variant:
    return replace(variant, cost_per_hour=variant.watts / WATTS_PER_UNIT, watts=variant.cost_per_hour)


def _plan_of(service: Service, planned: ServicePlan) -> ServicePlan:
    costs = {variant.name: variant.cost_per_hour for variant in service.variants}
    parts = tuple(replace(part, cost_per_hour=part.replicas * costs[part.variant]) for part in planned.variants)
    return replace(
        planned,
        variants=parts,
        cost_per_hour=sum(part.cost_per_hour for part in parts),
        best_single=_single(planned.best_single, costs),
        unserved=tuple(_unserved(each) for each in planned.unserved),
        cheaper=None,
    )


def _single(single: SingleType | None, costs: Mapping[str, float]) -> SingleType | None:
    """The single type of the fewest watts."""
    return None if single is None else replace(single, cost_per_hour=single.replicas * costs[single.variant])


def _unserved(unserved: Unserved) -> Unserved:
    return replace(unserved, reason=UnservedReason.BUDGET) if unserved.reason is UnservedReason.POWER else unserved


def _limit(limit: LimitUse) -> LimitUse:
    """Without its shadow price, which is in watts."""
    kind = LimitKind.QUOTA_COST if limit.kind is LimitKind.POWER else limit.kind
    return replace(limit, kind=kind, shadow_price_per_hour=None)
