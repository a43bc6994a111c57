"""Replicas of a service routed by class in its linear relaxation: near them the whole ones are that are best.

Where no limit binds each class goes to the variant that carries it at the least price; else a linear program decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.by_class.bound import Classes
from medley_planner.optimize.columns.service_arrays import Floats
from medley_planner.optimize.program.linear_program import ProgramBuilder
from medley_planner.optimize.program.mip import solve_relaxed


def relaxed_replicas(given: Classes, prices: Floats, shed: Floats, *, seconds_left: Callable[[], float]) -> Floats:
    """Beyond the minima, in fractions, by service and variant; all 0 where there is no relaxation, or no time."""
    replicas = _cheapest_each(given, prices)
    for row in _limited(given, replicas):
        if seconds_left() <= 0:
            replicas[row] = 0.0
            continue
        replicas[row] = _solved(given, row, prices[row], float(shed[row])).replicas
    return replicas


def relaxed_worth(
    given: Classes,
    prices: Floats,
    shed: Floats,
    *,
    worth: Floats,
    per_replica: Floats,
    seconds_left: Callable[[], float],
) -> None:
    """Writes the prices of the relaxation into those rows of `worth` and `per_replica` where a limit binds, as long as
    there is time."""
    for row in _limited(given, _cheapest_each(given, prices)):
        if seconds_left() <= 0:
            return
        solved = _solved(given, row, prices[row], float(shed[row]))
        worth[row], per_replica[row] = solved.worth, solved.per_replica


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    replicas: Floats
    worth: Floats
    per_replica: float


def _limited(given: Classes, replicas: Floats) -> list[int]:
    total = replicas.sum(axis=1)
    bound = (replicas > given.room).any(axis=1) | (total > given.most) | (given.least > 0).any(axis=1)
    rows: list[int] = np.flatnonzero(bound | (given.fewest > np.ceil(total))).tolist()
    return rows


def _cheapest_each(given: Classes, prices: Floats) -> Floats:
    usable = (given.room + given.least) > 0
    priced = np.where(usable[..., None], prices[..., None] * given.work, np.inf)
    best = priced.argmin(axis=1)[:, None, :]
    own = np.take_along_axis(given.work, best, axis=1)
    load = np.where(np.isfinite(own) & (given.weight > 0)[:, None, :], own, 0.0)
    cells = np.arange(given.work.shape[1])[None, :, None]
    replicas: Floats = np.where(cells == best, load, 0.0).sum(axis=2)
    return replicas


def _solved(given: Classes, row: int, prices: Floats, shed: float) -> _Solved:
    builder = ProgramBuilder()
    cells = np.flatnonzero(given.room[row] + given.least[row] > 0).tolist()
    counts = {cell: builder.column(upper=float(given.room[row, cell])) for cell in cells}
    costs = {counts[cell]: float(prices[cell]) for cell in cells}
    carry: dict[int, dict[int, float]] = {cell: {counts[cell]: -1.0} for cell in cells}
    for place in np.flatnonzero(given.weight[row] > 0).tolist():
        whole: dict[int, float] = {}
        for cell in cells:
            load = float(given.work[row, cell, place])
            if load != np.inf:
                share = builder.column()
                whole[share] = 1.0
                carry[cell][share] = load
        if np.isfinite(shed):
            left = builder.column()
            whole[left] = 1.0
            costs[left] = shed * float(given.weight[row, place])
        builder.row(whole, lower=1.0)
    for cell in cells:
        builder.row(carry[cell], upper=float(given.least[row, cell]))
    builder.row(dict.fromkeys(counts.values(), 1.0), lower=float(given.fewest[row]), upper=float(given.most[row]))
    replicas, worth = np.zeros(given.room.shape[1]), np.zeros(given.work.shape[2])
    outcome, duals = solve_relaxed(builder.minimise(costs))
    if not outcome.solved:
        return _Solved(replicas, worth, 0.0)
    replicas[cells] = [max(0.0, outcome.values[counts[cell]]) for cell in cells]
    places = np.flatnonzero(given.weight[row] > 0)
    worth[places] = np.maximum(np.array(duals[: len(places)]), 0.0)
    return _Solved(replicas, worth, float(duals[-1]))
