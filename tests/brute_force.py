"""Every fleet of a small service, one by one: what plans are measured against. Shares no code with the planner."""

from __future__ import annotations

import itertools
import math

from medley_planner.model import RoutingMode, Service, Variant


def fleets(service: Service, stocks: dict[str, int]) -> list[tuple[float, dict[str, int]]]:
    """Cost and GPUs by pool of each fleet that serves all of the service's demand within its limits."""
    found = []
    ranges = [range(stocks[variant.pool] // variant.gpus_per_replica + 1) for variant in service.variants]
    for fleet in itertools.product(*ranges):
        pairs = list(zip(fleet, service.variants, strict=True))
        if any(not v.min_replicas <= n <= (99 if v.max_replicas is None else v.max_replicas) for n, v in pairs):
            continue
        most = 99 if service.max_replicas is None else service.max_replicas
        # A replica that gets no requests is only there where the variant's own minimum wants it.
        if any(n > v.min_replicas and not _may_get_requests(service, v) for n, v in pairs):
            continue
        if service.min_replicas <= sum(fleet) <= most and _serves(service, fleet):
            gpus: dict[str, int] = {}
            for count, variant in pairs:
                gpus[variant.pool] = gpus.get(variant.pool, 0) + count * variant.gpus_per_replica
            found.append((sum(count * variant.cost_per_hour for count, variant in pairs), gpus))
    return found


def _may_get_requests(service: Service, variant: Variant) -> bool:
    if service.routing is RoutingMode.PER_BUCKET:
        return any(variant.capacity_rps)
    return all(variant.capacity_rps) or service.demand.rate_rps == 0


def _serves(service: Service, fleet: tuple[int, ...]) -> bool:
    if service.demand.rate_rps == 0:
        return True
    buckets = range(len(service.demand.shares))
    work = [
        [
            service.demand.bucket_rate_rps(b) / variant.capacity_rps[b] / service.utilisation_limit
            if variant.capacity_rps[b]
            else math.inf
            for b in buckets
        ]
        for variant in service.variants
    ]
    whole = [sum(row) for row in work]
    if service.routing is RoutingMode.SERVICE:
        used = [load for load, count in zip(whole, fleet, strict=True) if count]
        return bool(used) and sum(fleet) >= max(used) - 1e-9
    if service.routing is RoutingMode.HTTP_ROUTE:
        return sum(count / load for count, load in zip(fleet, whole, strict=True)) >= 1 - 1e-9
    if len(fleet) == 1:
        return fleet[0] >= whole[0] - 1e-9
    return _two_variants_carry(work[0], work[1], fleet)


def _two_variants_carry(first: list[float], second: list[float], fleet: tuple[int, ...]) -> bool:
    """Exact without a solver: the first variant takes the buckets at which it is best against the second."""
    if any(a == b == math.inf for a, b in zip(first, second, strict=True)):
        return False
    room = fleet[0] - sum(a for a, b in zip(first, second, strict=True) if b == math.inf)
    rest = fleet[1] - sum(b for a, b in zip(first, second, strict=True) if a == math.inf)
    if room < -1e-9:
        return False
    both = [(a, b) for a, b in zip(first, second, strict=True) if a < math.inf and b < math.inf]
    for a, b in sorted(both, key=lambda pair: pair[0] / pair[1]):
        part = min(1.0, max(room, 0.0) / a)
        room -= part * a
        rest -= (1 - part) * b
    return rest >= -1e-8
