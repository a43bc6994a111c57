"""The cheapest fleet of each service at prices of the limits that are known already, for all services in one pass.

Unlike in the rounds of `solve.py`, no master follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from medley_planner.optimize.columns.pricing import Pricer
from medley_planner.optimize.columns.service_arrays import minima_fit, stack
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import special
from medley_planner.optimize.task.task import Task


def fleets_at_prices(
    tasks: Sequence[Task],
    known: Sequence[tuple[int, ...]],
    room: Room,
    prices: Mapping[int, float],
    *,
    seconds_left: Callable[[], float],
) -> list[tuple[int, ...]]:
    """Replicas by variant of each task; those that are `known` where none are found that cost less.

    `prices` are by row of the room. What is found serves all of the task's demand, and need not fit what others leave.
    """
    fleet = stack(tasks, room)
    pricer = Pricer(tasks, fleet, seconds_left=seconds_left)
    limit_prices = np.array([prices.get(row, 0.0) for row in range(len(room.limits))])
    by_cell = fleet.prices(limit_prices)
    own = [fleet.by_cell(row, replicas) for row, replicas in enumerate(known)]
    price = np.array(
        [np.inf if counts is None else float(by_cell[row] @ counts) for row, counts in enumerate(own)], float
    )
    found = pricer.price(limit_prices, np.full(len(tasks), np.inf), known=price, slack=np.zeros(len(tasks)), keep=1)
    best = list(known)
    for row, counts, unmet, cost in zip(
        found.row.tolist(), found.counts, found.unmet.tolist(), found.price.tolist(), strict=True
    ):
        if unmet == 0 and cost < price[row]:
            price[row] = cost
            best[row] = tuple(fleet.by_variant(row, counts, len(tasks[row].variants)))
    return best


def servable(tasks: Sequence[Task], room: Room) -> list[bool]:
    """Whether services can be served whole if they had the stock to themselves: for all of them in one pass.

    True only where a fleet was found that serves all within the limits and what is shared; False does not prove that
    there is none. For routing that is blind to size.
    """
    fleet = stack(tasks, room)
    nothing = np.full(len(tasks), np.inf)
    pricer = Pricer(tasks, fleet, seconds_left=lambda: 0.0)
    found = pricer.price(np.zeros(len(room.limits)), nothing, known=nothing, slack=np.zeros(len(tasks)), keep=1)
    served = np.bincount(found.row, minlength=len(tasks)) > 0
    left = np.array(room.left)
    use = fleet.use_of(found.row, found.counts + fleet.least[found.row])
    fits = np.ones(len(tasks), bool)
    fits[found.row[(use > left + 1e-9 * np.maximum(1.0, left)).any(axis=1)]] = False
    return [
        bool(served[row] and fits[row]) and not special(task) and minima_fit([task], room)
        for row, task in enumerate(tasks)
    ]
