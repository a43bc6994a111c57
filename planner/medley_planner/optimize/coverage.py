"""Which buckets of a service can be served at all, before any program is built: a pure pre-step.

A router that sees sizes (PerBucket) serves every bucket that some variant can serve. A router that is blind to size
sends every variant the whole mix, so what it serves must be a set that one variant covers alone; where no variant
covers all, the sets that the variants themselves cover are tried, the one with most demand first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from medley_planner.model import RoutingMode, Service, Unserved, UnservedReason
from medley_planner.optimize.task import Task, replica_cap, work_matrix


def prepare(service: Service, stocks: Mapping[str, int]) -> tuple[Task, ...]:
    """The tasks worth trying for this service, best first; more than one only where the router is blind to size.

    `stocks` holds the pools with a finite stock. A later task serves fewer buckets and is of use only where limits
    keep the earlier ones from serving their demand.
    """
    caps = tuple(replica_cap(service, variant, stocks) for variant in service.variants)
    demanded = frozenset(index for index, share in enumerate(service.demand.shares) if share > 0)
    covers = tuple(
        frozenset(bucket for bucket in demanded if variant.capacity_rps[bucket] > 0) for variant in service.variants
    )
    if service.routing is RoutingMode.PER_BUCKET:
        usable = [cover for cover, cap in zip(covers, caps, strict=True) if cap >= 1]
        candidates = [frozenset[int]().union(*usable)]
    else:
        candidates = _blind_candidates(service, demanded, covers, caps)
    return tuple(_task(service, demanded, covers, caps, served) for served in candidates)


def _blind_candidates(
    service: Service,
    demanded: frozenset[int],
    covers: tuple[frozenset[int], ...],
    caps: tuple[float, ...],
) -> list[frozenset[int]]:
    within = demanded
    if service.routing is RoutingMode.SERVICE:
        # A replica that a minimum forces gets its part of the traffic, so it must cover what is served.
        for variant, cover in zip(service.variants, covers, strict=True):
            if variant.min_replicas > 0:
                within &= cover
    sets = {cover & within for cover, cap in zip(covers, caps, strict=True) if cap >= 1}
    sets = {served for served in sets if served} or {frozenset[int]()}
    if len(sets) == 1:
        return list(sets)
    return sorted(sets, key=lambda served: _preference(service, covers, caps, served))


def _preference(
    service: Service, covers: tuple[frozenset[int], ...], caps: tuple[float, ...], served: frozenset[int]
) -> tuple[float, float, str]:
    """Most demand first; then cheapest by work alone, then by the first name of a variant that covers it."""
    buckets = tuple(sorted(served))
    work = work_matrix(service, buckets).sum(axis=1)
    costs = [
        (variant.cost_per_hour * float(total), variant.name)
        for variant, cover, cap, total in zip(service.variants, covers, caps, work, strict=True)
        if cap >= 1 and served <= cover
    ]
    cheapest, name = min(costs, default=(math.inf, ""))
    # Rounded, so that sums of the same shares in another order do not decide.
    return -round(math.fsum(service.demand.shares[bucket] for bucket in buckets), 12), cheapest, name


def _task(
    service: Service,
    demanded: frozenset[int],
    covers: tuple[frozenset[int], ...],
    caps: tuple[float, ...],
    served: frozenset[int],
) -> Task:
    buckets = tuple(sorted(served))
    if service.routing is RoutingMode.PER_BUCKET:
        able = tuple(bool(cover) or not demanded for cover in covers)
    else:
        able = tuple((bool(served) or not demanded) and served <= cover for cover in covers)
    unserved = tuple(
        Unserved(bucket, service.demand.bucket_rate_rps(bucket), _why(service, covers, caps, served, bucket))
        for bucket in sorted(demanded - served)
        if service.demand.rate_rps > 0
    )
    rates = tuple(service.demand.bucket_rate_rps(bucket) for bucket in buckets)
    return Task(service, buckets, rates, work_matrix(service, buckets), able, caps, unserved)


def _why(
    service: Service,
    covers: tuple[frozenset[int], ...],
    caps: tuple[float, ...],
    served: frozenset[int],
    bucket: int,
) -> UnservedReason:
    """A limit is the reason only where lifting it would let the bucket be served along with the rest."""
    needed = {bucket} if service.routing is RoutingMode.PER_BUCKET else served | {bucket}
    blocked = [
        variant
        for variant, cover, cap in zip(service.variants, covers, caps, strict=True)
        if cap < 1 and needed <= cover
    ]
    if not blocked:
        return UnservedReason.NO_VARIANT_MEETS_TARGET
    by_maximum = [variant.max_replicas == 0 or service.max_replicas == 0 for variant in blocked]
    return UnservedReason.MAX_REPLICAS if all(by_maximum) else UnservedReason.STOCK
