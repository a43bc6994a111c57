"""The cheapest fleet of one variant alone that serves a given part of the demand: what a mix is measured against."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from medley_planner.model import SingleType
from medley_planner.optimize.task import Task


def single_fleet(task: Task, index: int, unmet: tuple[float, ...], stocks: Mapping[str, int]) -> SingleType | None:
    """Replicas of variant `index` alone for all but the `unmet` part of each bucket; None where that cannot be.

    Limits and stock are respected. Another variant with a minimum forbids any fleet of one type, so it gives None too.
    """
    variant = task.variants[index]
    others = (other for position, other in enumerate(task.variants) if position != index)
    if not task.able[index] or any(other.min_replicas > 0 for other in others):
        return None
    served = 1 - np.array(unmet, float)
    kept = served > 0
    work = float((task.work[index][kept] * served[kept]).sum())
    if not math.isfinite(work):
        return None
    count = max(math.ceil(work), variant.min_replicas, task.service.min_replicas)
    room = stocks.get(variant.pool, math.inf)
    limits = [limit for limit in (variant.max_replicas, task.service.max_replicas) if limit is not None]
    if count == 0 or count * variant.gpus_per_replica > room or any(count > limit for limit in limits):
        return None
    return SingleType(variant.name, count, variant.cost_per_hour * count)


def best_single(task: Task, unmet: tuple[float, ...], stocks: Mapping[str, int]) -> SingleType | None:
    """The cheapest one; among equally cheap ones the first in the service's order."""
    fleets = (single_fleet(task, index, unmet, stocks) for index in range(len(task.variants)))
    return min((fleet for fleet in fleets if fleet is not None), key=lambda fleet: fleet.cost_per_hour, default=None)
