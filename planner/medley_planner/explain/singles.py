"""What each variant alone would cost: the fleet of one type for what the plan serves, planned like any other.

So every limit counts (stock left by the other services, nodes, power, budgets, spares), and where there is no such
fleet the planner's own reason says why.
"""

from __future__ import annotations

from dataclasses import replace

from medley_planner.explain.demand import served_demand
from medley_planner.explain.others import OneService
from medley_planner.explain.values import SingleFleet
from medley_planner.explain.whatif import WhatIf, serves_all
from medley_planner.explain.words import NO_TIME, name_buckets, reason_words
from medley_planner.model import Service, ServicePlan, UnservedReason, Variant


def single_fleets(service: Service, planned: ServicePlan, one: OneService, ask: WhatIf) -> tuple[SingleFleet, ...]:
    """One entry for each variant, in the service's order."""
    served = replace(service, demand=served_demand(service, planned))
    return tuple(_single(served, planned, variant, one, ask) for variant in service.variants)


def _single(served: Service, planned: ServicePlan, variant: Variant, one: OneService, ask: WhatIf) -> SingleFleet:
    none = SingleFleet(variant.name, variant.pool, None, None, None)
    floor = next((other for other in served.variants if other is not variant and other.min_replicas > 0), None)
    if floor is not None:
        return replace(none, why=f"variant {floor.name} has a minimum of {floor.min_replicas}")
    demand = served.demand
    missing = [
        bucket
        for bucket, share in enumerate(demand.shares)
        if demand.rate_rps * share > 0 and variant.capacity_rps[bucket] == 0
    ]
    if missing:
        part = sum(demand.shares[bucket] for bucket in missing)
        names = name_buckets(demand.buckets, missing)
        return replace(none, why=f"it cannot serve {names} ({part:.2%} of the requests) within the targets")
    problem = one.problem(served.name, service=replace(served, variants=(variant,)))
    answer = ask.ask(problem)
    if answer is None or not one.stands(problem, answer):
        return replace(none, why=NO_TIME)
    alone = answer.services[0]
    if not serves_all(alone, demand):
        reasons = dict.fromkeys(entry.reason for entry in alone.unserved)
        return replace(none, why="; ".join(reason_words(reason) for reason in reasons))
    replicas = alone.variants[0].replicas
    short = max(variant.min_replicas, served.min_replicas)
    if replicas < short:
        return replace(none, why=f"{reason_words(UnservedReason.STOCK)} for the minimum of {short} replicas")
    cost = alone.cost_per_hour
    weighed = planned.cost_per_hour + planned.switching_cost_per_hour
    ratio = (cost + alone.switching_cost_per_hour) / weighed if weighed > 0 else None
    return SingleFleet(variant.name, variant.pool, replicas, cost, ratio)
