"""From a choice of columns to one that fits: swaps by cost and by what it costs to exceed each limit (breakout search).

A limit that is exceeded costs a little more than its price in the relaxation, at which what a swap saves and what it
takes of the limits are about even: so a swap that relieves one limit at the expense of another, or leaves unused what
has a price, is not made for nothing. Where no swap saves anything and limits are still exceeded, those cost more from
then on, and the least bad swap is made (Morris 1993). Swaps are counted and not timed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medley_planner.optimize.columns.service_arrays import Floats, Ints

_ABOVE_PRICE = (1.5, 1.1, 2.2)
"""How many times its price the excess of a limit costs to begin with: each makes a choice of its own."""
_WITHOUT_PRICE = 0.05
"""The same for the most that any column takes of a limit that has no price, as a part of the average column's cost."""
_DEARER = 0.5
"""The part of what it cost to begin with that is added where the search is stuck."""
_MOST_SWAPS = 250
_LEFT_ALONE, _NOT_BACK = 5, 30
"""Swaps for which a service keeps its column that was just swapped, and does not go back to the one before."""
_SPARE = 1e-9


def fitting(row: Ints, cost: Floats, use: Floats, choice: Ints, *, stock: Floats, prices: Floats) -> Iterator[Ints]:
    """Choices that fit, a few at most, each found from `choice`. Columns are sorted by service, `row`; those of a
    choice are one for each service, by position. `use` is by column and limit, `prices` are those of the limits."""
    first = np.searchsorted(row, np.arange(len(choice)))
    most = np.maximum.reduceat(use, first, axis=0)
    # What holds the most that each service may take is never exceeded.
    tight = np.flatnonzero(most.sum(axis=0) > stock)
    if not len(tight):
        yield choice
        return
    columns = _Columns(row, cost, np.ascontiguousarray(use[:, tight].T), stock[tight])
    least = _WITHOUT_PRICE * float(np.abs(cost).mean()) / most[:, tight].max(axis=0)
    for above in _ABOVE_PRICE:
        found = _Swaps(columns, choice, np.maximum(above * prices[tight], least)).fitting()
        if found is None:
            return
        yield found


class _Columns:
    """Columns by service, and what each takes of the limits that may be exceeded, one row a limit."""

    def __init__(self, row: Ints, cost: Floats, use: Floats, stock: Floats) -> None:
        self.row, self.cost, self.use, self.stock = row, cost, use, stock
        self._ends = np.searchsorted(row, np.arange(int(row[-1]) + 2))

    def of_service_of(self, column: int) -> slice:
        """All columns of the service of this one."""
        service = int(self.row[column])
        return slice(int(self._ends[service]), int(self._ends[service + 1]))


class _Swaps:
    """A choice under way. By column, of the swap to it: `_dearer` is the cost, `_takes` what it takes of each limit,
    `_exceeds` what more excess costs with it. What a swap does not change is not computed anew."""

    def __init__(self, columns: _Columns, choice: Ints, penalty: Floats) -> None:
        self._columns = columns
        self._choice = choice.copy()
        self._first_penalty, self._penalty = penalty, penalty.copy()
        own = choice[columns.row]
        self._excess: Floats = columns.use[:, choice].sum(axis=1) - columns.stock
        self._takes: Floats = columns.use - columns.use[:, own]
        self._dearer: Floats = columns.cost - columns.cost[own]
        self._limits: Ints = np.arange(len(penalty))
        self._exceeds = self._excess_cost(self._limits)

    def fitting(self) -> Ints | None:
        """The first choice that fits and that no swap makes cheaper; None where there was none."""
        waits = np.zeros(len(self._dearer), np.int64)
        for swap in range(_MOST_SWAPS):
            worse = self._dearer + self._exceeds
            worse[self._choice] = np.inf
            worse[waits > swap] = np.inf
            best = int(worse.argmin())
            if worse[best] >= -_SPARE:
                over = self._excess > _SPARE
                if not over.any():
                    return self._choice
                self._penalty[over] += _DEARER * self._first_penalty[over]
                self._exceeds = self._excess_cost(self._limits)
            service, before = self._columns.of_service_of(best), self._choice[self._columns.row[best]]
            self._swap(best)
            waits[service] = np.maximum(waits[service], swap + _LEFT_ALONE)
            waits[before] = swap + _NOT_BACK
        return None

    def _swap(self, column: int) -> None:
        own = self._columns.of_service_of(column)
        taken, dearer = self._takes[:, column].copy(), self._dearer[column]
        limits = np.flatnonzero(taken)
        self._exceeds -= self._excess_cost(limits)
        self._excess += taken
        self._takes[:, own] -= taken[:, None]
        self._dearer[own] -= dearer
        self._choice[self._columns.row[column]] = column
        self._exceeds += self._excess_cost(limits)
        self._exceeds[own] = self._excess_cost(self._limits, own)

    def _excess_cost(self, limits: Ints, columns: slice = slice(None)) -> Floats:
        now = self._excess[limits, None]
        more: Floats = np.maximum(now + self._takes[limits, columns], 0.0) - np.maximum(now, 0.0)
        cost: Floats = self._penalty[limits] @ more
        return cost
