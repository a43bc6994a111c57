"""A plan without a solver's answer: simple fleets, clipped to the limits, of which the best is taken.

Used only where a solve ended without a solution, or with an unproven one that this beats. It gives a plan for every
task, within maxima, rules and what is shared; how good it is shows in the gap against `floor_per_hour`, which is always
a true bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medley_planner.model import Priority
from medley_planner.optimize.program.distribute import Split, distribute, unmet_rps
from medley_planner.optimize.program.solve import Answer, Answers
from medley_planner.optimize.task.cost import objective_per_hour
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import obeys, shortfall, spare
from medley_planner.optimize.task.task import Task


def greedy(tasks: Sequence[Task], room: Room) -> Answers:
    """One task after the other, those of high priority first, on what the earlier ones and the minima of the later ones
    leave."""
    order = sorted(range(len(tasks)), key=lambda position: (priority_rank(tasks[position]), position))
    left = room
    answers: dict[int, Answer] = {}
    for done, position in enumerate(order):
        spare = left
        for later in order[done + 1 :]:
            spare = spare.after(tasks[later], [variant.min_replicas for variant in tasks[later].variants])
        answers[position] = greedy_answer(tasks[position], spare.at_least_nothing())
        left = left.after(tasks[position], answers[position].replicas)
    return Answers(tuple(answers[position] for position in range(len(tasks))), -math.inf)


def greedy_answer(task: Task, room: Room) -> Answer:
    """The cheapest of each variant alone, every class on its cheapest variant, and everything there is; nothing where
    none of these keeps the service's rules."""
    variants = range(len(task.variants))
    lost = spare(task)
    wishes = [[_ceil(total) + lost if index == chosen else 0 for index in variants] for chosen, total in _alone(task)]
    wishes.append([count + lost * (count > 0) for count in _cheapest_by_class(task)])
    wishes.append([_ceil(math.fsum(load for load in task.work[index] if math.isfinite(load))) for index in variants])
    # Of what serves nothing, as one replica does where one may be lost, no replica is kept that no minimum asks for.
    wishes.append([0 for _ in variants])
    fleets = [fleet for fleet in (_clipped(task, wish, room) for wish in wishes) if obeys(task, fleet)]
    answers = [_answer(task, fleet) for fleet in fleets or [_nearest(task, room)]]
    return min(
        answers,
        key=lambda answer: (
            shortfall(task, answer.replicas),
            round(unmet_rps(task, answer.split), 9),
            objective_per_hour(task, answer.replicas),
        ),
    )


def least_fleet(task: Task, room: Room) -> list[int] | None:
    """A fleet of few replicas that meets all minima and keeps the rules; None where none was found at a glance."""
    nothing = [0] * len(task.variants)
    lasting = [int(not spot and able) for spot, able in zip(task.spot, task.able, strict=True)]
    first = next((index for index in sorted(range(len(lasting)), key=lambda i: task.cost[i]) if lasting[index]), None)
    wishes = [nothing]
    if first is not None:
        count = max(1, task.service.min_replicas, task.service.on_demand_min_replicas)
        wishes.append([count if index == first else 0 for index in range(len(nothing))])
    for wish in wishes:
        fleet = _clipped(task, wish, room)
        if obeys(task, fleet) and not shortfall(task, fleet):
            return fleet
    return None


def _nearest(task: Task, room: Room) -> list[int]:
    """The largest of some smaller fleets that keeps the rules: the minima, one replica, none."""
    nothing = [0] * len(task.variants)
    minima = _clipped(task, nothing, room)
    if obeys(task, minima):
        return minima
    for index in sorted(range(len(task.variants)), key=lambda index: task.cost[index]):
        one = [1 if position == index else 0 for position in range(len(task.variants))]
        if task.able[index] and task.caps[index] >= 1 and room.most(task.variants[index]) >= 1 and obeys(task, one):
            return one
    return nothing


def floor_per_hour(task: Task, split: Split) -> float:
    """Less than this per hour cannot serve what `split` serves: each class on its cheapest variant, no rounding up.

    What a router cannot tell apart goes to one variant whole, so there the cheapest variant for the whole class counts.
    """
    priced = task.work * np.array([[price] for price in task.cost])
    served = 1 - np.array(split.unmet)
    kept = served > 0
    minima = math.fsum(price * variant.min_replicas for price, variant in zip(task.cost, task.variants, strict=True))
    if not kept.any() or task.rate_rps == 0 or not split.complete:
        return 0.0 if not split.complete else minima
    usable = priced[np.array(task.able)]
    return max(minima, float((usable[:, kept].min(axis=0) * served[kept]).sum()))


def floor_of(tasks: Sequence[Task], answers: Sequence[Answer]) -> float:
    """The floors of all, added up."""
    return math.fsum(floor_per_hour(task, answer.split) for task, answer in zip(tasks, answers, strict=True))


def _alone(task: Task) -> list[tuple[int, float]]:
    return [(index, total) for index, total in enumerate(task.total_work()) if task.able[index] and total < math.inf]


def _cheapest_by_class(task: Task) -> list[int]:
    load = [0.0] * len(task.variants)
    usable = [index for index in range(len(task.variants)) if task.able[index] and task.caps[index] >= 1]
    for bucket in range(len(task.classes)):
        best = min(usable, key=lambda index: task.cost[index] * float(task.work[index, bucket]))
        load[best] += float(task.work[best, bucket])
    return [_ceil(total) for total in load]


def _clipped(task: Task, wish: Sequence[int], room: Room) -> list[int]:
    """The wish on top of the minima, cheapest variant first, as far as maxima and what is shared go."""
    service = task.service
    left = room
    counts = [0] * len(task.variants)
    order = sorted(range(len(task.variants)), key=lambda index: task.cost[index])

    def add(index: int, wanted: float) -> None:
        nonlocal left
        if wanted <= 0:
            return
        free = math.inf if service.max_replicas is None else service.max_replicas - sum(counts)
        most = min(free, task.caps[index] - counts[index], left.most(task.variants[index]))
        extra = max(0, int(min(wanted, most)))
        if extra:
            counts[index] += extra
            left = left.after(task, [extra if position == index else 0 for position in range(len(counts))])

    for index in order:
        add(index, task.variants[index].min_replicas)
    for index in order:
        add(index, wish[index] - counts[index])
    for index in order:
        if task.able[index]:
            add(index, service.min_replicas - sum(counts))
    for index in order:
        if task.able[index] and not task.spot[index]:
            lasting = sum(count for count, spot in zip(counts, task.spot, strict=True) if not spot)
            add(index, service.on_demand_min_replicas - lasting)
    return counts


def _answer(task: Task, replicas: Sequence[int]) -> Answer:
    return Answer(tuple(replicas), distribute(task, replicas), proven=False)


def _ceil(work: float) -> int:
    return math.ceil(min(work, 1e15))


def priority_rank(task: Task) -> int:
    """0 for the priority whose demand is left out last."""
    return list(Priority).index(task.service.priority)
