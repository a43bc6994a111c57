"""The cuts of the services of a group, chosen anew where a plan by columns leaves out demand.

Columns plan each service with one cut of each class, that which serves most where the service is alone. Where others
take what that cut needs, another one may serve more. Up to `SOME.most_services` services choose together, by the joint
program; in larger groups each in turn, of high priority first, on what the others leave it, until none gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from medley_planner.optimize.effort import SOME
from medley_planner.optimize.improve.local_search import rank, ranks
from medley_planner.optimize.program.fallback import floor_of, priority_rank
from medley_planner.optimize.program.solve import Answers, fleet_of, solve_choosing
from medley_planner.optimize.task.coverage import Coverage
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task

_PASSES = 3
_NODES, _LEAST_NODES = 5000, 50
"""Nodes that the programs of one pass may search that choose the cuts of one service each, divided among them."""


def choose_cuts(
    coverages: Sequence[Coverage],
    tasks: Sequence[Task],
    answers: Answers,
    room: Room,
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> tuple[list[Task], Answers]:
    """Tasks and answers that leave out no more, and cost no more where they leave out the same."""
    if len(tasks) <= SOME.most_services:
        found = solve_choosing(coverages, room, seconds_left=seconds_left, relative_gap=relative_gap)
        if found is not None and ranks(found[0], found[1].answers, room) < ranks(tasks, answers.answers, room):
            return found
        return list(tasks), answers
    return _in_turn(coverages, tasks, answers, room, seconds_left=seconds_left, relative_gap=relative_gap)


def _in_turn(
    coverages: Sequence[Coverage],
    tasks: Sequence[Task],
    answers: Answers,
    room: Room,
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> tuple[list[Task], Answers]:
    chosen, kept = list(tasks), list(answers.answers)
    left = room.after_all(fleet_of(chosen, kept))
    order = sorted(range(len(chosen)), key=lambda index: (priority_rank(chosen[index]), index))
    changed = False
    nodes = max(_LEAST_NODES, _NODES // len(chosen))
    for _ in range(_PASSES):
        gained = False
        for index in order:
            coverage, task, answer = coverages[index], chosen[index], kept[index]
            if not coverage.open or answer.split.complete or seconds_left() <= 0:
                continue
            own = left.after(task, [-count for count in answer.replicas])
            if not _another_fits(coverage, task, own):
                continue
            found = solve_choosing(
                [coverage], own, seconds_left=seconds_left, relative_gap=relative_gap, node_limit=nodes
            )
            if found is None or rank(found[0][0], found[1].answers[0]) >= rank(task, answer):
                continue
            chosen[index], kept[index] = found[0][0], replace(found[1].answers[0], proven=False)
            left = own.after(chosen[index], kept[index].replicas)
            gained = changed = True
        if not gained:
            break
    if not changed:
        return chosen, answers
    # The bound was one on the cost of leaving out other demand.
    return chosen, Answers(tuple(kept), floor_of(chosen, kept))


def _another_fits(coverage: Coverage, task: Task, room: Room) -> bool:
    """Whether there is room for a variant that only another cut could use."""
    widest = zip(task.variants, task.able, coverage.widest.able, strict=True)
    return any(could and not able and room.most(variant) >= 1 for variant, able, could in widest)
