"""Whether services can be served whole if they had the stock to themselves: for all of them in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medley_planner.optimize.columns.pricing import Pricer
from medley_planner.optimize.columns.service_arrays import minima_fit, special, stack
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task


def servable(tasks: Sequence[Task], room: Room) -> list[bool]:
    """True only where a fleet was found that serves all within the limits and what is shared.

    For routing that is blind to size; False does not prove that there is none.
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
