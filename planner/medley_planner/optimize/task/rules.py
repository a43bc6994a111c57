"""What a service asks of its replicas beyond carrying the load: spot share, budget, zones; and how far minima are met.

Counts alone decide, whatever the routing. Minima may be missed where limits contradict them; the rules never are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from medley_planner.optimize.task.task import Task

_ROUNDING = 1e-9


def restricted(task: Task) -> bool:
    """Whether any rule could forbid a fleet that carries the load within the replica limits."""
    service = task.service
    return (
        limits_spot(task)
        or service.on_demand_min_replicas > 0
        or service.max_cost_per_hour is not None
        or service.zone_spread
    )


def limits_spot(task: Task) -> bool:
    return task.service.spot_max_share < 1 and any(task.spot)


def obeys(task: Task, replicas: Sequence[int]) -> bool:
    """Whether these replicas keep all rules; minima are not looked at."""
    service = task.service
    total = sum(replicas)
    if limits_spot(task):
        spot = sum(count for count, reclaimable in zip(replicas, task.spot, strict=True) if reclaimable)
        if spot > service.spot_max_share * total + _ROUNDING:
            return False
    if service.max_cost_per_hour is not None:
        cost = math.fsum(price * count for price, count in zip(task.cost, replicas, strict=True))
        if cost > service.max_cost_per_hour * (1 + _ROUNDING):
            return False
    if service.zone_spread and total >= 2:
        return all(any(replicas[index] > 0 for index in outside) for outside in zone_rows(task))
    return True


def zone_rows(task: Task) -> list[list[int]]:
    """For each zone the variants that may be outside of it; one empty row where no zone is known."""
    zones = sorted({zone for names in task.zones for zone in names})
    rows = [[index for index, names in enumerate(task.zones) if any(name != zone for name in names)] for zone in zones]
    return rows or [[]]


def shortfall(task: Task, replicas: Sequence[int]) -> int:
    """Replicas short of the minima of the variants, of the service and of its floor outside of spot pools."""
    service = task.service
    short = max(0, service.min_replicas - sum(replicas))
    lasting = sum(count for count, reclaimable in zip(replicas, task.spot, strict=True) if not reclaimable)
    short += max(0, service.on_demand_min_replicas - lasting)
    for variant, count in zip(task.variants, replicas, strict=True):
        short += max(0, variant.min_replicas - count)
    return short
