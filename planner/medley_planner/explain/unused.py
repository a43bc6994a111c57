"""By how much a variant without replicas is dearer, and whether another one is better in every way.

The plan's own reason stands; figures are added to it. They compare work: price per hour over capacity, summed over the
requests that the plan serves, fractions of a replica counted.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from medley_planner.explain.demand import served_rates_rps
from medley_planner.explain.values import PriceComparison
from medley_planner.model import Service, ServicePlan, Variant
from medley_planner.optimize.answer.work_cost import work_costs


def unused_variants(service: Service, planned: ServicePlan) -> tuple[PriceComparison, ...]:
    """In the plan's order."""
    variants = {variant.name: variant for variant in service.variants}
    counts = planned.replicas()
    used = [index for index, variant in enumerate(service.variants) if counts.get(variant.name, 0) > 0]
    rates = served_rates_rps(service, planned)
    groups = service.routing.classes(service.demand.buckets, (b for b, rate in enumerate(rates) if rate != 0))
    work = work_costs(service, used, groups, rates)
    figures = [_figures(service, variant) for variant in service.variants]
    explained = []
    for entry in planned.unused:
        variant = variants[entry.variant]
        index = service.variants.index(variant)
        compared = work[index]
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
    """Of two that are alike in everything the first stands, so that neither rules out the other."""
    for other, theirs in enumerate(figures):
        if other == index or variants[other].max_replicas == 0 or (theirs == figures[index] and other > index):
            continue
        if all(map(operator.le, theirs, figures[index])):
            return variants[other].name
    return None


def _figures(service: Service, variant: Variant) -> tuple[float, ...]:
    """What is better the less it is."""
    capacities = (
        -capacity for capacity, share in zip(variant.capacity_rps, service.demand.shares, strict=True) if share > 0
    )
    return (variant.cost_per_hour, float(variant.gpus_per_replica), variant.watts, *capacities)
