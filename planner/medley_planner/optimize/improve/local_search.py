"""Betters a joint plan that is not proven best: each service anew on what the others leave it, until none gains.

Every step keeps the plan within stock and lowers it in the order of the levels (shortfall, unmet demand, cost), so this
can stop at any time. The cheapest single type is tried first and needs no solver: whatever the deadline, no service
costs more than one type alone would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from medley_planner.model import Priority
from medley_planner.optimize.program.distribute import distribute, missed_rps
from medley_planner.optimize.program.solve import Answer, Answers, fleet_of, solve_tasks
from medley_planner.optimize.task.cost import objective_per_hour
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.nodes import idle_per_hour, paid_by_node
from medley_planner.optimize.task.rules import shortfall
from medley_planner.optimize.task.single import best_single, single_fleets
from medley_planner.optimize.task.task import Task

Rank = tuple[float, ...]
_PASSES = 3
_LEAST_GAIN = 1e-9
_NODES, _LEAST_NODES = 2000, 50
"""Nodes that the programs of one pass may search, divided among the services."""


def rank(task: Task, answer: Answer) -> Rank:
    """Replicas short of minima, missed requests per second by priority, objective: less is better, in this order."""
    unmet = round(missed_rps(task, answer.split), 9)
    by_priority = (unmet if task.service.priority is priority else 0.0 for priority in Priority)
    return (shortfall(task, answer.replicas), *by_priority, objective_per_hour(task, answer.replicas))


def unserved_by_priority(tasks: Sequence[Task], answers: Sequence[Answer]) -> dict[Priority, float]:
    """Requests per second that all of them leave out."""
    found = dict.fromkeys(Priority, 0.0)
    for task, answer in zip(tasks, answers, strict=True):
        found[task.service.priority] += missed_rps(task, answer.split)
    return found


def ranks(tasks: Sequence[Task], answers: Sequence[Answer], room: Room) -> Rank:
    """The answers' ranks added up level by level, with what stands idle on whole nodes."""
    levels = zip(*(rank(task, answer) for task, answer in zip(tasks, answers, strict=True)), strict=True)
    *firsts, cost = (round(math.fsum(level), 9) for level in levels)
    return (*firsts, round(cost + idle_of(tasks, answers, room), 9))


def idle_of(tasks: Sequence[Task], answers: Sequence[Answer], room: Room) -> float:
    return idle_per_hour(room.pools, fleet_of(tasks, answers))


def objective_of(tasks: Sequence[Task], answers: Sequence[Answer], room: Room) -> float:
    """Cost, switching cost and idle parts of whole nodes of all together, in US dollars per hour."""
    own = math.fsum(objective_per_hour(task, replicas) for task, replicas in fleet_of(tasks, answers))
    return own + idle_of(tasks, answers, room)


def polish(
    tasks: Sequence[Task],
    answers: Sequence[Answer],
    room: Room,
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
    among: Sequence[int] | None = None,
) -> tuple[Answer, ...]:
    """The answers, none worse; they are still not proven best together. Only services `among` these (by index) move."""
    better = list(answers)
    movable = range(len(tasks)) if among is None else among
    by_node = bool(paid_by_node(room.pools))
    left = room.after_all(fleet_of(tasks, answers))
    solve = partial(
        solve_tasks,
        seconds_left=seconds_left,
        relative_gap=relative_gap,
        node_limit=max(_LEAST_NODES, _NODES // max(1, len(movable))),
    )
    for _ in range(_PASSES):
        gained = False
        for index in movable:
            task = tasks[index]
            own = left.after(task, [-count for count in better[index].replicas])
            for found in _candidates(task, better[index], own, solve if seconds_left() > 0 else None):
                new, old = rank(task, found), rank(task, better[index])
                if by_node:
                    others = [found if other == index else answer for other, answer in enumerate(better)]
                    new = (*new[:-1], new[-1] + idle_of(tasks, others, room))
                    old = (*old[:-1], old[-1] + idle_of(tasks, better, room))
                if _gains(new, old):
                    better[index] = Answer(found.replicas, found.split, proven=False)
                    gained = True
            left = own.after(task, better[index].replicas)
        if not gained:
            break
    return tuple(better)


def _candidates(
    task: Task, answer: Answer, room: Room, solve: Callable[[Sequence[Task], Room], Answers | None] | None
) -> list[Answer]:
    """One type alone, and what `solve` finds."""
    found = []
    single = best_single(task, single_fleets(task, answer.split.unmet), room)
    if single is not None:
        replicas = tuple(single.replicas if variant.name == single.variant else 0 for variant in task.variants)
        found.append(Answer(replicas, distribute(task, replicas), proven=False))
    solved = solve([task], room) if solve is not None else None
    return found if solved is None else [*found, *solved.answers]


def _gains(new: Rank, old: Rank) -> bool:
    return new[:-1] < old[:-1] or (new[:-1] == old[:-1] and new[-1] < old[-1] - _LEAST_GAIN * math.fabs(old[-1]))
