"""Where a plan sends the requests of one service: shares, routing mode, load, and the loss of one replica."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from medley_planner.model import Service, ServicePlan, Variant, VariantPlan
from medley_planner.optimize.verify.rules import TOLERANCE, Finding, Rule
from medley_planner.optimize.verify.work import (
    by_pods,
    effective_work,
    load,
    lost_replicas,
    routed_alike,
    sees_both_sizes,
    sees_no_size,
    served_parts,
)


def check_traffic(service: Service, planned: ServicePlan) -> Iterator[Finding]:
    """Everything about requests; nothing where there are none, but that then none can be left out."""
    yield from _check_unserved(service, planned)
    if service.demand.rate_rps <= 0:
        return
    served = served_parts(service, planned)
    yield from _check_shares(service, planned, served)
    yield from _check_routing(service, planned, served)
    for variant, part in zip(service.variants, planned.variants, strict=True):
        if part.replicas or part.load or any(part.bucket_shares):
            yield from _check_load(service, variant, part)
    if lost_replicas(service):
        yield from _check_loss(service, planned, served)


def _check_unserved(service: Service, planned: ServicePlan) -> Iterator[Finding]:
    for entry in planned.unserved:
        rate = service.demand.bucket_rate_rps(entry.bucket)
        if not (entry.rate_rps > 0 and entry.rate_rps <= rate * (1 + TOLERANCE)):
            yield Rule.UNSERVED, f"bucket {entry.bucket}: {entry.rate_rps:.6g} of {rate:.6g} req/s are left out"


def _check_shares(service: Service, planned: ServicePlan, served: Sequence[float]) -> Iterator[Finding]:
    demand = service.demand
    missed = [0.0] * len(demand.shares)
    for entry in planned.unserved:
        missed[entry.bucket] += entry.rate_rps
    for bucket, share in enumerate(demand.shares):
        rate = demand.rate_rps * share
        if rate > 0:
            total = served[bucket] + missed[bucket] / rate
            if not abs(total - 1) <= TOLERANCE:
                yield Rule.SHARES, f"bucket {bucket}: served and unserved shares sum to {total:.9g}, not 1"
    for part in planned.variants:
        if not any(part.bucket_shares) and part.share == 0:
            continue
        if not all(-TOLERANCE <= share <= 1 + TOLERANCE for share in part.bucket_shares):
            yield Rule.SHARES, f"{part.variant}: a share is outside 0 to 1"
        if part.replicas == 0 and any(share > 0 for share in part.bucket_shares):
            yield Rule.SHARES, f"{part.variant}: gets requests without a replica"
        stated = math.fsum(share * whole for share, whole in zip(part.bucket_shares, demand.shares, strict=True))
        if not abs(stated - part.share) <= TOLERANCE:
            yield Rule.SHARES, f"{part.variant}: share is {part.share:.9g}, its bucket shares make {stated:.9g}"


def _check_routing(service: Service, planned: ServicePlan, served: Sequence[float]) -> Iterator[Finding]:
    """Each variant gets the same part of the served requests of all buckets that the router cannot tell apart."""
    if sees_both_sizes(service):
        return
    total = sum(part.replicas for part in planned.variants)
    for alike in routed_alike(service):
        reached = [bucket for bucket in alike if served[bucket] > TOLERANCE]
        for part in planned.variants:
            weights = [part.bucket_shares[bucket] / served[bucket] for bucket in reached]
            if not weights:
                continue
            if not max(weights) - min(weights) <= TOLERANCE:
                yield (
                    Rule.ROUTING,
                    f"{part.variant}: {service.routing} cannot tell buckets {reached} apart, "
                    f"but its share of them differs, {min(weights):.6f} to {max(weights):.6f}",
                )
            equal = part.replicas / total if total else 0.0
            if by_pods(service) and not all(abs(one - equal) <= TOLERANCE for one in weights):
                yield (
                    Rule.ROUTING,
                    f"{part.variant}: behind a Service its share is {equal:.6f} by pods, "
                    f"the plan says {weights[0]:.6f}",
                )


def _check_load(service: Service, variant: Variant, part: VariantPlan) -> Iterator[Finding]:
    demand = service.demand
    plain = 0.0
    for bucket, share in enumerate(part.bucket_shares):
        rate = demand.rate_rps * demand.shares[bucket] * share
        if rate <= 0:
            continue
        if variant.capacity_rps[bucket] <= 0:
            yield Rule.CANNOT_SERVE, f"{variant.name}: gets {share:.6f} of bucket {bucket}, which it cannot serve"
            return
        plain += rate / variant.capacity_rps[bucket]
    work = _carried(service, variant, part)
    if not work <= part.replicas * (1 + TOLERANCE):
        yield (
            Rule.CAPACITY,
            f"{variant.name}: the load is worth {work:.6f} replicas at limit {service.utilisation_limit:g} "
            f"and staffing {service.staffing_beta:g}, there are {part.replicas}",
        )
    stated = plain / part.replicas if part.replicas else 0.0
    if not abs(stated - part.load) <= TOLERANCE * max(1.0, stated):
        yield Rule.CAPACITY, f"{variant.name}: load is {stated:.6f}, the plan says {part.load:.6f}"


def _carried(service: Service, variant: Variant, part: VariantPlan) -> float:
    parts = [
        share if whole > 0 else 0.0 for share, whole in zip(part.bucket_shares, service.demand.shares, strict=True)
    ]
    return load(effective_work(service, variant), parts)


def _check_loss(service: Service, planned: ServicePlan, served: Sequence[float]) -> Iterator[Finding]:
    if not any(part > TOLERANCE for part in served):
        return
    pairs = [(v, part) for v, part in zip(service.variants, planned.variants, strict=True) if part.replicas > 0]
    if not sees_no_size(service):
        for variant, part in pairs:
            work = _carried(service, variant, part)
            if work > 0 and not work <= (part.replicas - 1) * (1 + TOLERANCE) + TOLERANCE:
                yield (
                    Rule.N_PLUS_ONE,
                    f"{variant.name}: the load is worth {work:.6f} replicas, a loss leaves {part.replicas - 1}",
                )
        return
    # Only the served part of each bucket has to be carried on.
    whole = [load(effective_work(service, variant), served) for variant, _ in pairs]
    replicas = sum(part.replicas for _, part in pairs)
    room = math.fsum(part.replicas / work for work, (_, part) in zip(whole, pairs, strict=True) if 0 < work < math.inf)
    for work, (variant, part) in zip(whole, pairs, strict=True):
        if by_pods(service) and not work <= (replicas - 1) * (1 + TOLERANCE):
            yield (
                Rule.N_PLUS_ONE,
                f"{variant.name}: needs {work:.6f} pods behind the Service, after a loss there are {replicas - 1}",
            )
        if not by_pods(service) and part.share > TOLERANCE and work > 0:
            left = room - 1 / work
            if not left >= 1 - TOLERANCE:
                yield (
                    Rule.N_PLUS_ONE,
                    f"{variant.name}: after the loss of one replica the others carry {left:.6f} of what is served",
                )
