"""One configuration for each service within the stock: rounding of the relaxation, its repair, and small improvements.

Needs no solver. What it finds is there whatever the time, and is where the integer master begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.breakout import fitting
from medley_planner.optimize.columns.column_pool import ColumnPool
from medley_planner.optimize.columns.service_arrays import Floats, Ints

_MOST_SWAPS = 2000
_FIRSTS = 150
"""Swaps that do not fit of which each is tried with a second one that makes room."""
_BATCH = 40
"""Swaps that are made between two looks at all columns."""
_SPARE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Columns to choose from: their number in the book, service, objective, and use by limit."""

    number: Ints
    row: Ints
    objective: Floats
    use: Floats

    def used(self, choice: Ints) -> Floats:
        taken: Floats = self.use[choice].sum(axis=0)
        return taken

    def value(self, choice: Ints) -> float:
        return float(self.objective[choice].sum())


def options(book: ColumnPool, numbers: Ints, objective: Floats) -> Options:
    """`numbers` must hold a column of each service. Sorted by service, then objective, so that equal books make equal
    choices."""
    order = np.lexsort((numbers, objective[numbers], book.row[numbers]))
    number = numbers[order]
    return Options(number, book.row[number], objective[number], book.use[number])


def round_off(
    given: Options,
    weights: Floats,
    stock: Floats,
    *,
    services: int,
    prices: Floats,
    enough: float,
    seconds_left: Callable[[], float],
) -> Ints | None:
    """The heaviest column of each service, then swaps until all fit; None if they do not come to fit.

    `weights` are the relaxation's, by column of `given`, `prices` its prices of the limits. The best of a few, or the
    first of which the objective is at most `enough`. The choice is by position in `given`.
    """
    order = np.lexsort((np.arange(len(weights)), -weights, given.row))
    heaviest = order[np.searchsorted(given.row[order], np.arange(services))]
    best: Ints | None = None
    for choice in fitting(given.row, given.objective, given.use, heaviest, stock=stock, prices=prices):
        found = improve(given, choice, stock, seconds_left=seconds_left)
        if best is None or given.value(found) < given.value(best):
            best = found
        if given.value(best) <= enough:
            break
    return best


def improve(given: Options, choice: Ints, stock: Floats, *, seconds_left: Callable[[], float]) -> Ints:
    """The best swaps of one service that fit into what is left, else of two of which one makes room for the other;
    again and again. Pairs only as long as there is time; single swaps always, so that no service costs more than a
    fleet of one type that is among the columns and fits."""
    choice = choice.copy()
    for _ in range(_MOST_SWAPS):
        left = stock - given.used(choice)
        own = choice[given.row]
        gain = given.objective[own] - given.objective
        takes = given.use - given.use[own]
        better = np.flatnonzero(gain > _SPARE * (1 + np.abs(given.objective)))
        alone = better[(takes[better] <= left + _SPARE).all(axis=1)]
        if len(alone):
            alone = alone[np.argsort(-gain[alone], kind="stable")]
            taken = [swap for swap in _one_each(given, alone) if _takes(left, takes[swap])]
        elif seconds_left() <= 0:
            break
        else:
            taken = _pair(given, better, gain, takes, left).tolist()
        if not taken:
            break
        choice[given.row[taken]] = taken
    return choice


def _one_each(given: Options, ordered: Ints) -> Ints:
    """The first swap of each service, a batch of them at most, in order."""
    _, first = np.unique(given.row[ordered], return_index=True)
    return ordered[np.sort(first)[:_BATCH]]


def _takes(left: Floats, takes: Floats) -> bool:
    """Whether it fits into what is left, of which it then takes its part."""
    if (takes > left + _SPARE).any():
        return False
    left -= takes
    return True


def _pair(given: Options, better: Ints, gain: Floats, takes: Floats, left: Floats) -> Ints:
    """Two swaps of two services that gain most together among those that fit together; none if none gain."""
    firsts = better[np.argsort(-gain[better], kind="stable")[:_FIRSTS]]
    best, found = _SPARE * (1 + float(np.abs(given.objective).max(initial=0.0))), np.empty(0, np.int64)
    for first in firsts.tolist():
        lacks = takes[first] - left > _SPARE
        # Only what gives back where the first one takes too much, and costs less than the first one gains.
        seconds = np.flatnonzero((gain > best - gain[first]) & (takes[:, lacks] < 0).all(axis=1))
        fits = (takes[seconds] + takes[first] <= left + _SPARE).all(axis=1)
        seconds = seconds[fits & (given.row[seconds] != given.row[first])]
        if len(seconds):
            second = seconds[gain[seconds].argmax()]
            best, found = gain[first] + gain[second], np.array([first, second])
    return found
