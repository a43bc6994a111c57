"""Limits that a service sets itself on its counts of replicas: minima and maxima, spot, floor, zones, budget.

Takes counts, not a plan, so that a fleet which the plan only speaks of can be judged as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from medley_planner.model import Pool, Service
from medley_planner.optimize.verify.rules import TOLERANCE, Finding, Rule, within


def check_own_limits(
    service: Service, counts: Sequence[int], pools: Mapping[str, Pool], *, may_be_short: bool
) -> Iterator[Finding]:
    """`may_be_short`: whether minima may be missed."""
    yield from _check_replicas(service, counts, may_be_short=may_be_short)
    yield from _check_spot(service, counts, pools, may_be_short=may_be_short)
    if service.zone_spread:
        yield from _check_zones(service, counts, pools)
    if service.max_cost_per_hour is not None:
        cost = math.fsum(variant.cost_per_hour * n for variant, n in zip(service.variants, counts, strict=True))
        if not within(cost, service.max_cost_per_hour):
            yield Rule.BUDGET, f"the replicas cost {cost:.6f} per hour, the budget is {service.max_cost_per_hour:.6f}"


def short_of_minima(service: Service, counts: Sequence[int], pools: Mapping[str, Pool]) -> bool:
    """Whether any minimum is missed."""
    return (
        sum(counts) < service.min_replicas
        or _on_demand(service, counts, pools) < service.on_demand_min_replicas
        or any(n < variant.min_replicas for variant, n in zip(service.variants, counts, strict=True))
    )


def has_minima(service: Service) -> bool:
    return (
        service.min_replicas > 0
        or service.on_demand_min_replicas > 0
        or any(variant.min_replicas > 0 for variant in service.variants)
    )


def _check_replicas(service: Service, counts: Sequence[int], *, may_be_short: bool) -> Iterator[Finding]:
    limits = [(variant.name, variant.min_replicas, variant.max_replicas) for variant in service.variants]
    limits.append(("all variants", service.min_replicas, service.max_replicas))
    for (name, least, most), count in zip(limits, [*counts, sum(counts)], strict=True):
        if not isinstance(count, int) or count < 0:
            yield Rule.REPLICAS, f"{name}: {count} is not a number of replicas"
        elif most is not None and count > most:
            yield Rule.REPLICAS, f"{name}: {count} replicas, the maximum is {most}"
        elif count < least and not may_be_short:
            yield Rule.REPLICAS, f"{name}: {count} replicas, the minimum is {least}"


def _check_spot(
    service: Service, counts: Sequence[int], pools: Mapping[str, Pool], *, may_be_short: bool
) -> Iterator[Finding]:
    total, on_demand = sum(counts), _on_demand(service, counts, pools)
    if total - on_demand > service.spot_max_share * total + TOLERANCE:
        yield (
            Rule.SPOT_SHARE,
            f"{total - on_demand} of {total} replicas are on spot GPUs, the largest part is {service.spot_max_share:g}",
        )
    if on_demand < service.on_demand_min_replicas and not may_be_short:
        yield (
            Rule.ON_DEMAND_FLOOR,
            f"{on_demand} replicas are not on spot GPUs, the minimum is {service.on_demand_min_replicas}",
        )


def _check_zones(service: Service, counts: Sequence[int], pools: Mapping[str, Pool]) -> Iterator[Finding]:
    if sum(counts) < 2:
        return
    known = sorted({zone for variant in service.variants for zone in pools[variant.pool].zones})
    used = {variant.pool for variant, count in zip(service.variants, counts, strict=True) if count > 0}
    if not known:
        yield Rule.ZONE_SPREAD, f"{sum(counts)} replicas, and none of the pools {sorted(used)} names a zone"
    for zone in known:
        if all(set(pools[name].zones) <= {zone} for name in used):
            yield Rule.ZONE_SPREAD, f"none of {sum(counts)} replicas is in a pool with another zone than {zone}"


def _on_demand(service: Service, counts: Sequence[int], pools: Mapping[str, Pool]) -> int:
    return sum(n for variant, n in zip(service.variants, counts, strict=True) if not pools[variant.pool].spot)
