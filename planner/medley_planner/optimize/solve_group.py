"""One group of services that limits or whole nodes tie together: alone, jointly, or by columns.

The services of a small group are first solved alone; if the answers fit together they are the optimum together as well,
and only otherwise is the joint program built. More than a few are solved by columns (`coupled.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from medley_planner.model import Problem
from medley_planner.optimize.answer.shortages import least_unserved
from medley_planner.optimize.columns import servable
from medley_planner.optimize.coupled import solve_many
from medley_planner.optimize.effort import FEW, SOME
from medley_planner.optimize.enumerate_one import solve_small
from medley_planner.optimize.improve.choose_cuts import choose_cuts
from medley_planner.optimize.improve.local_search import objective_of, polish, rank, ranks
from medley_planner.optimize.improve.serve_most import serve_most
from medley_planner.optimize.program.fallback import floor_of, greedy
from medley_planner.optimize.program.solve import Answers, fleet_of, solve_choosing, solve_tasks
from medley_planner.optimize.task.coverage import Coverage, prepare
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.nodes import paid_by_node
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.time_left import keeping

_CHOOSING_SECONDS = 1.0
"""Kept back, where services leave out what they cannot tell apart, to choose what."""
_NEAR_FLOOR = 0.01
"""So much more may be left out than any plan must before the relaxation is asked where it fits."""
_COLUMNS_SECONDS = 0.02
"""Kept back by service of a large group for its columns, while some are planned alone."""
_JOINT_SECONDS, _POLISH_SECONDS = 1.0, 0.5
"""Kept back for the joint program of a few services, and to better what it leaves unproven."""
_NODES, _LEAST_NODES = 5000, 50
"""Nodes that the programs of services may search that are planned alone before they are together, divided among them.
A limit of work and not of time, so that equal input is planned alike on a busy machine."""


@dataclass(frozen=True, slots=True, eq=False)
class FleetCase:
    """The common parts of the groups of a problem. `prices` are the last plan's, by row of the room."""

    problem: Problem
    room: Room
    prices: tuple[float, ...]
    relative_gap: float


def solve_group(
    case: FleetCase, group: Sequence[int], *, seconds_left: Callable[[], float]
) -> tuple[list[Coverage], Sequence[Task], Answers]:
    """`group` holds services by index. The limits that they use are used by no other group. The tasks have the cuts
    that were chosen of the coverages."""
    coverages = [_prepare(case, index) for index in group]
    solve = _solve_many if len(group) > FEW.most_services else _solve_few
    return coverages, *solve(case, coverages, seconds_left=seconds_left)


def _solve_few(
    case: FleetCase, coverages: Sequence[Coverage], *, seconds_left: Callable[[], float]
) -> tuple[Sequence[Task], Answers]:
    room = case.room
    tasks: list[Task] = []
    alone: list[Answers] = []
    several = len(coverages) > 1
    for coverage in coverages:
        task, answers = _solve_alone(
            coverage,
            room,
            seconds_left=keeping(seconds_left, _JOINT_SECONDS) if several else seconds_left,
            relative_gap=case.relative_gap,
            node_limit=_NODES // len(coverages) if several else None,
        )
        tasks.append(task)
        alone.append(answers)
    if len(coverages) == 1:
        return tasks, alone[0]
    left = room.after_all(fleet_of(tasks, [answers.answers[0] for answers in alone]))
    # Alone each pays for whole nodes, of which together they may need fewer.
    share_nodes = _share_nodes(tasks, room)
    if left.fits() and not share_nodes:
        return tasks, Answers(tuple(one.answers[0] for one in alone), math.fsum(one.bound for one in alone))
    chosen, joint = _solve_jointly(coverages, tasks, room, seconds_left=seconds_left, relative_gap=case.relative_gap)
    # What each service costs alone bounds what it costs among others, as long as it serves as much.
    floors = (
        one.bound if not share_nodes and rank(task, one.answers[0])[:-1] == rank(cut, answer)[:-1] else 0.0
        for task, one, cut, answer in zip(tasks, alone, chosen, joint.answers, strict=True)
    )
    return chosen, _bounded(chosen, Answers(joint.answers, max(joint.bound, math.fsum(floors)), joint.prices), room)


def _prepare(case: FleetCase, index: int) -> Coverage:
    return prepare(case.problem.services[index], case.room)


def _share_nodes(tasks: Sequence[Task], room: Room) -> bool:
    paid = paid_by_node(room.pools)
    users = [{variant.pool for variant in task.variants} & paid.keys() for task in tasks]
    return bool(paid) and sum(len(pools) for pools in users) > len(set().union(*users))


def _solve_many(
    case: FleetCase, coverages: Sequence[Coverage], *, seconds_left: Callable[[], float]
) -> tuple[Sequence[Task], Answers]:
    room = case.room
    tasks = [coverage.first for coverage in coverages]
    open_rows = [row for row, coverage in enumerate(coverages) if coverage.open]
    if open_rows:
        # Which part of the demand to serve depends on what fits; mostly all that any one variant covers does.
        whole = servable([tasks[row] for row in open_rows], room)
        first = [row for row, fits in zip(open_rows, whole, strict=True) if coverages[row].tied or not fits]
        alone_left = keeping(seconds_left, _COLUMNS_SECONDS * len(tasks))
        for row in first:
            tasks[row], _ = _solve_alone(
                coverages[row],
                room,
                seconds_left=alone_left,
                relative_gap=case.relative_gap,
                node_limit=max(_NODES // len(first), _LEAST_NODES),
            )
    # Where the first try leaves out demand, what to leave out is chosen again, and that takes time as well.
    answers = solve_many(
        tasks,
        room,
        start=case.prices,
        seconds_left=keeping(seconds_left, _CHOOSING_SECONDS) if open_rows else seconds_left,
        relative_gap=case.relative_gap,
    )
    if not _serves_all(answers):
        if open_rows:
            tasks, answers = choose_cuts(
                coverages, tasks, answers, room, seconds_left=seconds_left, relative_gap=case.relative_gap
            )
        if len(tasks) > SOME.most_services and seconds_left() > 0:
            floor = least_unserved(coverages, tasks, answers.answers, room, seconds_left=seconds_left)
            if any(out > least * (1 + _NEAR_FLOOR) for out, least in zip(floor.most, floor.least, strict=True)):
                tasks, answers = serve_most(coverages, tasks, answers, room, seconds_left=seconds_left)
            answers = replace(answers, floor=floor)
    return tasks, _bounded(tasks, answers, room)


def _solve_jointly(
    coverages: Sequence[Coverage],
    tasks: Sequence[Task],
    room: Room,
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> tuple[Sequence[Task], Answers]:
    """A simple plan first, bettered service by service: it is there if time runs out, and a start for the solver."""
    simple = polish(
        tasks,
        greedy(tasks, room).answers,
        room,
        seconds_left=keeping(seconds_left, _JOINT_SECONDS),
        relative_gap=relative_gap,
    )
    chosen = _solve_program(
        coverages,
        tasks,
        room,
        seconds_left=keeping(seconds_left, _POLISH_SECONDS),
        relative_gap=relative_gap,
        start=[answer.replicas for answer in simple],
    )
    if chosen is None:
        better = polish(tasks, simple, room, seconds_left=seconds_left, relative_gap=relative_gap)
        return tasks, Answers(better, -math.inf)
    best, joint = chosen
    if joint.proven:
        return chosen
    if ranks(tasks, simple, room) < ranks(best, joint.answers, room):
        best, joint = tasks, Answers(simple, joint.bound)
    return best, replace(
        joint, answers=polish(best, joint.answers, room, seconds_left=seconds_left, relative_gap=relative_gap)
    )


def _solve_program(
    coverages: Sequence[Coverage],
    tasks: Sequence[Task],
    room: Room,
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
    start: Sequence[Sequence[int]] = (),
    node_limit: int | None = None,
) -> tuple[Sequence[Task], Answers] | None:
    """The tasks as they are if all of their demand fits; else, where there is a choice, with the best cuts of all."""
    solve = partial(
        solve_tasks,
        tasks,
        room,
        seconds_left=seconds_left,
        relative_gap=relative_gap,
        start=start,
        node_limit=node_limit,
    )
    if any(coverage.open for coverage in coverages):
        undecided = any(task.left_out for task in tasks) or any(coverage.tied for coverage in coverages)
        whole = None if undecided else solve(serve_all=True)
        if whole is not None and _serves_all(whole):
            return tasks, whole
        chosen = solve_choosing(
            coverages, room, seconds_left=seconds_left, relative_gap=relative_gap, node_limit=node_limit
        )
        if chosen is not None:
            return chosen
    solved = solve()
    return None if solved is None else (tasks, solved)


def _serves_all(answers: Answers) -> bool:
    return all(answer.split.complete for answer in answers.answers)


def solve_task(
    task: Task, room: Room, *, seconds_left: Callable[[], float], relative_gap: float, node_limit: int
) -> Answers:
    """Alone, with the cuts that it has."""
    solved = solve_small(task, room)
    if solved is None:
        solved = solve_tasks([task], room, seconds_left=seconds_left, relative_gap=relative_gap, node_limit=node_limit)
    return _never_worse_than_greedy([task], solved, room)


def _solve_alone(
    coverage: Coverage,
    room: Room,
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
    node_limit: int | None = None,
) -> tuple[Task, Answers]:
    """With most demand in each class if that fits; else with the cuts that leave least of the demand unserved."""
    small = None if coverage.tied else solve_small(coverage.first, room)
    if small is not None:
        return coverage.first, _never_worse_than_greedy([coverage.first], small, room)
    solved = _solve_program(
        [coverage],
        [coverage.first],
        room,
        seconds_left=seconds_left,
        relative_gap=relative_gap,
        node_limit=node_limit,
    )
    if solved is not None:
        (task,), answers = solved
        return task, _never_worse_than_greedy([task], answers, room)
    tasks = [coverage.first, *coverage.others(coverage.first, [False] * len(coverage.first.classes))]
    simple = [(task, _never_worse_than_greedy([task], None, room)) for task in tasks]
    return min(simple, key=lambda pair: rank(pair[0], pair[1].answers[0]))


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
    return replace(answers, bound=min(objective, max(answers.bound, floor)))
