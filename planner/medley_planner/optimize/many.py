"""A group of more than a few services: by columns, and where those leave a gap on a moderate group, jointly from there.

Always gives an answer: by columns; else, where minima contradict the stock, simple fleets bettered one by one. Services
whose own minima contradict their maxima are planned first, alone, as configurations cannot be short of a minimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from medley_planner.optimize.columns import minima_fit, solve_columns
from medley_planner.optimize.fallback import floor_per_hour, greedy
from medley_planner.optimize.polish import polish, rank
from medley_planner.optimize.solve import Answer, Answers, cost_per_hour, solve_tasks
from medley_planner.optimize.stock import left_after
from medley_planner.optimize.task import Task

_JOINT_WHOLLY = 8
"""Up to so many services the joint program proves what columns leave open, measured: mostly within seconds."""
_JOINT_AT_ALL = 40
_JOINT_GAP = 2e-3
"""Gap above which the joint program is tried on larger groups; by pods (Service) it proves 20 services in seconds."""
_JOINT_ENOUGH = 5e-4
"""Gap at which it may stop there."""


def solve_many(
    tasks: Sequence[Task], stocks: Mapping[str, int], *, seconds_left: Callable[[], float], relative_gap: float
) -> Answers:
    """Answers in the order of the tasks, with a bound on what serving the same demand costs."""
    answers = _solve_apart(tasks, stocks, seconds_left=seconds_left, relative_gap=relative_gap)
    # All or none are proven best: the bound is on all of them together.
    cost = _cost(tasks, answers)
    proven = cost - answers.bound <= relative_gap * cost
    return Answers(tuple(replace(answer, proven=proven) for answer in answers.answers), answers.bound)


def _solve_apart(
    tasks: Sequence[Task], stocks: Mapping[str, int], *, seconds_left: Callable[[], float], relative_gap: float
) -> Answers:
    apart = [not minima_fit([task], stocks) for task in tasks]
    if not any(apart):
        return _solve(tasks, stocks, seconds_left=seconds_left, relative_gap=relative_gap)
    left = dict(stocks)
    alone: list[Answer] = []
    for task in (task for task, first in zip(tasks, apart, strict=True) if first):
        solved = solve_tasks([task], left, seconds_left=lambda: 0.1 * seconds_left(), relative_gap=relative_gap)
        alone.append((solved if solved is not None else greedy([task], left)).answers[0])
        left = left_after(left, task, alone[-1].replicas)
    others = [task for task, first in zip(tasks, apart, strict=True) if not first]
    rest = iter(_solve(others, left, seconds_left=seconds_left, relative_gap=relative_gap).answers)
    firsts = iter(alone)
    answers = tuple(next(firsts) if first else next(rest) for first in apart)
    # What the first ones took is theirs by order, not by proof: only what needs no stock to be true still holds.
    return _floored(tasks, answers)


def _solve(
    tasks: Sequence[Task], stocks: Mapping[str, int], *, seconds_left: Callable[[], float], relative_gap: float
) -> Answers:
    by_columns = solve_columns(tasks, stocks, seconds_left=seconds_left, relative_gap=relative_gap)
    if by_columns is None:
        simple = greedy(tasks, stocks).answers
        return _floored(tasks, polish(tasks, simple, stocks, seconds_left=seconds_left, relative_gap=relative_gap))
    if not _served(by_columns) and any(not task.blind for task in tasks):
        # Where time ran out before configurations of services routed by size were found, simple fleets serve more.
        simple = greedy(tasks, stocks).answers
        if _rank(tasks, simple) < _rank(tasks, by_columns.answers):
            by_columns = _floored(tasks, simple)
    cost = _cost(tasks, by_columns)
    gap = (cost - by_columns.bound) / cost if cost > 0 else 0.0
    enough = relative_gap
    if len(tasks) <= _JOINT_WHOLLY:
        done = gap <= relative_gap and _served(by_columns)
    else:
        enough = max(relative_gap, _JOINT_ENOUGH)
        done = gap <= max(relative_gap, _JOINT_GAP) or not _served(by_columns)
    if done or len(tasks) > _JOINT_AT_ALL or seconds_left() <= 0:
        return by_columns
    start = [answer.replicas for answer in by_columns.answers]
    ends = 0.05 * seconds_left()
    jointly = solve_tasks(tasks, stocks, seconds_left=lambda: seconds_left() - ends, relative_gap=enough, start=start)
    return by_columns if jointly is None else _better(tasks, by_columns, jointly)


def _floored(tasks: Sequence[Task], answers: Sequence[Answer]) -> Answers:
    return Answers(
        tuple(answers), math.fsum(floor_per_hour(task, a.split) for task, a in zip(tasks, answers, strict=True))
    )


def _better(tasks: Sequence[Task], one: Answers, other: Answers) -> Answers:
    """Both bounds hold where both serve all; else each only for the demand that its own answers serve."""
    first, second = _rank(tasks, one.answers), _rank(tasks, other.answers)
    if _served(one) and _served(other):
        bound = max(one.bound, other.bound)
        return Answers(other.answers if other.proven or second < first else one.answers, bound)
    return other if other.proven or second < first else one


def _served(answers: Answers) -> bool:
    return all(answer.split.complete for answer in answers.answers)


def _cost(tasks: Sequence[Task], answers: Answers) -> float:
    return math.fsum(cost_per_hour(t, a.replicas) for t, a in zip(tasks, answers.answers, strict=True))


def _rank(tasks: Sequence[Task], answers: Sequence[Answer]) -> tuple[float, ...]:
    ranks = [rank(task, answer) for task, answer in zip(tasks, answers, strict=True)]
    return tuple(round(math.fsum(level), 9) for level in zip(*ranks, strict=True))
