"""The common state of the steps of the column search: services as arrays, the columns gathered so far, what limits
leave.

Its methods are the moves that `solve.py` puts in order: agree on prices, round, choose by the integer master.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.choose import Options, improve, options, round_off
from medley_planner.optimize.columns.column_pool import ColumnPool
from medley_planner.optimize.columns.generate import Agreed, generate
from medley_planner.optimize.columns.master import Held, choose_best
from medley_planner.optimize.columns.pricing import Pricer
from medley_planner.optimize.columns.service_arrays import Floats, Ints, ServiceArrays, minima_fit, stack
from medley_planner.optimize.effort import Effort
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.time_left import keeping

_IMPROVE_SECONDS = 0.2
"""Kept back, while the integer master chooses, to better its choice."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnCase:
    """The common state of all steps. `stock` is what the minima leave."""

    tasks: Sequence[Task]
    effort: Effort
    fleet: ServiceArrays
    book: ColumnPool
    pricer: Pricer
    stock: Floats
    start: Floats
    dearest: float
    relative_gap: float
    seconds_left: Callable[[], float]

    @property
    def services(self) -> int:
        return len(self.tasks)

    def unmet(self, numbers: Ints) -> Floats:
        found: Floats = self.book.unmet[numbers] * self.fleet.weight[self.book.row[numbers]]
        return found

    def prices_by_row(self, prices: Floats) -> dict[int, float]:
        return {row: float(price) for row, price in enumerate(prices) if self.fleet.use[:, :, row].any()}

    def agree_on_all(self) -> Agreed:
        """Prices, where all demand is served."""
        return generate(
            self.fleet,
            self.book,
            self.pricer,
            stock=self.stock,
            shed_price=self.dearest,
            may_shed=False,
            unmet_weight=None,
            start=self.start,
            enough=self.effort.agreed,
            seconds_left=self.seconds_left,
        )

    @property
    def enough(self) -> float:
        """The gap below which nothing more is tried after rounding."""
        return max(self.relative_gap, self.effort.rounded)

    def gap(self, numbers: Ints, bound: float) -> float:
        """Gap of the choice of these columns, relative, with the cost of the minima."""
        minima = float(self.fleet.base.sum())
        cost = float(self.book.cost[numbers].sum()) + minima
        return (cost - bound - minima) / cost if cost > 0 else 0.0

    def weights(self, agreed: Agreed) -> Floats:
        """In the relaxation, by column; 0 for those that came later."""
        found = np.zeros(len(self.book))
        found[: len(agreed.weights)] = agreed.weights
        return found

    def rounded(self, agreed: Agreed, numbers: Ints, objective: Floats) -> Ints | None:
        """From the columns `numbers`, by their number in the book; None where a service has none or nothing fits."""
        if len(np.unique(self.book.row[numbers])) < self.services:
            return None
        given = options(self.book, numbers, objective)
        weights = self.weights(agreed)[given.number]
        choice = round_off(
            given,
            weights,
            self.stock,
            services=self.services,
            prices=agreed.prices,
            enough=agreed.bound + self.enough * abs(agreed.bound + float(self.fleet.base.sum())),
            seconds_left=self.seconds_left,
        )
        return None if choice is None else given.number[choice]

    def chosen_from(
        self,
        numbers: Ints,
        objective: Floats,
        start: Ints | None,
        *,
        nodes: int,
        held: Held = (),
    ) -> tuple[Ints | None, float]:
        """The better of `start` and the integer master's choice, and the master's bound on what these columns reach.
        `held` are amounts by column of the book."""
        given = options(self.book, numbers, objective)
        hint = None if start is None else _positions(given, start)
        found, bound = choose_best(
            given,
            hint,
            self.stock,
            services=self.services,
            held=[(amount[given.number], most) for amount, most in held],
            relative_gap=self.relative_gap,
            node_limit=nodes,
            seconds_left=keeping(self.seconds_left, _IMPROVE_SECONDS),
        )
        if found is not None and not held:
            found = improve(given, found, self.stock, seconds_left=self.seconds_left)
        choices = [choice for choice in (found, hint) if choice is not None and self._fits(given, choice)]
        if not choices:
            return None, bound
        return given.number[min(choices, key=given.value)], bound

    def improved(self, numbers: Ints, objective: Floats, chosen: Ints) -> Ints:
        """After swaps among the columns `numbers` that lessen the objective and fit."""
        given = options(self.book, numbers, objective)
        return given.number[improve(given, _positions(given, chosen), self.stock, seconds_left=self.seconds_left)]

    def swapped(self, numbers: Ints) -> Ints:
        """After swaps to what is cheaper, fits and leaves out no more: the integer master may have been cut short."""
        most = np.zeros(self.services)
        most[self.book.row[numbers]] = self.book.unmet[numbers]
        allowed = np.flatnonzero(self.book.unmet <= most[self.book.row])
        given = options(self.book, allowed, self.book.cost)
        return given.number[improve(given, _positions(given, numbers), self.stock, seconds_left=lambda: 0.0)]

    def _fits(self, given: Options, choice: Ints) -> bool:
        return bool((given.used(choice) <= self.stock + 1e-6).all())


def begin(
    tasks: Sequence[Task],
    room: Room,
    *,
    effort: Effort,
    start: Sequence[float],
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> ColumnCase | None:
    """With the configurations that need no search in the book; None where minima contradict each other or what is
    shared."""
    if not minima_fit(tasks, room):
        return None
    fleet = stack(tasks, room)
    book = ColumnPool(fleet)
    stock = np.array(room.left, float) - fleet.use_of(np.arange(len(fleet)), fleet.least).sum(axis=0)
    pricer = Pricer(tasks, fleet, seconds_left=seconds_left)
    least = pricer.least()
    if len(least.row) < len(tasks):
        return None
    book.add(least)
    book.add(pricer.alone())
    book.add(pricer.now())
    return ColumnCase(
        tasks=tasks,
        effort=effort,
        fleet=fleet,
        book=book,
        pricer=pricer,
        stock=stock,
        start=np.array(start, float),
        dearest=_dearest(fleet),
        relative_gap=relative_gap,
        seconds_left=seconds_left,
    )


def _dearest(fleet: ServiceArrays) -> float:
    """The most that serving one request per second costs on any variant."""
    usable = np.isfinite(fleet.work) & (fleet.rate[:, None] > 0)
    costs = np.where(usable, fleet.cost * np.maximum(np.where(usable, fleet.work, 0.0), 1.0), 0.0)
    rate = np.where(fleet.rate > 0, fleet.rate, 1.0)
    return float((costs.max(axis=1, initial=0.0) / rate).max(initial=0.0)) or 1.0


def _positions(given: Options, numbers: Ints) -> Ints:
    order = np.argsort(given.number)
    place: Ints = order[np.searchsorted(given.number[order], numbers)]
    return place
