"""By how much a variant without replicas is dearer, and whether another one is better in every way.

The plan's own reason stands; figures are added to it. They compare work: price per hour over capacity, summed over the
requests that the plan serves, fractions of a replica counted.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from medley_planner.explain.demand import served_rates_rps
from medley_planner.explain.values import PriceComparison
from medley_planner.model import RoutingMode, Service, ServicePlan, Variant


def unused_variants(service: Service, planned: ServicePlan) -> tuple[PriceComparison, ...]:
    """In the plan's order."""
    variants = {variant.name: variant for variant in service.variants}
    counts = planned.replicas()
    used = [variant for variant in service.variants if counts.get(variant.name, 0) > 0]
    rates = served_rates_rps(service, planned)
    groups = _groups(service, rates)
    figures = [_figures(service, variant) for variant in service.variants]
    explained = []
    for entry in planned.unused:
        variant = variants[entry.variant]
        ratio = _price_ratio(variant, used, groups, rates)
        explained.append(
            PriceComparison(
                omitted=entry,
                cost_per_hour=variant.cost_per_hour,
                price_ratio=ratio,
                enters_below_per_hour=variant.cost_per_hour / ratio if ratio is not None else None,
                dominated_by=_dominating(service.variants, figures, service.variants.index(variant)),
            )
        )
    return tuple(explained)


def _groups(service: Service, rates: Sequence[float]) -> list[list[int]]:
    """Served buckets that the router cannot tell apart."""
    groups: dict[float, list[int]] = {}
    for bucket, rate in enumerate(rates):
        if rate == 0:
            continue
        if service.routing is RoutingMode.PER_BUCKET:
            key = float(bucket)
        elif service.routing is RoutingMode.INFERENCE_POOL:
            key = service.demand.buckets[bucket].prompt_tokens
        else:
            key = 0.0
        groups.setdefault(key, []).append(bucket)
    return list(groups.values())


def _price_ratio(
    variant: Variant, used: Sequence[Variant], groups: Sequence[Sequence[int]], rates: Sequence[float]
) -> float | None:
    ours = theirs = 0.0
    for group in groups:
        mine = _work_cost(variant, group, rates)
        rival = min((_work_cost(other, group, rates) for other in used), default=math.inf)
        if math.isfinite(mine) and math.isfinite(rival):
            ours += mine
            theirs += rival
    return ours / theirs if theirs > 0 else None


def _work_cost(variant: Variant, group: Sequence[int], rates: Sequence[float]) -> float:
    """US dollars per hour for the group's requests on the variant; infinite where it cannot serve all of them."""
    if any(variant.capacity_rps[bucket] == 0 for bucket in group):
        return math.inf
    return variant.cost_per_hour * math.fsum(rates[bucket] / variant.capacity_rps[bucket] for bucket in group)


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
