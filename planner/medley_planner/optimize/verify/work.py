"""The load of requests in replicas, and which of them a router tells apart, from the problem's own figures.

All checks of load share this arithmetic. The routing modes are read anew here, once for the whole verifier: it shares
no code with the optimiser, so it does not ask the properties of `RoutingMode`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from medley_planner.model import RoutingMode, Service, ServicePlan, Variant


def effective_work(service: Service, variant: Variant) -> tuple[float, ...]:
    """Replicas of the variant that each bucket's whole rate takes, infinite where it cannot serve the bucket.

    Rate / (capacity x utilisation limit), times 1 + beta / sqrt(W) for a demand that is worth W replicas in all: what
    counts as W + beta sqrt(W) (square-root staffing: Halfin and Whitt 1981).
    """
    demand = service.demand
    plain = [
        demand.rate_rps * share / (capacity * service.utilisation_limit) if capacity > 0 else math.inf
        for share, capacity in zip(demand.shares, variant.capacity_rps, strict=True)
    ]
    whole = math.fsum(work for work in plain if work < math.inf)
    factor = 1 + service.staffing_beta / math.sqrt(whole) if service.staffing_beta > 0 and whole > 0 else 1.0
    return tuple(work * factor for work in plain)


def served_parts(service: Service, planned: ServicePlan) -> tuple[float, ...]:
    """The part of each bucket that all variants together get; 0 where there is no demand."""
    rows = [part.bucket_shares for part in planned.variants if any(part.bucket_shares)]
    if not rows or service.demand.rate_rps <= 0:
        return (0.0,) * len(service.demand.shares)
    return tuple(
        math.fsum(column) if share > 0 else 0.0
        for share, column in zip(service.demand.shares, zip(*rows, strict=True), strict=True)
    )


def load(work: Sequence[float], parts: Sequence[float]) -> float:
    """Replicas that `parts` of each bucket take; infinite where one of them cannot be served."""
    return math.fsum(amount * part for amount, part in zip(work, parts, strict=True) if part > 0)


def lost_replicas(service: Service) -> int:
    """How many replicas may be lost while all that is planned is still served."""
    return 1 if service.n_plus_one else 0


def sees_both_sizes(service: Service) -> bool:
    return service.routing is RoutingMode.PER_BUCKET


def sees_no_size(service: Service) -> bool:
    return service.routing in (RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE)


def by_pods(service: Service) -> bool:
    """Whether every pod gets the same share."""
    return service.routing is RoutingMode.SERVICE


def routed_alike(service: Service) -> list[list[int]]:
    """The buckets with any rate, in groups that the router cannot tell apart."""
    demanded = [bucket for bucket, share in enumerate(service.demand.shares) if service.demand.rate_rps * share > 0]
    if sees_both_sizes(service):
        return [[bucket] for bucket in demanded]
    if sees_no_size(service):
        return [demanded]
    classes: dict[float, list[int]] = {}
    for bucket in demanded:
        classes.setdefault(service.demand.buckets[bucket].prompt_tokens, []).append(bucket)
    return list(classes.values())
