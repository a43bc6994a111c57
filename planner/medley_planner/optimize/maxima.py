"""Whether replica maxima alone keep demand out, so that more stock would not help: the reason that an outcome names."""

from __future__ import annotations

import math

from medley_planner.model import RoutingMode
from medley_planner.optimize.formulation import formulate
from medley_planner.optimize.mip import solve_integer
from medley_planner.optimize.program import Proof
from medley_planner.optimize.task import ROUNDING_SLACK, Task


def maxima_forbid(task: Task, *, seconds: float) -> bool:
    """Whether the task's demand would not fit with all the stock in the world either.

    Only routing by size needs a solver, and `seconds` for it; without an answer in that time it is False.
    """
    free = task.without_stock()
    if task.service.routing is RoutingMode.HTTP_ROUTE:
        return _most_by_weight(free) < 1 - ROUNDING_SLACK
    if task.service.routing is RoutingMode.SERVICE:
        return not any(_enough_pods(free, work) for work in _usable(free))
    made = formulate([free], {}, soft_demand=False, soft_minima=False)
    outcome = solve_integer(made.builder.minimise({}), seconds=seconds, relative_gap=1.0)
    return outcome.proof is Proof.INFEASIBLE


def _usable(free: Task) -> dict[float, float]:
    """By load in replicas of the whole demand on a variant: how many replicas may carry it."""
    found: dict[float, float] = {}
    for work, able, cap in zip(free.total_work(), free.able, free.caps, strict=True):
        if able and cap >= 1 and math.isfinite(work):
            found[work] = found.get(work, 0.0) + cap
    return found


def _most_by_weight(free: Task) -> float:
    """The part of the demand that the fastest replicas carry, as many as the maxima allow."""
    left = _most(free)
    carried = 0.0
    for work, cap in sorted(_usable(free).items()):
        # More than what could carry everything is never needed, and keeps infinite maxima out of the sum.
        count = min(cap, left, math.ceil(work) + 1)
        carried += count / max(work, 1e-300)
        left -= count
    return carried


def _enough_pods(free: Task, slowest: float) -> bool:
    """Whether, with this one the slowest in use, there may be so many pods that each carries its part of the demand."""
    pods = sum(cap for work, cap in _usable(free).items() if work <= slowest)
    return min(pods, _most(free)) >= slowest * (1 - ROUNDING_SLACK)


def _most(free: Task) -> float:
    return math.inf if free.service.max_replicas is None else float(free.service.max_replicas)
