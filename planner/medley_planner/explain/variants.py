"""The cost of each variant: alone for all that the plan serves, and beside those in use per unit of work.

For a variant that is not used the plan's own reason stands, figures are added to it: work is price per hour over
capacity, summed over the requests that the plan serves, fractions of a replica counted.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace

from medley_planner.explain.demand import served_demand, served_rates_rps
from medley_planner.explain.others import OneService
from medley_planner.explain.values import PriceComparison, SingleFleet
from medley_planner.explain.whatif import WhatIf, serves_all
from medley_planner.explain.words import NO_TIME, name_buckets, reason_words
from medley_planner.model import Service, ServicePlan, UnservedReason, Variant
from medley_planner.optimize.answer.work_cost import WorkCosts, work_of_rates


def single_fleets(service: Service, planned: ServicePlan, one: OneService, ask: WhatIf) -> tuple[SingleFleet, ...]:
    """The cost of each variant alone for what the plan serves, in the service's order.

    Planned like any other fleet: every limit counts (stock left by the other services, nodes, power, budgets, spares).
    """
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


def compared_variants(service: Service, planned: ServicePlan) -> tuple[PriceComparison, ...]:
    """Those that the plan does not use, in its order."""
    variants = {variant.name: variant for variant in service.variants}
    counts = planned.replicas()
    used = [index for index, variant in enumerate(service.variants) if counts.get(variant.name, 0) > 0]
    rates = served_rates_rps(service, planned)
    groups = service.routing.classes(service.demand.buckets, (b for b, rate in enumerate(rates) if rate != 0))
    work = WorkCosts(service, used, *work_of_rates(service, groups, rates))
    figures = [_figures(service, variant) for variant in service.variants]
    explained = []
    for entry in planned.unused:
        variant = variants[entry.variant]
        index = service.variants.index(variant)
        compared = work.of(index)
        ratio = compared.ratio if compared is not None else None
        explained.append(
            PriceComparison(
                omitted=entry,
                cost_per_hour=variant.cost_per_hour,
                price_ratio=ratio,
                enters_below_per_hour=variant.cost_per_hour / ratio if ratio is not None else None,
                dominated_by=_dominating(service.variants, figures, index),
            )
        )
    return tuple(explained)


def _dominating(variants: Sequence[Variant], figures: Sequence[tuple[float, ...]], index: int) -> str | None:
    """The first of two that are equal in everything stays, so that they do not rule out each other."""
    for other, theirs in enumerate(figures):
        if other == index or variants[other].max_replicas == 0 or (theirs == figures[index] and other > index):
            continue
        if all(map(operator.le, theirs, figures[index])):
            return variants[other].name
    return None


def _figures(service: Service, variant: Variant) -> tuple[float, ...]:
    """The figures of which less is better."""
    capacities = (
        -capacity for capacity, share in zip(variant.capacity_rps, service.demand.shares, strict=True) if share > 0
    )
    return (variant.cost_per_hour, float(variant.gpus_per_replica), variant.watts, *capacities)
