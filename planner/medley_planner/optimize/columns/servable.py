"""Whether services can be served whole if they had the stock to themselves: for all of them in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medley_planner.optimize.columns.fleet import Ints, minima_fit, stack
from medley_planner.optimize.columns.pricing import Pricer
from medley_planner.optimize.task import Task


def servable(tasks: Sequence[Task], stocks: Mapping[str, int]) -> list[bool]:
    """True only where a fleet was found that serves all within the limits and the stock of each pool.

    For routing that is blind to size; False does not prove that there is none.
    """
    fleet = stack(tasks, sorted(stocks))
    nothing = np.full(len(tasks), np.inf)
    pricer = Pricer(tasks, fleet, seconds_left=lambda: 0.0)
    found = pricer.price(np.zeros(len(stocks)), nothing, known=nothing, slack=np.zeros(len(tasks)), keep=1)
    return [
        bool(served) and minima_fit([task], stocks) and _within(task, found.counts[found.row == row], stocks)
        for row, (task, served) in enumerate(zip(tasks, np.bincount(found.row, minlength=len(tasks)) > 0, strict=True))
    ]


def _within(task: Task, fleets: Ints, stocks: Mapping[str, int]) -> bool:
    """Whether the fleet fits the pools, of which several variants may share one."""
    used: dict[str, int] = {}
    for variant, count in zip(task.variants, fleets[0].tolist(), strict=False):
        used[variant.pool] = used.get(variant.pool, 0) + (count + variant.min_replicas) * variant.gpus_per_replica
    return all(used[pool] <= stock for pool, stock in stocks.items() if pool in used)
