"""The cheapest configuration of one service by the integer program itself: for routing that no faster search knows.

Slower by a factor of a hundred than pricing all services in one pass, and as exact as its time allows: the bound is the
solver's own, or that of the linear relaxation where the time is over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.service_arrays import Floats
from medley_planner.optimize.program.distribute import distribute, unmet_rps
from medley_planner.optimize.program.formulation import formulate
from medley_planner.optimize.program.mip import solve_integer
from medley_planner.optimize.task.limits import NOTHING_SHARED
from medley_planner.optimize.task.task import Task


@dataclass(frozen=True, slots=True)
class Priced:
    """All replicas by variant (minima included; none if nothing was found), the unmet part, and a proven bound."""

    replicas: tuple[int, ...]
    unmet: float
    bound: float


def price_exactly(
    task: Task, shared: Floats, shed: float, *, seconds: float, relative_gap: float, node_limit: int | None = None
) -> Priced:
    """`shared[j]` is the price of what a replica takes of shared limits, on top of its own; `shed` that of leaving out
    all demand (infinite: not allowed)."""
    floor = relaxed_price(task, np.array(task.cost) + shared, shed)
    if seconds <= 0:
        return Priced((), 0.0, floor)
    soft = math.isfinite(shed)
    made = formulate([task], NOTHING_SHARED, soft_demand=soft, soft_minima=False)
    costs = dict(made.cost)
    for column, price in zip(made.replicas[0], shared, strict=True):
        costs[column] += float(price)
    costs |= {column: shed * part for level in made.unmet.values() for column, part in level.items()}
    outcome = solve_integer(
        made.builder.minimise(costs), seconds=seconds, relative_gap=relative_gap, node_limit=node_limit
    )
    bound = max(floor, outcome.bound)
    if not outcome.solved:
        return Priced((), 0.0, bound)
    replicas = tuple(max(0, round(outcome.values[column])) for column in made.replicas[0])
    split = distribute(task, replicas)
    unmet = unmet_rps(task, split) / task.rate_rps if task.rate_rps > 0 else 0.0
    if unmet > 0 and not soft:
        return Priced((), 0.0, bound)
    return Priced(replicas, unmet, bound)


def relaxed_price(task: Task, prices: Floats, shed: float) -> float:
    """Each bucket on the variant that carries it at the least price, in fractions of replicas; or left out."""
    usable = np.array([able and cap >= 1 for able, cap in zip(task.able, task.caps, strict=True)], bool)
    if not usable.any() or task.rate_rps == 0:
        return shed if task.rate_rps > 0 and math.isfinite(shed) else 0.0
    priced = (task.work * prices[: len(task.variants), None])[usable]
    left_out = shed * np.array(task.rates) / task.rate_rps
    cheapest = np.minimum(priced.min(axis=0), left_out)
    return float(cheapest[np.isfinite(cheapest)].sum())
