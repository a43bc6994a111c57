"""The fleets that a plan leaves aside for what their start costs: each service's cheapest, if starts cost nothing.

The plans of the others stay as they are. A few services are each solved alone; of many all are priced in one pass, at
the prices of limits that the plan rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from medley_planner.model import CheaperFleet
from medley_planner.optimize.columns import fleets_at_prices
from medley_planner.optimize.effort import FEW
from medley_planner.optimize.program.solve import Answer, fleet_of
from medley_planner.optimize.solve_group import solve_task
from medley_planner.optimize.task.cost import cost_per_hour, start_cost
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.nodes import idle_per_hour, paid_by_node
from medley_planner.optimize.task.rules import shortfall
from medley_planner.optimize.task.task import Task

_GAP = 1e-4
_NODES = 300
"""Nodes that the program of one service may search."""


def cheaper_fleets(
    tasks: Sequence[Task],
    answers: Sequence[Answer],
    room: Room,
    prices: Mapping[int, float],
    *,
    least_part: float,
    seconds_left: Callable[[], float],
) -> list[CheaperFleet | None]:
    """For each task; None where none is cheaper by more than `least_part` of its cost, or none was looked for: nothing
    runs, starts are free, or the plan leaves out demand. `prices` are by row of the room."""
    found: list[CheaperFleet | None] = [None] * len(tasks)
    asked = [
        index
        for index, (task, answer) in enumerate(zip(tasks, answers, strict=True))
        if any(task.current)
        and any(task.starting)
        and answer.split.complete
        and not task.unserved
        and not shortfall(task, answer.replicas)
    ]
    if not asked:
        return found
    left = room.after_all(fleet_of(tasks, answers))
    free = [replace(tasks[index], starting=(0.0,) * len(tasks[index].variants)) for index in asked]
    planned = [answers[index].replicas for index in asked]
    rooms = [left.after(task, [-count for count in own]) for task, own in zip(free, planned, strict=True)]
    if len(tasks) <= FEW.most_services:
        fleets = [_alone(task, own, seconds_left=seconds_left) for task, own in zip(free, rooms, strict=True)]
    else:
        fleets = fleets_at_prices(free, planned, room, prices, seconds_left=seconds_left)
    for index, task, own, fleet in zip(asked, free, rooms, fleets, strict=True):
        if not own.after(task, fleet).fits():
            continue
        replicas = answers[index].replicas
        saving = cost_per_hour(task, replicas) - cost_per_hour(task, fleet)
        if paid_by_node(room.pools) and len(tasks) <= FEW.most_services:
            saving += _idle_saving(tasks, answers, index, fleet, room)
        leaving = start_cost(task, fleet) - start_cost(task, replicas)
        if saving > least_part * cost_per_hour(task, replicas) and leaving > 0:
            found[index] = CheaperFleet(tuple(fleet), saving, leaving)
    return found


def _alone(task: Task, room: Room, *, seconds_left: Callable[[], float]) -> tuple[int, ...]:
    return solve_task(task, room, seconds_left=seconds_left, relative_gap=_GAP, node_limit=_NODES).answers[0].replicas


def _idle_saving(
    tasks: Sequence[Task], answers: Sequence[Answer], index: int, fleet: Sequence[int], room: Room
) -> float:
    """The cost of idle parts of nodes that this fleet spares: how full nodes are depends on all who share them."""
    whole = [(task, answer.replicas) for task, answer in zip(tasks, answers, strict=True)]
    changed = [*whole[:index], (tasks[index], tuple(fleet)), *whole[index + 1 :]]
    return idle_per_hour(room.pools, whole) - idle_per_hour(room.pools, changed)
