"""The cheapest fleet of one variant alone that serves a given part of the demand: what a mix is measured against."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medley_planner.model import SingleType
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import Requirement, binding, obeys, spare
from medley_planner.optimize.task.task import Task


def single_fleets(task: Task, unmet: tuple[float, ...]) -> list[SingleType | None]:
    """The replicas of each variant alone for all but the `unmet` part of each class; None where that is not possible.

    Limits and rules of the service are respected; all that is shared is free for them. Another variant with a minimum
    forbids any fleet of one type, so it gives None too.
    """
    loads = _loads(task, unmet)
    forced = [index for index, variant in enumerate(task.variants) if variant.min_replicas > 0]
    required = binding(task)
    return [
        _fleet(task, index, loads[index], required) if forced in ([], [index]) else None
        for index in range(len(task.variants))
    ]


def best_single(task: Task, fleets: Sequence[SingleType | None], room: Room) -> SingleType | None:
    """The cheapest of `single_fleets` that fits the room; among equally cheap ones the first in the service's order."""
    fitting = (
        fleet
        for fleet, variant in zip(fleets, task.variants, strict=True)
        if fleet is not None and fleet.replicas <= room.most(variant)
    )
    return min(fitting, key=lambda fleet: fleet.cost_per_hour, default=None)


def _fleet(task: Task, index: int, work: float, required: Sequence[Requirement]) -> SingleType | None:
    """The fleet of variant `index` for a load of `work` replicas."""
    service, variant = task.service, task.variants[index]
    if not task.able[index] or not math.isfinite(work):
        return None
    lost = spare(task) if work > 0 else 0
    minima = (variant.min_replicas, service.min_replicas, service.on_demand_min_replicas)
    count = max(math.ceil(work) + lost, *minima)
    if count == 0 or count > task.caps[index]:
        return None
    if service.on_demand_min_replicas > 0 and task.spot[index]:
        return None
    if required:
        replicas = [count if position == index else 0 for position in range(len(task.variants))]
        if not obeys(task, replicas, required):
            return None
    return SingleType(variant.name, count, task.cost[index] * count)


def _loads(task: Task, unmet: tuple[float, ...]) -> list[float]:
    """Load in replicas by variant of all but the `unmet` part of each class; infinite where a class cannot go."""
    served = 1 - np.array(unmet, float)
    kept = served > 0
    loads: list[float] = (task.work[:, kept] * served[kept]).sum(axis=1).tolist()
    return loads
