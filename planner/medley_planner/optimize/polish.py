"""Betters a joint plan that is not proven best: each service anew on what the others leave it, until none gains.

Every step keeps the plan within stock and lowers it in the order of the levels (shortfall, unmet demand, cost), so this
can stop at any time. The cheapest single type is tried first and needs no solver: whatever the deadline, no service
ends up dearer than one type alone would be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from medley_planner.optimize.distribute import distribute, unmet_rps
from medley_planner.optimize.single import best_single
from medley_planner.optimize.solve import Answer, cost_per_hour, solve_tasks
from medley_planner.optimize.stock import left_after
from medley_planner.optimize.task import Task

_PASSES = 3
_LEAST_GAIN = 1e-9


def rank(task: Task, answer: Answer) -> tuple[int, float, float]:
    """Replicas short of minima, unmet requests per second, cost per hour: less is better, in this order."""
    short = max(0, task.service.min_replicas - sum(answer.replicas))
    for variant, count in zip(task.variants, answer.replicas, strict=True):
        short += max(0, variant.min_replicas - count)
    return short, round(unmet_rps(task, answer.split), 9), cost_per_hour(task, answer.replicas)


def polish(
    tasks: Sequence[Task],
    answers: Sequence[Answer],
    stocks: Mapping[str, int],
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> tuple[Answer, ...]:
    """The answers, none worse; they are still not proven best together."""
    better = list(answers)
    left = dict(stocks)
    for task, answer in zip(tasks, answers, strict=True):
        left = left_after(left, task, answer.replicas)
    for _ in range(_PASSES):
        gained = False
        for index, task in enumerate(tasks):
            room = left_after(left, task, [-count for count in better[index].replicas])
            for found in _candidates(task, better[index], room, seconds_left=seconds_left, relative_gap=relative_gap):
                if _gains(rank(task, found), rank(task, better[index])):
                    better[index] = Answer(found.replicas, found.split, proven=False)
                    gained = True
            left = left_after(room, task, better[index].replicas)
        if not gained:
            break
    return tuple(better)


def _candidates(
    task: Task,
    answer: Answer,
    room: Mapping[str, int],
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> list[Answer]:
    found = []
    single = best_single(task, answer.split.unmet, room)
    if single is not None:
        replicas = tuple(single.replicas if variant.name == single.variant else 0 for variant in task.variants)
        found.append(Answer(replicas, distribute(task, replicas), proven=False))
    if seconds_left() > 0:
        solved = solve_tasks([task], room, seconds_left=seconds_left, relative_gap=relative_gap)
        found += solved.answers if solved is not None else ()
    return found


def _gains(new: tuple[int, float, float], old: tuple[int, float, float]) -> bool:
    return new[:2] < old[:2] or (new[:2] == old[:2] and new[2] < old[2] - _LEAST_GAIN * math.fabs(old[2]))
