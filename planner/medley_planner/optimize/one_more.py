"""The price of a limit: what the plan of a group would save with one more of it, found by planning with one more.

One more GPU or watt; one more place is a node of so many GPUs. In a small group all that could matter is planned anew,
which is true for whole replicas, as no relaxation is: that may find no use for one more where a plan saves, and the
other way round. What that takes is bounded by the size of the programs and by nodes, so that equal input is priced
alike. Larger groups keep the prices of the relaxation behind their bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from medley_planner.model import LimitKind
from medley_planner.optimize.columns import relaxed_prices
from medley_planner.optimize.improve.local_search import objective_of
from medley_planner.optimize.program.solve import Answer, solve_tasks
from medley_planner.optimize.solve_group import solve_task
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task, replica_cap
from medley_planner.optimize.time_left import keeping

_MOST_SERVICES = 8
_MOST_CELLS = 20_000
"""Variants x classes of all services, times the limits: more are not worth planning again for each limit."""
_NODES = 300
"""Nodes that one such program may search."""
_GAP = 1e-6
_REST_SECONDS = 0.3
"""Kept back for what follows."""


def savings_of_one_more(
    tasks: Sequence[Task],
    answers: Sequence[Answer],
    room: Room,
    relaxed: Mapping[int, float],
    *,
    seconds_left: Callable[[], float],
) -> dict[int, float]:
    """US dollars per hour by row of the room that the tasks use; of a large group, or where time ends, as in `relaxed`.
    `answers` serve all demand."""
    rows = sorted({row for task in tasks for variant in task.variants for row, _ in room.uses(variant)})
    asking_left = keeping(seconds_left, _REST_SECONDS)
    cells = sum(task.work.size for task in tasks) * len(rows)
    if not rows or len(tasks) > _MOST_SERVICES or cells > _MOST_CELLS:
        return dict(relaxed) or relaxed_prices(tasks, room, seconds_left=asking_left)
    before = objective_of(tasks, answers, room)

    def saving(more: Sequence[int]) -> float | None:
        return _saving(tasks, answers, room, before, more, seconds_left=asking_left)

    # Mostly nothing binds, which one plan shows.
    if saving(rows) == 0.0:
        return dict.fromkeys(rows, 0.0)
    found = dict(relaxed)
    for row in rows:
        own = saving([row])
        if own is not None:
            found[row] = own
    return found


def _saving(
    tasks: Sequence[Task],
    answers: Sequence[Answer],
    room: Room,
    before: float,
    more: Sequence[int],
    *,
    seconds_left: Callable[[], float],
) -> float | None:
    """With one more of each of these rows; None where that was not found in time."""
    if seconds_left() <= 0:
        return None
    raised = _raised(room, more)
    wider = [_with_caps(task, raised) for task in tasks]
    if len(wider) == 1:
        solved = solve_task(wider[0], raised, seconds_left=seconds_left, relative_gap=_GAP, node_limit=_NODES)
    else:
        begin = [answer.replicas for answer in answers]
        found = solve_tasks(
            wider, raised, seconds_left=seconds_left, relative_gap=_GAP, start=begin, serve_all=True, node_limit=_NODES
        )
        if found is None:
            return None
        solved = found
    if not all(answer.split.complete for answer in solved.answers):
        return None
    saved = before - objective_of(wider, solved.answers, raised)
    return saved if saved > 2 * _GAP * before else 0.0


def _raised(room: Room, more: Sequence[int]) -> Room:
    left = list(room.left)
    for row in more:
        limit = room.limits[row]
        if limit.kind is not LimitKind.SLOTS:
            left[row] += 1
            continue
        for other, each in enumerate(room.limits):
            if each.name == limit.name and each.kind in (LimitKind.STOCK, LimitKind.SLOTS):
                left[other] += limit.size // each.size
    return replace(room, left=tuple(left))


def _with_caps(task: Task, room: Room) -> Task:
    """The task with as many replicas of each variant as the room has for it."""
    caps = tuple(replica_cap(task.service, variant, room.most(variant)) for variant in task.variants)
    return replace(task, caps=caps)
