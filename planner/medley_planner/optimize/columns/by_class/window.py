"""All fleets of one service that cost at most so much beyond what they are worth at the bound's prices of classes.

Enumerated variant by variant; the sums are held against the window, the price, and the latest proofs that fleets are
too small. Where a window holds too many fleets it is made narrower, and says so by its reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.by_class.memory import ClassMemory, Wanted
from medley_planner.optimize.columns.by_class.values import carried, knapsacks
from medley_planner.optimize.columns.service_arrays import Floats, Ints

_SPREAD, _MOST_SPREAD = 24, 1000
"""Replicas of a variant more or fewer than are best at the bound's prices that are thought of, at first and at most."""
_NARROWEST = 1e-7
"""Part of the bound below which a window counts as nothing."""
_CUTS_UNDER_WAY = 6
"""Latest proofs that already fleets under way are held against; whole fleets are held against all elsewhere."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Whole fleets within a window; of the variants `cells`; all up to the price `reach` are there."""

    cells: Ints
    counts: Ints
    reach: float


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Some counts in a row for each variant of `cells`: `replicas` has the minima as well, `beyond` is what they cost
    beyond their worth (infinite where there is no such count). Others cost at least `edge` beyond it."""

    cells: Ints
    work: Floats
    counts: Ints
    replicas: Floats
    beyond: Floats
    edge: float


def within(wanted: Wanted, memory: ClassMemory, window: float) -> States:
    """Fleets that are known to serve too little may be left out; the rest is yet to be judged."""
    spread = _SPREAD
    grid = _grid(wanted, window, spread)
    while grid.edge < window and spread < _MOST_SPREAD:
        spread *= 4
        grid = _grid(wanted, window, spread)
    window = min(window, grid.edge)
    rows, limits = _rows(wanted, memory, grid, window)
    picked = _expand(rows, limits, wanted.most_states)
    while picked is None and window > _NARROWEST * abs(wanted.bound):
        window *= 0.5
        limits[0], limits[1] = window, wanted.bound + window
        picked = _expand(rows, limits, wanted.most_states)
    if picked is None:
        return States(grid.cells, np.zeros((0, len(grid.cells)), np.int64), wanted.bound)
    own = grid.counts[np.arange(len(grid.cells)), picked]
    total = own.sum(axis=1)
    own = own[(total >= wanted.fewest) & (total <= wanted.most)]
    return States(grid.cells, own, wanted.bound + window)


def _grid(wanted: Wanted, window: float, spread: int) -> _Grid:
    """Counts up to `spread` around what is best at the bound's prices; variants with few of them within the window come
    first, which keeps the number of fleets under way low."""
    cells, best_counts, best = wanted.cells, wanted.counts, wanted.best
    net = wanted.prices - wanted.per_replica
    # One more of a variant that is not in use is expensive enough for most of them; only of the rest all counts are
    # tried.
    one = np.minimum(best_counts + 1, wanted.room[cells])
    of_all = knapsacks(wanted.work[cells], wanted.worth)
    dearer = net[cells] * one - carried(of_all, (wanted.least[cells] + one)[:, None].astype(float))[:, 0] - best
    left = (best_counts > 0) | (wanted.least[cells] > 0) | ((one > 0) & (dearer <= window))
    if not left.any():
        left[0] = True
    cells, best_counts, best = cells[left], best_counts[left], best[left]
    first = np.maximum(best_counts - spread, 0)
    steps = np.minimum(best_counts + spread, wanted.room[cells]) - first
    offset = np.arange(int(steps.max()) + 1)
    counts = first[:, None] + offset
    replicas = (counts + wanted.least[cells, None]).astype(float)
    work = wanted.work[cells]
    beyond = net[cells, None] * counts - carried(knapsacks(work, wanted.worth), replicas) - best[:, None]
    beyond = np.where(offset <= steps[:, None], np.maximum(beyond, 0.0), np.inf)
    more, less = first + steps < wanted.room[cells], first > 0
    edge = min(beyond[less, 0].min(initial=np.inf), beyond[more, steps[more]].min(initial=np.inf))
    kept = beyond <= window
    order = np.argsort(kept.sum(axis=1), kind="stable")
    some = np.flatnonzero(kept.any(axis=0))
    span = slice(int(some.min(initial=len(offset) - 1)), int(some.max(initial=0)) + 1)
    return _Grid(
        cells[order], work[order], counts[order, span], replicas[order, span], beyond[order, span], float(edge)
    )


def _rows(wanted: Wanted, memory: ClassMemory, grid: _Grid, window: float) -> tuple[Floats, Floats]:
    """Amounts by row, variant and count, and each row's limit on their sum: what is beyond worth, the price, and what
    is lacking at the prices of classes that proved other fleets too small."""
    invalid = np.isinf(grid.beyond)
    price = np.where(invalid, np.inf, grid.counts * wanted.prices[grid.cells, None])
    rows, limits = [grid.beyond, price], [window, wanted.bound + window]
    if not np.isfinite(wanted.shed) and memory.cuts:
        cuts = np.array(memory.cuts[-_CUTS_UNDER_WAY:])
        shape = (len(cuts), *grid.replicas.shape)
        worth = carried(knapsacks(grid.work[None], cuts[:, None, :]), np.broadcast_to(grid.replicas, shape))
        rows += list(np.where(invalid, np.inf, -worth))
        limits += (-cuts.sum(axis=1) * (1 - _ROUNDING)).tolist()
    return np.array(rows), np.array(limits)


def _expand(rows: Floats, limits: Floats, most_states: int) -> Ints | None:
    """Positions of counts by variant whose sums keep all limits; None where too many are under way."""
    variants = rows.shape[1]
    lows = rows.min(axis=2)
    rest = np.concatenate([lows[:, ::-1].cumsum(axis=1)[:, ::-1], np.zeros((len(rows), 1))], axis=1)
    allowed = limits + _ROUNDING * (1 + np.abs(limits))
    sums, picked = np.zeros((1, len(rows))), np.zeros((1, 0), np.int64)
    for place in range(variants):
        options = np.flatnonzero(rows[0, place] + rest[0, place + 1] <= allowed[0])
        if len(sums) * len(options) > 20 * most_states:
            return None
        keep = sums[:, None, 0] + rows[0, place, options] + rest[0, place + 1] <= allowed[0]
        parent, option = np.nonzero(keep)
        sums = sums[parent] + rows[:, place, options[option]].T
        good = (sums + rest[:, place + 1] <= allowed).all(axis=1)
        sums, parent, option = sums[good], parent[good], option[good]
        if len(sums) > most_states:
            return None
        picked = np.concatenate([picked[parent], options[option, None]], axis=1)
    return picked
