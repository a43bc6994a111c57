"""A plan without a solver's answer: simple fleets, clipped to the limits, of which the best is taken.

Used only where a solve ended without a solution, or with an unproven one that this beats. It gives a plan for every
task, within maxima and stock; how good it is shows in the gap against `floor_per_hour`, which is always a true bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from medley_planner.model import RoutingMode
from medley_planner.optimize.distribute import Split, distribute, unmet_rps
from medley_planner.optimize.solve import Answer, Answers, cost_per_hour
from medley_planner.optimize.stock import left_after
from medley_planner.optimize.task import Task


def greedy(tasks: Sequence[Task], stocks: Mapping[str, int]) -> Answers:
    """One task after the other on what the earlier ones and the minima of the later ones leave."""
    left = dict(stocks)
    answers: list[Answer] = []
    for position, task in enumerate(tasks):
        room = dict(left)
        for later in tasks[position + 1 :]:
            room = left_after(room, later, [variant.min_replicas for variant in later.variants])
        answers.append(greedy_answer(task, {pool: max(gpus, 0) for pool, gpus in room.items()}))
        left = left_after(left, task, answers[-1].replicas)
    return Answers(tuple(answers), -math.inf)


def greedy_answer(task: Task, stocks: Mapping[str, int]) -> Answer:
    """The cheapest of each variant alone, every bucket on its cheapest variant, and everything there is."""
    variants = range(len(task.variants))
    wishes = [[_ceil(total) if index == chosen else 0 for index in variants] for chosen, total in _alone(task)]
    wishes.append(_cheapest_by_bucket(task))
    wishes.append([_ceil(math.fsum(load for load in task.work[index] if math.isfinite(load))) for index in variants])
    answers = [_answer(task, _clipped(task, wish, stocks)) for wish in wishes]
    return min(
        answers, key=lambda answer: (round(unmet_rps(task, answer.split), 9), cost_per_hour(task, answer.replicas))
    )


def floor_per_hour(task: Task, split: Split) -> float:
    """Less than this per hour cannot serve what `split` serves: each bucket on its cheapest variant, no rounding up.

    A router that is blind to size puts all on one variant, so there the cheapest variant for the whole mix counts.
    """
    priced = task.work * np.array([[variant.cost_per_hour] for variant in task.variants])
    served = 1 - np.array(split.unmet)
    kept = served > 0
    minima = math.fsum(variant.cost_per_hour * variant.min_replicas for variant in task.variants)
    if not kept.any() or task.rate_rps == 0 or not split.complete:
        return 0.0 if not split.complete else minima
    usable = priced[np.array(task.able)]
    if task.service.routing is RoutingMode.PER_BUCKET:
        return max(minima, float((usable[:, kept].min(axis=0) * served[kept]).sum()))
    return max(minima, float(usable.sum(axis=1).min()))


def _alone(task: Task) -> list[tuple[int, float]]:
    return [(index, total) for index, total in enumerate(task.total_work()) if task.able[index] and total < math.inf]


def _cheapest_by_bucket(task: Task) -> list[int]:
    load = [0.0] * len(task.variants)
    usable = [index for index in range(len(task.variants)) if task.able[index] and task.caps[index] >= 1]
    for bucket in range(len(task.buckets)):
        best = min(
            usable,
            key=lambda index: task.variants[index].cost_per_hour * float(task.work[index, bucket]),
        )
        load[best] += float(task.work[best, bucket])
    return [_ceil(total) for total in load]


def _clipped(task: Task, wish: Sequence[int], stocks: Mapping[str, int]) -> list[int]:
    """The wish on top of the minima, cheapest variant first, as far as maxima and stock go."""
    left = dict(stocks)
    counts = [0] * len(task.variants)
    room = task.service.max_replicas if task.service.max_replicas is not None else math.inf
    order = sorted(range(len(task.variants)), key=lambda index: task.variants[index].cost_per_hour)

    def add(index: int, wanted: float) -> None:
        nonlocal room
        variant = task.variants[index]
        in_pool = left.get(variant.pool, math.inf)
        most = min(room, task.caps[index] - counts[index])
        if math.isfinite(in_pool):
            most = min(most, in_pool // variant.gpus_per_replica)
        extra = max(0, int(min(wanted, most)))
        counts[index] += extra
        room -= extra
        if variant.pool in left:
            left[variant.pool] -= extra * variant.gpus_per_replica

    for index in order:
        add(index, task.variants[index].min_replicas)
    for index in order:
        add(index, wish[index] - counts[index])
    for index in order:
        if task.able[index]:
            add(index, task.service.min_replicas - sum(counts))
    return counts


def _answer(task: Task, replicas: Sequence[int]) -> Answer:
    return Answer(tuple(replicas), distribute(task, replicas), proven=False)


def _ceil(work: float) -> int:
    return math.ceil(min(work, 1e15))
