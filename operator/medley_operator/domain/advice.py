"""The plans of services that are not acted on at once, joined with the plan of the others. Pure.

A plan that waits or is only shown takes no GPU: it is made beside what is in force everywhere, and the plan of the
others is made beside what is in force here (`planner_input`). So nobody's replicas rest on an approval to come.

Apart: the planner's loop, which solves both, decides nothing itself.
"""

from __future__ import annotations

from dataclasses import replace

from medley_planner.fleet_plan import FleetPlan, PlanOrFailure
from medley_planner.model import Plan


def with_advice(outcome: PlanOrFailure | None, advice: PlanOrFailure | None) -> PlanOrFailure | None:
    """Both as one. Where one failed, the other still counts, and the services of the first keep what they have."""
    if not isinstance(advice, Plan):
        return advice if outcome is None else outcome
    if not isinstance(outcome, Plan):
        return advice
    first, second = (each if isinstance(each, FleetPlan) else FleetPlan.of(each) for each in (outcome, advice))
    cost = first.cost_per_hour + second.cost_per_hour
    switching = first.switching_cost_per_hour + second.switching_cost_per_hour
    bound = first.lower_bound_per_hour + second.lower_bound_per_hour
    return replace(
        first,
        services=(*first.services, *second.services),
        cost_per_hour=cost,
        switching_cost_per_hour=switching,
        lower_bound_per_hour=bound,
        gap=max(cost + switching - bound, 0.0) / (cost + switching) if cost + switching > 0 else 0.0,
        routing_savings={**first.routing_savings, **second.routing_savings},
        refused={**first.refused, **second.refused},
        token_costs={**first.token_costs, **second.token_costs},
        binding={**first.binding, **second.binding},
        checked={**first.checked, **second.checked},
        capacity_factors={**first.capacity_factors, **second.capacity_factors},
    )
