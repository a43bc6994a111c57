"""Column generation: prices of pools and configurations of services, each found from the other until they agree.

The master's relaxation over the gathered configurations gives prices; pricing finds what is cheaper at them and, from
the proven least price of each service, a lower bound on what all services cost together (Lagrange): the sum of the
least prices less what the stock is worth. It holds at any prices, so stopping early costs only tightness. Prices are
smoothed towards those of the best bound, which keeps them from swinging.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.column_pool import ColumnPool
from medley_planner.optimize.columns.master import Columns, master
from medley_planner.optimize.columns.pricing import Pricer
from medley_planner.optimize.columns.service_arrays import Floats, Ints, ServiceArrays
from medley_planner.optimize.program.linear_program import Basis
from medley_planner.optimize.program.mip import solve_relaxed

_ROUNDS = 60
_FAR = 0.01
"""The same distance above which pricing need not be thorough: prices will change a lot."""
_NEARLY = 1.25
"""How many times the cost of its service's cheapest a configuration may have and still enter the master's relaxation:
most of the simple fleets of one variant never matter, and would be half of its columns."""
_SMOOTHING = 0.4
_KEPT_PER_ROUND = 4
_LEAST_SECONDS = 0.02
_PROGRESS, _MOST_IDLE = 0.9, 2
"""A round makes progress where it leaves less than this part of the distance; so many others end the search."""
_PART_OF_GAP, _PART_OF_ENOUGH = 0.2, 0.5
"""How near to its cheapest each service has to be priced, as a part of the distance of the bound to the relaxation, and
of that at which they agree."""


@dataclass(frozen=True, slots=True, eq=False)
class Agreed:
    """The result of column generation: the best bound (beyond the minima's cost), the prices that prove it, the
    relaxation's own value and weight of each column of the book, and the price of an unmet request per second."""

    bound: float
    prices: Floats
    value: float
    weights: Floats
    shed_price: float

    @property
    def gap(self) -> float:
        """Distance of the bound to the relaxation, relative; 1 where one of them is missing."""
        if not (np.isfinite(self.bound) and np.isfinite(self.value)):
            return 1.0
        return min(1.0, (self.value - self.bound) / max(abs(self.value), 1e-12))


def generate(
    fleet: ServiceArrays,
    book: ColumnPool,
    pricer: Pricer,
    *,
    stock: Floats,
    shed_price: float,
    may_shed: bool,
    unmet_weight: float | None,
    start: Floats,
    enough: float,
    seconds_left: Callable[[], float],
) -> Agreed:
    """Until they agree, the rounds or the time are over; the bound is -inf where there was none at all.

    `shed_price` per unmet request per second is what leaving out demand costs; with `may_shed` false pricing does not
    think of it, and it only keeps the relaxation feasible. With `unmet_weight` the objective is cost alone, and the
    unmet demand a row whose price takes the place of `shed_price`. `start` are prices of the limits to begin with,
    `enough` is how near the bound must come to the relaxation, relative.
    """
    services = len(fleet)
    everything = np.full(services, np.inf)
    best = Agreed(-np.inf, start, np.inf, np.zeros(0), shed_price)
    prices, asked = start, shed_price
    smoothed, spread = True, False
    active = np.zeros(0, np.int64)
    basis: tuple[Ints, Basis | None] = active, None
    cares, gap, idle = list(pricer.cares), 1.0, 0
    for _ in range(_ROUNDS):
        shed = asked * fleet.weight if may_shed else everything
        known = book.cheapest(prices, shed)
        found = pricer.price(
            prices,
            shed,
            known=known,
            slack=np.zeros(services),
            keep=_KEPT_PER_ROUND,
            care=cares[0],
            relative_gap=max(_PART_OF_GAP * best.gap, _PART_OF_ENOUGH * enough),
        )
        bound = float(found.bound.sum()) - float(prices @ stock)
        if unmet_weight is not None:
            bound -= asked * unmet_weight
        added = book.add(found)
        if bound > best.bound:
            best = Agreed(bound, prices, best.value, best.weights, asked)
        if not prices.any() and not may_shed:
            fitting = _if_all_fit(book, stock, services)
            if fitting is not None:
                value = float(book.cost @ fitting)
                if len(cares) == 1 or value - bound <= enough * abs(value):
                    return Agreed(bound, prices, value, fitting, asked)
                del cares[0]
                continue
        if prices.any():
            entering = _entering(book, prices, shed, active)
            active = np.union1d(active, entering)
            added = max(added, len(entering))
        else:
            # Without prices nothing is known of what matters.
            active = np.arange(len(book))
        if seconds_left() < _LEAST_SECONDS or not (added or smoothed):
            # At the relaxation's own prices nothing new was found: another round would only repeat this one.
            break
        row = book.row[active]
        unmet = book.unmet[active] * fleet.weight[row]
        objective = book.cost[active] + (0.0 if unmet_weight is not None else shed_price) * unmet
        columns = Columns(row, book.use[active])
        held = () if unmet_weight is None else ((unmet, unmet_weight),)
        program = master(columns, objective, services=services, stock=stock, held=held, integer=False)
        outcome, duals = solve_relaxed(program, seconds=seconds_left(), start=_moved(basis, active))
        if not outcome.solved:
            # Minima may not fit together on the cheapest variants.
            if spread or not may_shed or not book.add(pricer.least_on_each()):
                break
            spread = True
            continue
        weights = np.zeros(len(book))
        weights[active] = outcome.values
        basis = active, outcome.basis
        if not prices.any():
            active = np.flatnonzero(weights)
        before, best = gap, Agreed(best.bound, best.prices, outcome.bound, weights, best.shed_price)
        gap = best.gap
        idle = 0 if gap < _PROGRESS * before else idle + 1
        if gap <= enough or (idle > _MOST_IDLE and len(cares) == 1):
            break
        if len(cares) > 1 and (gap <= _FAR or idle):
            del cares[0]
            idle = 0
        fresh = np.maximum(-np.array(duals[services : services + len(stock)]), 0.0)
        if unmet_weight is not None:
            asked = max(-duals[-1], 0.0)
        smoothed = added > 0
        smoothing = _SMOOTHING if smoothed else 0.0
        prices = smoothing * best.prices + (1 - smoothing) * fresh
    return best


def _moved(basis: tuple[Ints, Basis | None], active: Ints) -> Basis | None:
    """The basis of the columns that were active before for those that are now."""
    before, found = basis
    if found is None:
        return None
    columns = np.zeros(len(active), np.int64)
    _, old, new = np.intersect1d(before, active, assume_unique=True, return_indices=True)
    columns[new] = found.columns[old]
    return Basis(columns, found.rows)


def _entering(book: ColumnPool, prices: Floats, shed: Floats, active: Ints) -> Ints:
    """Configurations beyond the active ones that are near enough to the cheapest at these prices to be of use, and all
    that leave out demand, which keep the relaxation feasible."""
    others = np.setdiff1d(np.arange(len(book)), active, assume_unique=True)
    price = book.prices(prices, shed)
    least = book.least(price)
    found: Ints = others[(price[others] <= _NEARLY * np.abs(least[book.row[others]])) | (book.unmet[others] > 0)]
    return found


def _if_all_fit(book: ColumnPool, stock: Floats, services: int) -> Floats | None:
    """Weights of the cheapest configurations that serve all, if the stock holds them all together."""
    numbers = np.flatnonzero(book.unmet == 0)
    order = numbers[np.lexsort((numbers, book.cost[numbers], book.row[numbers]))]
    first = np.searchsorted(book.row[order], np.arange(services))
    if not len(order) or first.max() >= len(order) or (book.row[order[first]] != np.arange(services)).any():
        return None
    if (book.use[order[first]].sum(axis=0) > stock).any():
        return None
    weights = np.zeros(len(book))
    weights[order[first]] = 1.0
    return weights
