"""Keeps at most as many variants as a route has backends: those that are likeliest to be in a cheap plan. Pure.

Unlike `prune` this may cost: a variant that is left out could have been part of the cheapest plan. It is the last
resort, and each omitted variant is listed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from medley_planner.model import Service, Variant
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.units import per_hour
from medley_planner.variants.prune import Matrix, Pruned, demanded_buckets, effective_work


def limit(service: Service, *, most: int, keep: Collection[str]) -> Pruned:
    """At most `most` variants of `service`, or as many as `keep` names where those are more.

    First those named in `keep`; then, while a part of the demand has no variant, the one that serves most of it; then
    the cheapest of each pool, since pools may run out; then the cheapest of all. The measure: US dollars per hour, for
    each request per second, of as many replicas as serve alone what the variant can serve of the demand.
    """
    variants = service.variants
    if len(variants) <= most:
        return Pruned(variants, ())
    demanded = demanded_buckets(service)
    capacity = np.array([variant.capacity_rps for variant in variants], float)[:, demanded]
    work = effective_work(service, capacity, demanded)
    rates = np.array([service.demand.bucket_rate_rps(bucket) for bucket in demanded])
    cost = [_cost_per_rps(variant, work[index], rates) for index, variant in enumerate(variants)]
    required = [index for index, variant in enumerate(variants) if variant.name in keep or variant.min_replicas > 0]
    chosen = [*required, *_covering(variants, work, rates, required, cost), *_order(service, work, cost)]
    kept = set(list(dict.fromkeys(chosen))[: max(most, len(required))])
    return Pruned(
        variants=tuple(variant for index, variant in enumerate(variants) if index in kept),
        dropped=tuple(
            Omitted(variant.name, variant.pool, OmittedReason.TOO_MANY, _message(variant, cost[index], most))
            for index, variant in enumerate(variants)
            if index not in kept
        ),
    )


def _cost_per_rps(variant: Variant, work: Matrix, rates: Matrix) -> float:
    served = np.isfinite(work)
    rate = float(rates[served].sum())
    if not served.any():
        return math.inf
    if rate <= 0:
        return variant.cost_per_hour
    return variant.cost_per_hour * max(math.ceil(float(work[served].sum())), 1) / rate


def _covering(
    variants: tuple[Variant, ...], work: Matrix, rates: Matrix, chosen: list[int], cost: Sequence[float]
) -> list[int]:
    """Variants that must come in so that all demand that some variant serves is served by one that stays."""
    able = np.isfinite(work)
    weight = np.maximum(rates, np.finfo(float).tiny)
    missing = able.any(axis=0) & ~able[chosen].any(axis=0)
    added: list[int] = []
    while missing.any():
        gain = (able * weight)[:, missing].sum(axis=1)
        best = max(range(len(variants)), key=lambda index: (gain[index], -cost[index], -index))
        added.append(best)
        missing &= ~able[best]
    return added


def _order(service: Service, work: Matrix, cost: Sequence[float]) -> list[int]:
    """All variants: the best of each pool, then the rest, both from the best on.

    Where the router does not see sizes, those that cannot serve all that some variant serves are of little use.
    """
    able = np.isfinite(work)
    partial = able.sum(axis=1) < able.sum(axis=1).max() if service.routing.blind else np.zeros(len(cost), bool)
    names = [variant.name for variant in service.variants]
    order = sorted(range(len(names)), key=lambda index: (bool(partial[index]), cost[index], names[index]))
    best: dict[str, int] = {}
    for index in order:
        best.setdefault(service.variants[index].pool, index)
    return [*best.values(), *order]


def _message(variant: Variant, cost: float, most: int) -> str:
    each = f"{per_hour(cost)} per req/s" if math.isfinite(cost) else "serves nothing of this load"
    return (
        f"a plan considers at most {most} variants per service, and {variant.name} ({each}) is not among the best; "
        "name it in spec.variants to include it"
    )
