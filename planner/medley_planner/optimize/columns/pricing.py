"""All services priced at given prices of pools: by routing mode, with the fastest search that is exact for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from medley_planner.model import RoutingMode
from medley_planner.optimize.columns.exact import price_exactly
from medley_planner.optimize.columns.fleet import COVERS, Fleet, Floats, Ints
from medley_planner.optimize.columns.found import Found
from medley_planner.optimize.columns.pods import fill_cheapest, price_pods
from medley_planner.optimize.columns.route import price_routes
from medley_planner.optimize.distribute import distribute, unmet_rps
from medley_planner.optimize.task import Task

_EXACT_GAP = 1e-4
"""Of a service's own program while prices are sought; its bound stays true."""


class Pricer:
    """Knows which service is priced how. `seconds_left` limits only what is priced by an integer program each."""

    def __init__(self, tasks: Sequence[Task], fleet: Fleet, *, seconds_left: Callable[[], float]) -> None:
        self._tasks = tasks
        self._fleet = fleet
        self._seconds_left = seconds_left
        modes = np.array([task.service.routing.value for task in tasks])
        idle = fleet.rate == 0
        self._idle = np.flatnonzero(idle)
        self._routes = np.flatnonzero(~idle & (modes == RoutingMode.HTTP_ROUTE.value))
        self._pods = np.flatnonzero(~idle & (modes == RoutingMode.SERVICE.value))
        self._buckets = np.flatnonzero(~idle & (modes == RoutingMode.PER_BUCKET.value))

    def price(self, pool_prices: Floats, shed: Floats, *, known: Floats, slack: Floats, keep: int) -> Found:
        """The cheapest configurations of each service, and below what none costs.

        `shed[s]` is the price of leaving out all of a service's demand (infinite: not allowed), `known[s]` a price that
        a known configuration has; up to `keep` are found for each service, up to `slack[s]` above its cheapest.
        """
        pieces = []
        bound, reach = np.zeros(len(self._fleet)), np.zeros(len(self._fleet))
        for rows, search in (
            (self._idle, self._idly),
            (self._routes, self._by_weight),
            (self._pods, self._by_pod),
            (self._buckets, self._by_bucket),
        ):
            if len(rows):
                part = self._fleet.rows(rows)
                found = search(part, part.prices(pool_prices), shed[rows], known[rows], slack[rows], keep)
                bound[rows], reach[rows] = found.bound, found.reach
                pieces.append(replace(found, row=rows[found.row]))
        width = self._fleet.cost.shape[1]
        return Found(
            np.concatenate([np.empty(0, np.int64), *(piece.row for piece in pieces)]),
            np.concatenate([np.empty((0, width), np.int64), *(piece.counts for piece in pieces)]),
            np.concatenate([np.empty(0), *(piece.unmet for piece in pieces)]),
            np.concatenate([np.empty(0), *(piece.price for piece in pieces)]),
            bound,
            reach,
        )

    def least(self) -> Found:
        """By service its minima alone, with the part of its demand that they leave out; not priced."""
        fleet = self._fleet
        counts = fill_cheapest(fleet.room, fleet.cost, fleet.fewest)
        return Found(np.arange(len(fleet)), counts, self.unmet_of(np.arange(len(fleet)), counts), np.zeros(len(fleet)))

    def alone(self) -> Found:
        """Each variant alone for all of a service's demand, within its room; not priced."""
        fleet = self._fleet
        finite = np.where(np.isfinite(fleet.work), fleet.work, 0.0)
        counts = np.maximum(np.ceil(finite * (1 - COVERS)).astype(np.int64), fleet.fewest[:, None])
        usable = np.isfinite(fleet.work) & (counts > 0) & (counts <= fleet.room) & (counts <= fleet.most[:, None])
        # Behind a Service the pods of a minimum get requests as well, and may be too slow for their part.
        usable[self._pods[(fleet.least[self._pods] > 0).any(axis=1)]] = False
        row, cell = np.nonzero(usable)
        own = np.zeros((len(row), fleet.cost.shape[1]), np.int64)
        own[np.arange(len(row)), cell] = counts[row, cell]
        return Found(row, own, np.zeros(len(row)), np.zeros(len(row)))

    def unmet_of(self, rows: Ints, counts: Ints) -> Floats:
        """The part of its demand that each service of `rows` leaves out with these replicas beyond its minima."""
        found = np.zeros(len(rows))
        for number, (row, own) in enumerate(zip(rows.tolist(), counts + self._fleet.least[rows], strict=True)):
            task = self._tasks[int(self._fleet.index[row])]
            if task.rate_rps > 0:
                split = distribute(task, own[: len(task.variants)].tolist())
                found[number] = unmet_rps(task, split) / task.rate_rps
        return found

    def _by_weight(self, part: Fleet, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int) -> Found:
        return price_routes(part, prices, shed, known=known, slack=slack, keep=keep)

    def _by_pod(self, part: Fleet, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int) -> Found:
        return price_pods(part, prices, shed, others=bool(slack.any()), keep=keep)

    def _idly(self, part: Fleet, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int) -> Found:
        counts = fill_cheapest(part.room, prices, part.fewest)
        price = (prices * counts).sum(axis=1)
        return Found(np.arange(len(part)), counts, np.zeros(len(part)), price, price, price)

    def _by_bucket(self, part: Fleet, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int) -> Found:
        rows: list[int] = []
        counts: list[Ints] = []
        unmet: list[float] = []
        bound = np.zeros(len(part))
        for row in range(len(part)):
            task = self._tasks[int(part.index[row])]
            width = len(task.variants)
            priced = price_exactly(
                task,
                prices[row, :width],
                float(shed[row]),
                seconds=self._seconds_left() / (len(part) - row),
                relative_gap=_EXACT_GAP,
            )
            least = part.least[row, :width]
            # The program counts the minima as well; everywhere here they are left out.
            bound[row] = priced.bound - float(prices[row, :width] @ least)
            if priced.replicas:
                own = np.zeros(part.cost.shape[1], np.int64)
                own[:width] = np.array(priced.replicas) - least
                rows.append(row)
                counts.append(own)
                unmet.append(priced.unmet)
        taken = np.array(counts, np.int64).reshape(len(rows), part.cost.shape[1])
        chosen, left_out = np.array(rows, np.int64), np.array(unmet, float)
        price = (prices[chosen] * taken).sum(axis=1)
        price += np.where(left_out > 0, np.where(np.isfinite(shed[chosen]), shed[chosen], 0.0), 0.0) * left_out
        return Found(chosen, taken, left_out, price, bound, bound)
