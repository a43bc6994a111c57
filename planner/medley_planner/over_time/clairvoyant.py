"""The cheapest row of fleets where the whole load is known beforehand: dynamic programming over fleets.

All fleets are looked at that have no more replicas of a variant than carry the largest load alone (or than a minimum
asks for). More is never needed: a schedule with each count cut down to that serves as much, and neither costs nor
changes more. Where these fleets are too many, only the cheapest ones of the single stretches are looked at, with those
that cover two or three stretches in a row; what the stretches cost at least without any change then bounds what the
best row could save.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from medley_planner.model import Demand, Problem
from medley_planner.optimize import InvalidProblem, plan
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import Room, shared_room
from medley_planner.optimize.task.rules import binding
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.validate.problem import validate
from medley_planner.over_time.billing import HOUR_SECONDS, BilledParts, Fleet, Floats, Schedule, Stretch, billed
from medley_planner.over_time.box import Box
from medley_planner.over_time.fleets_served import Flags, most_needed, serve, within_limits

MOST_VALUES = 20_000_000
"""Fleets x stretches that are held in memory, at 8 bytes each."""
_JUDGED = 500
"""So many times longer takes a fleet where the router sees sizes: fleets are then judged one by one."""
_JOINED = 3
"""Stretches in a row that one of the chosen fleets may cover."""


def cheapest_schedule(
    problem: Problem, stretches: Sequence[Stretch], *, drain_seconds: float = 0.0, most_values: int = MOST_VALUES
) -> Schedule:
    """The row of fleets of the problem's one service that is billed least, one for each stretch.

    The first change is from the replicas that run (`current_replicas`); a new replica is created before its stretch
    begins, also before the first one. Demand that no variant can serve is left out, as in a plan. `bound` equals
    the cost, unless there are more fleets x stretches than `most_values`, or several variants share whole nodes.

    Raises `InvalidProblem` for a problem with more than one service, for a service with a rule beyond replica limits
    (N+1, zones, spot, budget), for a stretch that no fleet within the limits serves, and for a length below 0.
    """
    prices = BilledParts.of(problem)
    room = shared_room(problem)
    tasks = {stretch.demand: _task(problem, stretch.demand, room) for stretch in stretches}
    for number, stretch in enumerate(stretches):
        if not 0 <= stretch.seconds < math.inf:
            raise InvalidProblem(f"stretch {number}", "seconds", stretch.seconds, "give a finite number of 0 or more")
    if not stretches:
        return Schedule((), (), ())
    box = _box(tasks.values(), prices, drain_seconds)
    judged = 1 if prices.service.routing.blind else _JUDGED
    if box is None or box.size * len(stretches) * judged > most_values:
        return _among_chosen(problem, stretches, tasks, room, drain_seconds)
    fleets = box.fleets()
    allowed = within_limits(prices.service, room, fleets)
    served = {demand: allowed & serve(task, fleets) for demand, task in tasks.items()}
    _check(stretches, served)
    seconds = [stretch.seconds for stretch in stretches]
    row = box.cheapest(prices.running, [served[stretch.demand] for stretch in stretches], seconds)
    found = billed(problem, stretches, row, drain_seconds=drain_seconds)
    return replace(found, bound=found.cost)


def _task(problem: Problem, demand: Demand, room: Room) -> Task:
    service = replace(problem.services[0], demand=demand)
    validate(replace(problem, services=(service,)))
    task = prepare(service, room).first
    rules = ", ".join(type(rule).__name__ for rule in binding(task))
    if rules:
        way_out = "schedules are found for services without such rules; leave them out"
        raise InvalidProblem(f"service {service.name}", "rules", rules, way_out)
    return task


def _box(tasks: Collection[Task], prices: BilledParts, drain_seconds: float) -> Box | None:
    """The box of all fleets that may be needed."""
    most = [max(running, *(most_needed(task, place) for task in tasks)) for place, running in enumerate(prices.running)]
    return Box.of(prices, most, drain_seconds)


def _check(stretches: Sequence[Stretch], served: dict[Demand, Flags]) -> None:
    for number, stretch in enumerate(stretches):
        if not served[stretch.demand].any():
            way_out = "no fleet within the limits serves this rate; give more stock, or replicas"
            raise InvalidProblem(f"stretch {number}", "rate_rps", stretch.demand.rate_rps, way_out)


def _among_chosen(
    problem: Problem, stretches: Sequence[Stretch], tasks: dict[Demand, Task], room: Room, drain_seconds: float
) -> Schedule:
    """The best row of the cheapest fleets of the stretches and of those that cover some in a row."""
    prices = BilledParts.of(problem)
    service = replace(
        prices.service,
        variants=tuple(
            replace(variant, current_replicas=0, startup_seconds=0.0) for variant in prices.service.variants
        ),
    )
    own: dict[Demand, Fleet] = {}
    least: dict[Demand, float] = {}
    for demand in tasks:
        made = plan(replace(problem, services=(replace(service, demand=demand),)))
        own[demand] = tuple(part.replicas for part in made.services[0].variants)
        least[demand] = made.lower_bound_per_hour
    row = np.array([own[stretch.demand] for stretch in stretches], np.int64)
    joined = [row[first : first + most].max(axis=0) for first in range(len(row)) for most in range(1, _JOINED + 1)]
    fleets = np.unique(np.array([prices.running, *joined], np.int64), axis=0)
    fleets = fleets[within_limits(service, room, fleets) | (fleets == row[:, None]).all(axis=2).any(axis=0)]
    served = {demand: serve(task, fleets) for demand, task in tasks.items()}
    _check(stretches, served)
    hourly = prices.per_hour(fleets)
    change = prices.change(fleets[:, None], fleets[None], drain_seconds)
    spent: Floats = prices.change(np.array(prices.running, np.int64), fleets, drain_seconds)
    before = []
    for number, stretch in enumerate(stretches):
        if number:
            through = spent[:, None] + change
            before.append(through.argmin(axis=0))
            spent = through.min(axis=0)
        spent = np.where(served[stretch.demand], spent + hourly * (stretch.seconds / HOUR_SECONDS), np.inf)
    places = [int(spent.argmin())]
    for origin in reversed(before):
        places.append(int(origin[places[-1]]))
    chosen = [tuple(fleets[place].tolist()) for place in reversed(places)]
    found = billed(problem, stretches, chosen, drain_seconds=drain_seconds)
    least_cost = math.fsum(least[stretch.demand] * stretch.seconds / HOUR_SECONDS for stretch in stretches)
    return replace(found, bound=min(least_cost, found.cost))
