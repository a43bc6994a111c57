"""One group of services that limits or whole nodes tie together: alone, jointly, or by columns.

The services of a small group are first solved alone; if the answers fit together they are the optimum together as well,
and only otherwise is the joint program built. More than a few are solved by columns (`coupled.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from medley_planner.model import Problem
from medley_planner.optimize.columns import servable
from medley_planner.optimize.coupled import solve_many
from medley_planner.optimize.effort import FEW
from medley_planner.optimize.enumerate_one import solve_small
from medley_planner.optimize.improve.local_search import objective_of, polish, rank, ranks
from medley_planner.optimize.program.distribute import unmet_rps
from medley_planner.optimize.program.fallback import floor_of, greedy
from medley_planner.optimize.program.solve import Answers, fleet_of, solve_tasks
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.nodes import paid_by_node
from medley_planner.optimize.task.task import Task


@dataclass(frozen=True, slots=True, eq=False)
class FleetCase:
    """The common parts of the groups of a problem. `prices` are the last plan's, by row of the room."""

    problem: Problem
    room: Room
    prices: tuple[float, ...]
    relative_gap: float


def solve_group(
    case: FleetCase, group: Sequence[int], *, seconds_left: Callable[[], float]
) -> tuple[list[Task], Answers]:
    """`group` holds services by index. The limits that they use are used by no other group."""
    if len(group) > FEW.most_services:
        return _solve_many(case, group, seconds_left=seconds_left)
    room = case.room
    tasks: list[Task] = []
    alone: list[Answers] = []
    for done, index in enumerate(group):
        # Half of the time stays for the joint program, which is the harder one.
        parts = 1 if len(group) == 1 else 2 * (len(group) - done)
        task, answers = solve_alone(
            _prepare(case, index),
            room,
            seconds_left=lambda parts=parts: seconds_left() / parts,  # type: ignore[misc]
            relative_gap=case.relative_gap,
        )
        tasks.append(task)
        alone.append(answers)
    if len(group) == 1:
        return tasks, alone[0]
    left = room.after_all(fleet_of(tasks, [answers.answers[0] for answers in alone]))
    # Alone each pays for whole nodes, of which together they may need fewer.
    share_nodes = _share_nodes(tasks, room)
    if left.fits() and not share_nodes:
        return tasks, Answers(tuple(one.answers[0] for one in alone), math.fsum(one.bound for one in alone))
    joint = _solve_jointly(tasks, room, seconds_left=seconds_left, relative_gap=case.relative_gap)
    # What each service costs alone bounds what it costs among others, as long as it serves as much.
    floors = (
        one.bound if not share_nodes and rank(task, one.answers[0])[:-1] == rank(task, answer)[:-1] else 0.0
        for task, one, answer in zip(tasks, alone, joint.answers, strict=True)
    )
    return tasks, _bounded(tasks, Answers(joint.answers, max(joint.bound, math.fsum(floors)), joint.prices), room)


def _prepare(case: FleetCase, index: int) -> Iterator[Task]:
    return prepare(case.problem.services[index], case.room)


def _share_nodes(tasks: Sequence[Task], room: Room) -> bool:
    paid = paid_by_node(room.pools)
    users = [{variant.pool for variant in task.variants} & paid.keys() for task in tasks]
    return bool(paid) and sum(len(pools) for pools in users) > len(set().union(*users))


def _solve_many(
    case: FleetCase, group: Sequence[int], *, seconds_left: Callable[[], float]
) -> tuple[list[Task], Answers]:
    room = case.room
    candidates = [tuple(_prepare(case, index)) for index in group]
    tasks = [choices[0] for choices in candidates]
    open_rows = [row for row, choices in enumerate(candidates) if len(choices) > 1]
    if open_rows:
        # Which part of the demand to serve depends on what fits; mostly all that any one variant covers does.
        whole = servable([tasks[row] for row in open_rows], room)
        for row in (row for row, served in zip(open_rows, whole, strict=True) if not served):
            tasks[row], _ = solve_alone(
                candidates[row], room, seconds_left=lambda: 0.02 * seconds_left(), relative_gap=case.relative_gap
            )
    answers = solve_many(tasks, room, start=case.prices, seconds_left=seconds_left, relative_gap=case.relative_gap)
    return tasks, _bounded(tasks, answers, room)


def _solve_jointly(
    tasks: Sequence[Task], room: Room, *, seconds_left: Callable[[], float], relative_gap: float
) -> Answers:
    """A simple plan first, bettered service by service: it is there if time runs out, and a start for the solver."""
    first_ends = 0.8 * seconds_left()
    simple = polish(
        tasks,
        greedy(tasks, room).answers,
        room,
        seconds_left=lambda: seconds_left() - first_ends,
        relative_gap=relative_gap,
    )
    last_ends = 0.2 * seconds_left()
    solved = solve_tasks(
        tasks,
        room,
        seconds_left=lambda: seconds_left() - last_ends,
        relative_gap=relative_gap,
        start=[answer.replicas for answer in simple],
    )
    if solved is not None and solved.proven:
        return solved
    bound = solved.bound if solved is not None else -math.inf
    better = solved is not None and ranks(tasks, solved.answers, room) < ranks(tasks, simple, room)
    best = solved.answers if solved is not None and better else simple
    return Answers(polish(tasks, best, room, seconds_left=seconds_left, relative_gap=relative_gap), bound)


def solve_alone(
    candidates: Iterable[Task], room: Room, *, seconds_left: Callable[[], float], relative_gap: float
) -> tuple[Task, Answers]:
    """The first candidate if its demand fits; else the one that leaves least of the service's demand unserved."""
    best: tuple[float, Task, Answers] | None = None
    for task in candidates:
        solved = solve_small(task, room)
        if solved is None:
            solved = solve_tasks([task], room, seconds_left=seconds_left, relative_gap=relative_gap)
        answers = _never_worse_than_greedy([task], solved, room)
        missed = unmet_rps(task, answers.answers[0].split) + math.fsum(entry.rate_rps for entry in task.unserved)
        if best is None or missed < best[0] * (1 - 1e-9):
            best = missed, task, answers
        if answers.answers[0].split.complete:
            break
    if best is None:
        raise AssertionError("a service always has a candidate")
    return best[1], best[2]


def _never_worse_than_greedy(tasks: Sequence[Task], solved: Answers | None, room: Room) -> Answers:
    """An unproven answer must at least beat the simple fleets; the bound holds for whichever is taken."""
    if solved is not None and solved.proven:
        return _bounded(tasks, solved, room)
    simple = greedy(tasks, room)
    if solved is None:
        return _bounded(tasks, simple, room)
    better = (
        simple.answers if ranks(tasks, simple.answers, room) < ranks(tasks, solved.answers, room) else solved.answers
    )
    return _bounded(tasks, Answers(better, solved.bound), room)


def _bounded(tasks: Sequence[Task], answers: Answers, room: Room) -> Answers:
    """With the better of the solver's bound and the one that needs no solver, which is never above the objective."""
    floor = floor_of(tasks, answers.answers)
    objective = objective_of(tasks, answers.answers, room)
    return Answers(answers.answers, min(objective, max(answers.bound, floor)), answers.prices)
