"""How much more of its demand a service would certainly serve with one replica more. Never says too much."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medley_planner.model import Service, ServicePlan
from medley_planner.optimize.verify.rules import TOLERANCE
from medley_planner.optimize.verify.work import (
    by_pods,
    effective_work,
    load,
    lost_replicas,
    routed_alike,
    sees_no_size,
    served_parts,
)

_STEPS = 12
"""How often the part of the unserved demand that is tried is halved."""


def certain_gain_rps(service: Service, planned: ServicePlan, index: int) -> float:
    """More requests/s with one more replica of variant `index`; replica limits are ignored here."""
    if sees_no_size(service):
        return _gain_blind(service, planned, index)
    served = served_parts(service, planned)
    return max((_gain_alike(service, planned, index, alike, served) for alike in routed_alike(service)), default=0.0)


def _gain_blind(service: Service, planned: ServicePlan, index: int) -> float:
    """The same buckets as now (or, where none is served, those of the new variant), as much of them as can be."""
    demand = service.demand
    served = served_parts(service, planned)
    new = effective_work(service, service.variants[index])
    same = [1.0 if part > TOLERANCE else 0.0 for part in served]
    if not any(same):
        same = [1.0 if share > 0 and new[bucket] < math.inf else 0.0 for bucket, share in enumerate(demand.shares)]
    whole = [load(effective_work(service, variant), same) for variant in service.variants]
    if not 0 < whole[index] < math.inf:
        return 0.0
    counts = [part.replicas for part in planned.variants]
    counts[index] += 1
    used = [(work, count) for work, count in zip(whole, counts, strict=True) if count > 0]
    if by_pods(service):
        lost = lost_replicas(service)
        room = (sum(counts) - lost) / max(work for work, _ in used)
    else:
        lost_room = max(1 / work for work, _ in used) if lost_replicas(service) else 0.0
        room = math.fsum(count / work for work, count in used) - lost_room
    rates = [demand.bucket_rate_rps(bucket) for bucket in range(len(same))]
    now = math.fsum(rate * part for rate, part in zip(rates, served, strict=True))
    return min(1.0, room) * math.fsum(rate * part for rate, part in zip(rates, same, strict=True)) - now


def _gain_alike(
    service: Service, planned: ServicePlan, index: int, alike: Sequence[int], served: Sequence[float]
) -> float:
    """The new replica takes a part of what is left out of one group; all others keep at most what they have.

    With s of a bucket served now and s' then, the others keep f = min s / s' of the weights they have in the group, and
    the new replica's variant gets the rest: no other variant gets more of any bucket than now.
    """
    variant = service.variants[index]
    work = effective_work(service, variant)
    group = [bucket for bucket in alike if served[bucket] > 0 or work[bucket] < math.inf]
    if any(work[bucket] == math.inf for bucket in group):
        return 0.0
    part = planned.variants[index]
    reached = next((bucket for bucket in group if served[bucket] > TOLERANCE), None)
    weight = 0.0 if reached is None else part.bucket_shares[reached] / served[reached]
    now = load(work, part.bucket_shares)
    room = part.replicas + 1 - lost_replicas(service)
    step = 1.0
    for _ in range(_STEPS):
        then = {bucket: served[bucket] + step * max(0.0, 1 - served[bucket]) for bucket in group}
        kept = min((served[bucket] / more for bucket, more in then.items() if more > 0), default=0.0)
        grown = 1 - kept * (1 - weight)
        added = math.fsum(work[b] * (grown * more - part.bucket_shares[b]) for b, more in then.items())
        if now + added <= room:
            return math.fsum(service.demand.bucket_rate_rps(b) * (more - served[b]) for b, more in then.items())
        step /= 2
    return 0.0
