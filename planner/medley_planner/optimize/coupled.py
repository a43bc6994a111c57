"""A group of more than a few services: by columns, and where those leave a gap on a moderate group, jointly from there.

Always gives an answer: by columns; else, where minima contradict the stock, simple fleets bettered one by one. Services
whose own minima contradict their maxima are planned first, alone, as configurations cannot be short of a minimum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from medley_planner.optimize.columns import minima_fit, solve_columns
from medley_planner.optimize.effort import Effort, effort_for
from medley_planner.optimize.improve.local_search import objective_of, polish, ranks, unserved_by_priority
from medley_planner.optimize.program.fallback import floor_of, greedy, least_fleet
from medley_planner.optimize.program.formulation import formulate
from medley_planner.optimize.program.linear_program import Proof
from medley_planner.optimize.program.mip import solve_integer
from medley_planner.optimize.program.solve import Answer, Answers, solve_tasks
from medley_planner.optimize.task.limits import NOTHING_SHARED, Room
from medley_planner.optimize.task.nodes import paid_by_node
from medley_planner.optimize.task.rules import special
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.time_left import keeping

_FEASIBLE_NODES = 100
"""Most nodes to find out whether a service's minima keep its own rules; it takes some milliseconds."""
_APART_NODES = 1000
"""Nodes that the program of each service may search whose minima contradict its maxima."""
_SIMPLE_SECONDS, _MOSTLY = 0.01, 0.5
"""The time that the simple fleet of a service takes at most; the part of all demand beyond which so much is left out
only where time ran out."""
_REST_SECONDS, _JOINT_SECONDS, _SETTLE_SECONDS = 1.0, 1.0, 0.3
"""Kept back for all others while such services are planned, for the joint program, and for what follows it."""


def solve_many(
    tasks: Sequence[Task],
    room: Room,
    *,
    start: Sequence[float],
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> Answers:
    """Answers in the order of the tasks, with a bound on what serving the same demand costs. `start` are prices of the
    room's rows to begin with."""
    answers = _solve_apart(tasks, room, start=start, seconds_left=seconds_left, relative_gap=relative_gap)
    # All or none are proven best: the bound is on all of them together.
    objective = objective_of(tasks, answers.answers, room)
    proven = objective - answers.bound <= relative_gap * objective
    return replace(answers, answers=tuple(replace(answer, proven=proven) for answer in answers.answers))


def _solve_apart(
    tasks: Sequence[Task],
    room: Room,
    *,
    start: Sequence[float],
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> Answers:
    # A few are planned together by the joint program, which knows what minima contradict.
    jointly = effort_for(tasks).joint_sheds
    apart = [not jointly and not _minima_hold(task, room, seconds_left=seconds_left) for task in tasks]
    if not any(apart):
        return _solve(tasks, room, start=start, seconds_left=seconds_left, relative_gap=relative_gap)
    left = room
    alone: list[Answer] = []
    apart_left = keeping(seconds_left, _REST_SECONDS)
    for task in (task for task, first in zip(tasks, apart, strict=True) if first):
        solved = solve_tasks(
            [task],
            left,
            seconds_left=apart_left,
            relative_gap=relative_gap,
            node_limit=_APART_NODES,
        )
        alone.append((solved if solved is not None else greedy([task], left)).answers[0])
        left = left.after(task, alone[-1].replicas)
    others = [task for task, first in zip(tasks, apart, strict=True) if not first]
    rest = iter(_solve(others, left, start=start, seconds_left=seconds_left, relative_gap=relative_gap).answers)
    firsts = iter(alone)
    answers = tuple(next(firsts) if first else next(rest) for first in apart)
    # What the first ones took is theirs by order, not by proof: only what needs nothing shared to be true still holds.
    return _floored(tasks, answers)


def _minima_hold(task: Task, room: Room, *, seconds_left: Callable[[], float]) -> bool:
    if not minima_fit([task], room):
        return False
    if not special(task) or least_fleet(task, NOTHING_SHARED) is not None:
        return True
    made = formulate([task], NOTHING_SHARED, soft_demand=True, soft_minima=False)
    outcome = solve_integer(
        made.builder.minimise({}), seconds=seconds_left(), relative_gap=1.0, node_limit=_FEASIBLE_NODES
    )
    return outcome.proof is not Proof.INFEASIBLE


def _solve(
    tasks: Sequence[Task],
    room: Room,
    *,
    start: Sequence[float],
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> Answers:
    effort = effort_for(tasks)
    by_columns = solve_columns(
        tasks, room, effort=effort, start=start, seconds_left=seconds_left, relative_gap=relative_gap
    )
    if by_columns is None:
        return _short_of_minima(tasks, room, effort, seconds_left=seconds_left, relative_gap=relative_gap)
    several = any(not task.blind or special(task) for task in tasks)
    if several and not _served(by_columns) and _worth_a_simple_try(tasks, by_columns, seconds_left()):
        # Where time ran out before configurations of services that take a program each were found, simple fleets
        # serve more.
        simple = greedy(tasks, room).answers
        if ranks(tasks, simple, room) < ranks(tasks, by_columns.answers, room):
            by_columns = _floored(tasks, _settled(tasks, simple, room))
    if paid_by_node(room.pools) and effort.joint:
        # Columns know nothing of whole nodes.
        better = polish(
            tasks,
            by_columns.answers,
            room,
            seconds_left=keeping(seconds_left, _JOINT_SECONDS),
            relative_gap=relative_gap,
        )
        by_columns = replace(by_columns, answers=better)
    objective = objective_of(tasks, by_columns.answers, room)
    gap = (objective - by_columns.bound) / objective if objective > 0 else 0.0
    near, served = gap <= max(relative_gap, effort.joint_gap), _served(by_columns)
    done = near and served if effort.joint_sheds else near or not served
    if done or seconds_left() <= 0:
        if all(task.blind and not special(task) for task in tasks):
            return by_columns
        return replace(by_columns, answers=_settled(tasks, by_columns.answers, room))
    begin = [answer.replicas for answer in by_columns.answers]
    enough = max(relative_gap, effort.joint_enough)
    joint_left = keeping(seconds_left, _SETTLE_SECONDS)
    jointly = solve_tasks(tasks, room, seconds_left=joint_left, relative_gap=enough, start=begin)
    if jointly is None:
        return replace(by_columns, answers=_settled(tasks, by_columns.answers, room))
    better_of = _better(tasks, by_columns, jointly, room)
    return Answers(_settled(tasks, better_of.answers, room), better_of.bound, by_columns.prices)


def _worth_a_simple_try(tasks: Sequence[Task], answers: Answers, seconds: float) -> bool:
    """Whether there is time for simple fleets, or hardly anything was found."""
    missed = sum(unserved_by_priority(tasks, answers.answers).values())
    asked = sum(task.service.demand.rate_rps for task in tasks)
    return seconds > _SIMPLE_SECONDS * len(tasks) or missed > _MOSTLY * asked


def _short_of_minima(
    tasks: Sequence[Task], room: Room, effort: Effort, *, seconds_left: Callable[[], float], relative_gap: float
) -> Answers:
    """Where minima contradict each other or what is shared: by the joint program if there are few services, else simple
    fleets bettered one by one."""
    better = polish(
        tasks,
        greedy(tasks, room).answers,
        room,
        seconds_left=keeping(seconds_left, _JOINT_SECONDS) if effort.joint_sheds else seconds_left,
        relative_gap=relative_gap,
    )
    simple = _floored(tasks, better)
    if not effort.joint_sheds:
        return simple
    begin = [answer.replicas for answer in better]
    jointly = solve_tasks(tasks, room, seconds_left=seconds_left, relative_gap=relative_gap, start=begin)
    if jointly is None or ranks(tasks, better, room) < ranks(tasks, jointly.answers, room):
        return simple
    return jointly


def _settled(tasks: Sequence[Task], answers: Sequence[Answer], room: Room) -> tuple[Answer, ...]:
    """After swaps to one type alone where that fits and is cheaper, which needs no solver: within the gap at which the
    joint program may stop there is room for such a service. Columns see to it themselves."""
    return polish(tasks, answers, room, seconds_left=lambda: 0.0, relative_gap=0.0)


def _floored(tasks: Sequence[Task], answers: Sequence[Answer]) -> Answers:
    return Answers(tuple(answers), floor_of(tasks, answers))


def _better(tasks: Sequence[Task], one: Answers, other: Answers, room: Room) -> Answers:
    """Both bounds hold where both serve all; else each only for the demand that its own answers serve."""
    first, second = ranks(tasks, one.answers, room), ranks(tasks, other.answers, room)
    if _served(one) and _served(other):
        bound = max(one.bound, other.bound)
        return Answers(other.answers if other.proven or second < first else one.answers, bound)
    return other if other.proven or second < first else one


def _served(answers: Answers) -> bool:
    return all(answer.split.complete for answer in answers.answers)
