"""Two rules that need no solver: each type rounded up by itself, and the cheapest type alone.

The continuous relaxation of one service that sees sizes and has no limits puts each bucket on the type with the least
cost per request, as nothing ties the buckets together; that is its optimum, in closed form. Rounding each type's
replicas up by itself is what planners do that work in parts of a GPU (AIBrix's optimizer in 1/100).
"""

from __future__ import annotations

import math

from medley_operator.replay.baselines.single import replicas_alone
from medley_planner.model import Service

_SLACK = 1e-9


def rounded_relaxation(service: Service) -> dict[str, int] | None:
    """Replicas by variant, each rounded up by itself; None where some bucket can be served by no variant."""
    carried: dict[str, list[float]] = {variant.name: [] for variant in service.variants}
    for bucket in range(len(service.demand.buckets)):
        rate_rps = service.demand.bucket_rate_rps(bucket)
        if rate_rps == 0:
            continue
        able = [variant for variant in service.variants if variant.capacity_rps[bucket] > 0]
        if not able:
            return None
        best = min(able, key=lambda variant: variant.cost_per_hour / variant.capacity_rps[bucket])
        carried[best.name].append(rate_rps / best.capacity_rps[bucket])
    return {name: math.ceil(math.fsum(part) - _SLACK) for name, part in carried.items()}


def cheapest_single(service: Service) -> dict[str, int] | None:
    """The cheapest fleet of one type that serves everything; None where no type can."""
    fleets = []
    for variant in service.variants:
        replicas = replicas_alone(service, variant)
        if replicas is not None:
            fleets.append((replicas * variant.cost_per_hour, variant.name, replicas))
    if not fleets:
        return None
    _, name, replicas = min(fleets)
    return {variant.name: replicas if variant.name == name else 0 for variant in service.variants}
