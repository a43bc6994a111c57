"""Plain matrices of tasks for the search by classes, and the replicas that their rules allow.

Apart: the search itself knows nothing of tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from medley_planner.optimize.columns.by_class.bound import Classes
from medley_planner.optimize.columns.service_arrays import Bools, Ints, ServiceArrays
from medley_planner.optimize.task.task import Task


def classes_of(tasks: Sequence[Task], part: ServiceArrays) -> Classes:
    """The plain matrices that services routed by class are priced with.

    `tasks` are those of the rows of `part`, whose cells and limits are taken over.
    """
    services, cells = part.room.shape
    widest = max((task.work.shape[1] for task in tasks), default=0)
    work, weight = np.full((services, cells, widest), np.inf), np.zeros((services, widest))
    for row, task in enumerate(tasks):
        count = task.work.shape[1]
        own = np.flatnonzero(part.variant[row] >= 0)
        variant = part.variant[row, own]
        able = np.array(task.able, bool)[variant, None]
        work[row, own, :count] = np.where(able, task.work[variant], np.inf)
        weight[row, :count] = np.array(task.rates) / task.rate_rps if task.rate_rps > 0 else 0.0
    return Classes(work, weight, part.room, part.least, part.fewest, part.most)


def allowed_by_rules(part: ServiceArrays) -> list[Callable[[Ints], Bools] | None]:
    """The counts of replicas (minima included) that the rules of each service allow; None where it has none."""
    return [partial(_allowed, part, row) if some else None for row, some in enumerate(part.rules.any.tolist())]


def _allowed(part: ServiceArrays, row: int, counts: Ints) -> Bools:
    return part.rules.allow(np.full(len(counts), row), counts)
