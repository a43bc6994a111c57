"""Costs, switching costs, their sums, and what the plan says to have proven about them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from medley_planner.model import Plan, Problem, Service, ServicePlan
from medley_planner.optimize.verify.rules import TOLERANCE, Finding, Rule, close


def check_service_cost(service: Service, planned: ServicePlan) -> Iterator[Finding]:
    for variant, part in zip(service.variants, planned.variants, strict=True):
        cost = variant.cost_per_hour * part.replicas
        if not close(cost, part.cost_per_hour):
            yield Rule.COST, f"{variant.name}: {part.replicas} replicas cost {cost:.6f}, not {part.cost_per_hour:.6f}"
    total = math.fsum(part.cost_per_hour for part in planned.variants)
    if not close(total, planned.cost_per_hour):
        yield Rule.COST, f"the variants cost {total:.6f} in all, not {planned.cost_per_hour:.6f}"
    counts = [part.replicas for part in planned.variants]
    switching = switching_cost(service, counts)
    if not close(switching, planned.switching_cost_per_hour):
        yield (
            Rule.SWITCHING,
            f"starting new replicas costs {switching:.6f} per hour, not {planned.switching_cost_per_hour:.6f}",
        )


def switching_cost(service: Service, counts: Sequence[int]) -> float:
    """US dollars per hour for the replicas beyond those that run: price, by start and drain over the time to stay."""
    return math.fsum(
        max(0, count - variant.current_replicas)
        * variant.cost_per_hour
        * ((variant.startup_seconds + variant.drain_seconds) / service.stay_seconds)
        for variant, count in zip(service.variants, counts, strict=True)
    )


def check_fleet_cost(problem: Problem, plan: Plan) -> Iterator[Finding]:
    cost = math.fsum(
        [
            *(planned.cost_per_hour for planned in plan.services),
            *(entry.idle_cost_per_hour for entry in plan.nodes),
        ]
    )
    if not close(cost, plan.cost_per_hour):
        yield Rule.COST, f"services and idle nodes cost {cost:.6f} in all, not {plan.cost_per_hour:.6f}"
    switching = math.fsum(planned.switching_cost_per_hour for planned in plan.services)
    if not close(switching, plan.switching_cost_per_hour):
        yield Rule.SWITCHING, f"the services' come to {switching:.6f}, not {plan.switching_cost_per_hour:.6f}"
    whole = cost + switching
    bound = plan.lower_bound_per_hour
    if not bound <= whole * (1 + TOLERANCE) + 1e-9:
        yield Rule.BOUND, f"the lower bound {bound:.6f} is above cost and switching cost {whole:.6f}"
    gap = (whole - bound) / whole if whole > 0 else 0.0
    if not abs(gap - plan.gap) <= TOLERANCE:
        yield Rule.BOUND, f"cost and bound make a gap of {gap:.6g}, the plan says {plan.gap:.6g}"
