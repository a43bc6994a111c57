"""The second pass: among plans that cost hardly more than the best, the one that starts and stops fewest replicas.

A service that does not run yet takes its cheapest fleet, and its starts do not count. A plan
that leaves out demand is taken as it is. A few services are planned together by an integer program; for many, each in
turn, most changes first, takes its own plan with fewer changes if that fits what is left of room. On nodes
that are paid as wholes a replica more may cost nothing, so there more may be kept than the load needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medley_planner.optimize.improve.local_search import objective_of, polish
from medley_planner.optimize.program.distribute import distribute
from medley_planner.optimize.program.formulation import formulate
from medley_planner.optimize.program.mip import solve_integer
from medley_planner.optimize.program.solve import Answer, Answers, fleet_of
from medley_planner.optimize.task.cost import changes, objective_per_hour
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.nodes import NodeLoad, paid_by_node
from medley_planner.optimize.task.rules import obeys, shortfall
from medley_planner.optimize.task.task import Task

_TOGETHER = 3
"""Up to so many services are asked together."""
_EACH_ASKED = 30
"""Up to so many services each is asked for its calmest plan; of more only whether it can stay as it is."""
_NODES = 200
"""Nodes that the program of some services may search, divided among them where each is asked alone. A limit of work and
not of time, so that equal input is planned alike on a busy machine."""
_PART = 0.25
"""The part of the time that is left which all of these programs may take; it binds near the deadline only."""


def steady(
    tasks: Sequence[Task], answers: Answers, room: Room, *, within: float, seconds_left: Callable[[], float]
) -> tuple[Answer, ...]:
    """The answers, or others with fewer changes that serve as much and cost at most the part `within` more."""
    found = answers.answers
    if not _moved(tasks, found):
        return found
    if not all(answer.split.complete for answer in found):
        return found
    if any(shortfall(task, answer.replicas) for task, answer in zip(tasks, found, strict=True)):
        return found
    if len(tasks) <= _TOGETHER:
        spare = within * objective_of(tasks, found, room)
        calmer = _calmest(tasks, found, room, spare=spare, seconds=_PART * seconds_left(), nodes=_NODES)
        return found if calmer is None else _cheapest_of_new(tasks, calmer, found, room)
    return _one_by_one(tasks, found, room, within=within, seconds_left=seconds_left)


def _moved(tasks: Sequence[Task], answers: Sequence[Answer]) -> int:
    """Replicas started or stopped of the services that run."""
    return sum(changes(task, replicas) for task, replicas in fleet_of(tasks, answers) if any(task.current))


def _cheapest_of_new(
    tasks: Sequence[Task], calm: Sequence[Answer], found: Sequence[Answer], room: Room
) -> tuple[Answer, ...]:
    """Services of which nothing runs take the fleet that they had, or one type alone, where that fits and costs less:
    the program that counts changes is blind to a millionth of the cost."""
    new = [index for index, task in enumerate(tasks) if not any(task.current)]
    kept = list(calm)
    for index in new:
        other = [found[index] if position == index else answer for position, answer in enumerate(kept)]
        cheaper = objective_of(tasks, other, room) < objective_of(tasks, kept, room)
        if cheaper and room.after_all(fleet_of(tasks, other)).fits():
            kept = other
    return polish(tasks, kept, room, seconds_left=lambda: 0.0, relative_gap=0.0, among=new)


def _one_by_one(
    tasks: Sequence[Task], found: Sequence[Answer], room: Room, *, within: float, seconds_left: Callable[[], float]
) -> tuple[Answer, ...]:
    """Each within that part of its own cost: of a large fleet's, a single service could stay on a dear fleet for ever,
    however much that has cost already."""
    kept = list(found)
    left = room.after_all(fleet_of(tasks, kept))
    # One service's change moves what others pay for idle parts of nodes.
    nodes = NodeLoad.of(room.pools, fleet_of(tasks, kept)) if paid_by_node(room.pools) else None
    order = sorted(range(len(tasks)), key=lambda index: (-changes(tasks[index], kept[index].replicas), index))
    for index in order:
        task, answer = tasks[index], kept[index]
        if changes(task, answer.replicas) == 0 or not any(task.current):
            continue
        own = left.after(task, [-count for count in answer.replicas])
        spare = within * objective_per_hour(task, answer.replicas)
        dearer = objective_per_hour(task, task.current) - objective_per_hour(task, answer.replicas)
        then = None if nodes is None else nodes.with_more(task, _difference(task.current, answer.replicas))
        if nodes is not None and then is not None:
            dearer += then.idle_per_hour() - nodes.idle_per_hour()
        calm = _unmoved(task, answer, own) if dearer <= spare else None
        if calm is not None:
            nodes = then
        elif nodes is None and len(tasks) <= _EACH_ASKED and seconds_left() > 0:
            seconds, least = _PART * seconds_left(), max(1, _NODES // len(tasks))
            found_one = _calmest([task], [answer], own, spare=spare, seconds=seconds, nodes=least)
            calm = found_one[0] if found_one is not None else None
        if calm is not None:
            kept[index] = calm
            left = own.after(task, calm.replicas)
    return tuple(kept)


def _difference(new: Sequence[int], old: Sequence[int]) -> list[int]:
    return [one - other for one, other in zip(new, old, strict=True)]


def _unmoved(task: Task, answer: Answer, room: Room) -> Answer | None:
    """The running replicas, if they serve all within all limits."""
    running = task.current
    if not obeys(task, running) or shortfall(task, running) or not _within_caps(task, running):
        return None
    split = distribute(task, running)
    if not split.complete or not room.after(task, running).fits():
        return None
    return Answer(running, split, answer.proven)


def _within_caps(task: Task, replicas: Sequence[int]) -> bool:
    most = task.service.max_replicas
    if most is not None and sum(replicas) > most:
        return False
    able = all(count == 0 or fits for count, fits in zip(replicas, task.able, strict=True))
    return able and all(count <= cap for count, cap in zip(replicas, task.caps, strict=True))


def _calmest(
    tasks: Sequence[Task], found: Sequence[Answer], room: Room, *, spare: float, seconds: float, nodes: int
) -> tuple[Answer, ...] | None:
    if seconds <= 0 or spare <= 0:
        return None
    made = formulate(tasks, room, soft_demand=False, soft_minima=False, keep_running=True)
    budget = objective_of(tasks, found, room) + spare
    made.builder.row({column: price / budget for column, price in made.cost.items() if price}, upper=1.0)
    terms: dict[int, float] = {}
    for task, columns in zip(tasks, made.replicas, strict=True):
        if not any(task.current):
            continue
        for column, running in zip(columns, task.current, strict=True):
            moved = made.builder.column()
            made.builder.row({moved: 1.0, column: -1.0}, lower=-float(running))
            made.builder.row({moved: 1.0, column: 1.0}, lower=float(running))
            terms[moved] = 1.0
    # Among equally calm plans the cheaper one; what it may save is less than one change.
    weight = 0.4 / max(spare, 1e-12)
    calm = terms | {column: price * weight for column, price in made.cost.items() if price}
    start = {
        column: float(count)
        for columns, answer in zip(made.replicas, found, strict=True)
        for column, count in zip(columns, answer.replicas, strict=True)
    }
    outcome = solve_integer(
        made.builder.minimise(calm), seconds=seconds, relative_gap=1e-4, hint=start, node_limit=nodes
    )
    if not outcome.solved:
        return None
    answers = []
    for task, columns, answer in zip(tasks, made.replicas, found, strict=True):
        replicas = tuple(max(0, round(outcome.values[column])) for column in columns)
        answers.append(Answer(replicas, distribute(task, replicas), answer.proven))
    if not all(answer.split.complete for answer in answers):
        return None
    return tuple(answers) if _moved(tasks, answers) < _moved(tasks, found) else None
