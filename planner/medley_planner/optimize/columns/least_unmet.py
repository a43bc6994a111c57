"""The least demand that services which share limits leave out in whole replicas: a bound by columns, at no cost.

The relaxation of `program/relaxed_fleet.py` serves a small service with a part of a replica, of which there are many in
a fleet. Here each service takes whole replicas and only the choice among its configurations is relaxed, so that the
bound is nearer by as much as whole replicas cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medley_planner.optimize.columns.column_pool import ColumnPool
from medley_planner.optimize.columns.configurations import Configurations
from medley_planner.optimize.columns.generate import generate
from medley_planner.optimize.columns.pricing import Care, Pricer
from medley_planner.optimize.columns.service_arrays import Floats, ServiceArrays, minima_fit, stack
from medley_planner.optimize.program.distribute import unmet_rps
from medley_planner.optimize.program.solve import Answer
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task

_ENOUGH = 1e-3
"""Relative distance of the bound to the relaxation at which it is near enough."""
_NEXT_TO_NOTHING = 1e-7
"""The cost of all replicas of a service that may be of use, as a part of the worth of its whole demand: without any
cost those on limits that are not short would be there in any number."""


@dataclass(frozen=True, slots=True, eq=False)
class UnmetFloor:
    """No plan has less than `parts.sum() - prices @ room` of weighed unmet demand.

    `parts[s]` is the least that service s, with its task's cuts, leaves out (its weight times requests per second) and
    takes of the limits at `prices`, by row of the room.
    """

    parts: Floats
    prices: Floats


def least_unmet(
    tasks: Sequence[Task],
    known: Sequence[Answer],
    room: Room,
    weight: Floats,
    *,
    start: Floats,
    seconds_left: Callable[[], float],
) -> UnmetFloor | None:
    """`weight[s]` of a request per second that service s leaves out; `known` is a plan of these tasks; `start`
    prices of the rows of the room to begin with. None where nothing could be served, or minima contradict each other or
    what is shared."""
    fleet = stack(tasks, room)
    worth = weight * fleet.rate
    if not worth.any() or not minima_fit(tasks, room):
        return None
    slight = _NEXT_TO_NOTHING * np.maximum(worth, worth.max(initial=0.0) * _NEXT_TO_NOTHING)
    whole = np.maximum(fleet.room.sum(axis=1), 1)
    fleet = replace(fleet, weight=worth, cost=np.repeat((slight / whole)[:, None], fleet.cost.shape[1], axis=1))
    minima = fleet.use_of(np.arange(len(fleet)), fleet.least)
    stock = np.array(room.left, float) - minima.sum(axis=0)
    pricer = Pricer(tasks, fleet, seconds_left=seconds_left)
    least = pricer.least()
    if len(least.row) < len(tasks):
        return None
    book = ColumnPool(fleet)
    for found in (least, pricer.alone(), _as_columns(tasks, fleet, known)):
        book.add(found)
    agreed = generate(
        fleet,
        book,
        pricer,
        stock=stock,
        shed_price=1.0,
        may_shed=True,
        unmet_weight=None,
        start=start,
        enough=_ENOUGH,
        seconds_left=seconds_left,
    )
    prices = agreed.prices
    at_prices = pricer.price(
        prices, worth, known=book.cheapest(prices, worth), slack=np.zeros(len(fleet)), keep=1, care=Care.FULL
    )
    uncovered = weight * np.array([task.uncovered_rps for task in tasks])
    return UnmetFloor(at_prices.bound - slight + minima @ prices + uncovered, prices)


def _as_columns(tasks: Sequence[Task], fleet: ServiceArrays, known: Sequence[Answer]) -> Configurations:
    own = [fleet.by_cell(row, answer.replicas) for row, answer in enumerate(known)]
    rows = np.array([row for row, counts in enumerate(own) if counts is not None], np.int64)
    counts = np.array([counts for counts in own if counts is not None], np.int64).reshape(len(rows), -1)
    unmet = [unmet_rps(tasks[row], known[row].split) / max(tasks[row].rate_rps, 1e-300) for row in rows.tolist()]
    return Configurations(rows, counts, np.array(unmet, float), np.zeros(len(rows)))
