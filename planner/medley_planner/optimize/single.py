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
    return _fleet(task, index, _loads(task, unmet)[index], stocks)


def best_single(task: Task, unmet: tuple[float, ...], stocks: Mapping[str, int]) -> SingleType | None:
    """The cheapest one; among equally cheap ones the first in the service's order."""
    loads = _loads(task, unmet)
    fleets = (_fleet(task, index, loads[index], stocks) for index in range(len(task.variants)))
    return min((fleet for fleet in fleets if fleet is not None), key=lambda fleet: fleet.cost_per_hour, default=None)


def _fleet(task: Task, index: int, work: float, stocks: Mapping[str, int]) -> SingleType | None:
    """The fleet of variant `index` for a load of `work` replicas."""
    variant = task.variants[index]
    others = (other for position, other in enumerate(task.variants) if position != index)
    if not task.able[index] or not math.isfinite(work) or any(other.min_replicas > 0 for other in others):
        return None
    count = max(math.ceil(work), variant.min_replicas, task.service.min_replicas)
    room = stocks.get(variant.pool, math.inf)
    limits = [limit for limit in (variant.max_replicas, task.service.max_replicas) if limit is not None]
    if count == 0 or count * variant.gpus_per_replica > room or any(count > limit for limit in limits):
        return None
    return SingleType(variant.name, count, variant.cost_per_hour * count)


def _loads(task: Task, unmet: tuple[float, ...]) -> list[float]:
    """Load in replicas by variant of all but the `unmet` part of each bucket; infinite where a bucket cannot go."""
    served = 1 - np.array(unmet, float)
    kept = served > 0
    loads: list[float] = (task.work[:, kept] * served[kept]).sum(axis=1).tolist()
    return loads
