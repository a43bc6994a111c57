"""From tasks to the plain matrices that services routed by class are priced with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medley_planner.optimize.columns.by_class.bound import Classes
from medley_planner.optimize.columns.service_arrays import ServiceArrays
from medley_planner.optimize.task.task import Task


def classes_of(tasks: Sequence[Task], part: ServiceArrays) -> Classes:
    """`tasks` are those of the rows of `part`, whose cells and limits are taken over."""
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
