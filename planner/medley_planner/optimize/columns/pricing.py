"""All services priced at given prices of pools: by routing mode, with the fastest search that is exact for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from medley_planner.optimize.columns.by_class.of_tasks import allowed_by_rules, classes_of
from medley_planner.optimize.columns.by_class.price_by_class import ClassSearch
from medley_planner.optimize.columns.by_weight.covering import blind_tilt
from medley_planner.optimize.columns.by_weight.price_by_weight import RouteSearch
from medley_planner.optimize.columns.configurations import Configurations, best_of, joined, merged
from medley_planner.optimize.columns.price_by_program import price_exactly
from medley_planner.optimize.columns.price_equal_pods import fill_cheapest, price_pods
from medley_planner.optimize.columns.service_arrays import (
    COVERS,
    Floats,
    Ints,
    ServiceArrays,
)
from medley_planner.optimize.program.distribute import distribute, unmet_rps
from medley_planner.optimize.program.fallback import least_fleet
from medley_planner.optimize.task.limits import NOTHING_SHARED
from medley_planner.optimize.task.rules import obeys, shortfall, special, takes_a_program
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.time_left import keeping

_EXACT_GAP = 1e-4
"""Gap up to which a service routed by class is solved while prices are sought; its bound stays true."""
_JUDGEMENTS, _FEWER_JUDGEMENTS = 60, 12
"""Fleets of a service routed by class that are judged in a round, and where prices are still far off, or those near the
cheapest are looked for as well."""
_NODES, _LEAST_NODES = 2000, 20
"""Nodes that the programs of one pass may search, divided among them."""
_PASS_SECONDS = 0.001
"""Kept back by service, in each pass over all of them, for the master and for rounding."""


class Care(Enum):
    """How thoroughly services are priced."""

    LEAST = "least"
    """Fleets near the cheapest may be missing; of services routed by size, those that one weight per variant takes."""
    ROUGH = "rough"
    """Near the linear relaxation of services that are routed by size."""
    FULL = "full"


class Pricer:
    """Knows which service is priced how. `seconds_left` limits only what is priced service by service."""

    def __init__(self, tasks: Sequence[Task], fleet: ServiceArrays, *, seconds_left: Callable[[], float]) -> None:
        self._tasks = tasks
        self._fleet = fleet
        self._seconds_left = keeping(seconds_left, _PASS_SECONDS * len(tasks))
        self._care, self._relative_gap = Care.FULL, _EXACT_GAP
        equal_pods = np.array([task.service.routing.equal_pods for task in tasks], bool)
        by_size = np.array([not task.blind for task in tasks], bool)
        alone = np.array([takes_a_program(task) for task in tasks], bool)
        idle = (fleet.rate == 0) & ~np.array([special(task) for task in tasks], bool)
        self._idle = np.flatnonzero(idle)
        self._routes = np.flatnonzero(~idle & ~alone & ~by_size & ~equal_pods)
        self._pods = np.flatnonzero(~idle & ~alone & equal_pods)
        self._by_size = np.flatnonzero(~idle & ~alone & by_size)
        self._programs = np.flatnonzero(~idle & alone)
        self._weights = RouteSearch(len(self._routes))
        self._blind = RouteSearch(len(self._by_size))
        routed = [tasks[int(fleet.index[row])] for row in self._by_size]
        sized = fleet.rows(self._by_size)
        self._classes = ClassSearch(
            classes_of(routed, sized),
            allow=allowed_by_rules(sized),
            seconds_left=self._seconds_left,
        )

    @property
    def cares(self) -> tuple[Care, ...]:
        """Those that make a difference, the least first."""
        if len(self._by_size):
            return tuple(Care)
        return (Care.LEAST, Care.FULL) if self._fleet.rules.any.any() else (Care.FULL,)

    def price(
        self,
        limit_prices: Floats,
        shed: Floats,
        *,
        known: Floats,
        slack: Floats,
        keep: int,
        care: Care = Care.FULL,
        relative_gap: float = 0.0,
    ) -> Configurations:
        """The cheapest configurations of each service, and below what none costs.

        `shed[s]` is the price of leaving out all of a service's demand (infinite: not allowed), `known[s]` a price that
        a known configuration has; up to `keep` are found for each service, up to `slack[s]` above its cheapest.
        With less `care` it is quicker, where prices will change anyway; the bounds hold and are weaker. A cheapest one
        need not be proven closer than `relative_gap` where that takes a search of its own.
        """
        self._care, self._relative_gap = care, max(relative_gap, _EXACT_GAP)
        pieces = []
        bound, reach = np.zeros(len(self._fleet)), np.zeros(len(self._fleet))
        for rows, search in (
            (self._idle, self._idly),
            (self._routes, self._by_weight),
            (self._pods, self._by_pod),
            (self._by_size, self._by_class),
            (self._programs, self._by_program),
        ):
            if len(rows):
                part = self._fleet.rows(rows)
                found = search(part, part.prices(limit_prices), shed[rows], known[rows], slack[rows], keep)
                bound[rows], reach[rows] = found.bound, found.reach
                pieces.append(replace(found, row=rows[found.row]))
        width = self._fleet.cost.shape[1]
        return Configurations(
            np.concatenate([np.empty(0, np.int64), *(piece.row for piece in pieces)]),
            np.concatenate([np.empty((0, width), np.int64), *(piece.counts for piece in pieces)]),
            np.concatenate([np.empty(0), *(piece.unmet for piece in pieces)]),
            np.concatenate([np.empty(0), *(piece.price for piece in pieces)]),
            bound,
            reach,
        )

    def least(self) -> Configurations:
        """The cheapest fleet of each service that meets its minima, with the part of its demand that it leaves out; not
        priced."""
        fleet = self._fleet
        counts = fill_cheapest(fleet.room, fleet.cost, fleet.fewest)
        kept = np.ones(len(fleet), bool)
        for row, index in enumerate(fleet.index.tolist()):
            task = self._tasks[index]
            if special(task) and not obeys(task, fleet.by_variant(row, counts[row], len(task.variants))):
                own = self._smallest(row, task)
                kept[row] = own is not None
                counts[row] = own if own is not None else 0
        rows = np.flatnonzero(kept)
        return Configurations(rows, counts[rows], self.unmet_of(rows, counts[rows]), np.zeros(len(rows)))

    def _smallest(self, row: int, task: Task) -> Ints | None:
        """A small fleet that keeps the service's rules; by its program where none is seen at a glance."""
        few = least_fleet(task, NOTHING_SHARED)
        if few is None:
            nothing = np.zeros(len(task.variants))
            priced = price_exactly(
                task, nothing, 0.0, seconds=self._seconds_left(), relative_gap=_EXACT_GAP, node_limit=_NODES
            )
            few = list(priced.replicas)
        return self._fleet.by_cell(row, few) if few else None

    def alone(self) -> Configurations:
        """Each variant alone for all of a service's demand, within its room; not priced."""
        fleet = self._fleet
        finite = np.where(np.isfinite(fleet.work), fleet.work, 0.0)
        counts = np.ceil(finite * (1 - COVERS)).astype(np.int64)
        counts = np.maximum(counts + np.where(counts > 0, fleet.spare[:, None], 0), fleet.fewest[:, None])
        first = fleet.first == np.arange(fleet.first.shape[1])
        room = np.zeros_like(fleet.room)
        np.add.at(room, (np.arange(len(fleet))[:, None], fleet.first), fleet.room)
        usable = first & np.isfinite(fleet.work) & (counts > 0) & (counts <= room) & (counts <= fleet.most[:, None])
        # Behind a Service the pods of a minimum get requests as well, and may be too slow for their part.
        usable[self._pods[(fleet.least[self._pods] > 0).any(axis=1)]] = False
        usable[self._programs] = False
        row, cell = np.nonzero(usable)
        own = np.zeros((len(row), fleet.cost.shape[1]), np.int64)
        wanted = counts[row, cell]
        own[np.arange(len(row)), cell] = np.minimum(wanted, fleet.room[row, cell])
        rest = np.flatnonzero(wanted > fleet.room[row, cell])
        # The variant's second cell stands next to its first.
        own[rest, cell[rest] + 1] = (wanted - fleet.room[row, cell])[rest]
        kept = fleet.rules.allow(row, own + fleet.least[row])
        return Configurations(row[kept], own[kept], np.zeros(int(kept.sum())), np.zeros(int(kept.sum())))

    def least_on_each(self) -> Configurations:
        """The least number of replicas of each service on each variant alone, for minima that do not all fit on the
        cheapest ones; not priced."""
        fleet = self._fleet
        fits = (fleet.fewest[:, None] > 0) & (fleet.fewest[:, None] <= fleet.room)
        fits[self._programs] = False
        row, cell = np.nonzero(fits)
        own = np.zeros((len(row), fleet.cost.shape[1]), np.int64)
        own[np.arange(len(row)), cell] = fleet.fewest[row]
        kept = fleet.rules.allow(row, own + fleet.least[row])
        row, own = row[kept], own[kept]
        return Configurations(row, own, self.unmet_of(row, own), np.zeros(len(row)))

    def now(self) -> Configurations:
        """The running replicas, where they are within the limits and serve all; not priced."""
        rows, counts = [], []
        for row, index in enumerate(self._fleet.index.tolist()):
            task = self._tasks[index]
            if not any(task.current) or not obeys(task, task.current) or shortfall(task, task.current):
                continue
            own = self._fleet.by_cell(row, task.current)
            fits = own is not None and self._fleet.fewest[row] <= own.sum() <= self._fleet.most[row]
            if own is not None and fits and distribute(task, task.current).complete:
                rows.append(row)
                counts.append(own)
        taken = np.array(counts, np.int64).reshape(len(rows), self._fleet.cost.shape[1])
        return Configurations(np.array(rows, np.int64), taken, np.zeros(len(rows)), np.zeros(len(rows)))

    def unmet_of(self, rows: Ints, counts: Ints) -> Floats:
        """The part of its demand that each service of `rows` leaves out with these replicas beyond its minima."""
        found = np.zeros(len(rows))
        for number, (row, own) in enumerate(zip(rows.tolist(), counts, strict=True)):
            task = self._tasks[int(self._fleet.index[row])]
            if task.rate_rps > 0:
                split = distribute(task, self._fleet.by_variant(row, own, len(task.variants)))
                found[number] = unmet_rps(task, split) / task.rate_rps
        return found

    def _by_weight(
        self, part: ServiceArrays, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int
    ) -> Configurations:
        return self._weights.price(
            part, prices, shed, known=known, slack=slack, keep=keep, rough=self._care is not Care.FULL
        )

    def _by_pod(
        self, part: ServiceArrays, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int
    ) -> Configurations:
        found = price_pods(part, prices, shed, others=bool(slack.any()), keep=keep)
        cheapest = np.full(len(part), np.inf)
        np.minimum.at(cheapest, found.row, found.price)
        # A budget that forbids the cheapest fleet takes the program.
        budgeted = np.isfinite(part.rules.budget) & (found.bound < np.minimum(cheapest, known) * (1 - _EXACT_GAP))
        rows = np.flatnonzero(budgeted)
        if not len(rows) or self._seconds_left() <= 0:
            return found
        return merged(found, self._by_program(part.rows(rows), prices[rows], shed[rows], known, slack, keep), rows)

    def _idly(
        self, part: ServiceArrays, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int
    ) -> Configurations:
        counts = fill_cheapest(part.room, prices, part.fewest)
        price = (prices * counts).sum(axis=1)
        return Configurations(np.arange(len(part)), counts, np.zeros(len(part)), price, price, price)

    def _of_limits(self, part: ServiceArrays, prices: Floats, row: int) -> Floats:
        """Price of what a replica of each variant takes of the shared limits, beyond its own price."""
        found = np.zeros(len(self._tasks[int(part.index[row])].variants))
        cells = part.variant[row] >= 0
        found[part.variant[row][cells]] = (prices[row] - part.cost[row])[cells]
        return found

    def _by_program(
        self, part: ServiceArrays, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int
    ) -> Configurations:
        rows: list[int] = []
        counts: list[Ints] = []
        unmet: list[float] = []
        bound = np.zeros(len(part))
        for row in range(len(part)):
            task = self._tasks[int(part.index[row])]
            priced = price_exactly(
                task,
                self._of_limits(part, prices, row),
                float(shed[row]),
                seconds=self._seconds_left(),
                relative_gap=self._relative_gap,
                node_limit=max(_LEAST_NODES, _NODES // len(part)),
            )
            # The program counts the minima as well; everywhere here they are left out.
            bound[row] = priced.bound - part.base[row] - float((prices[row] - part.cost[row]) @ part.least[row])
            own = part.by_cell(row, priced.replicas) if priced.replicas else None
            if own is not None:
                rows.append(row)
                counts.append(own)
                unmet.append(priced.unmet)
        taken = np.array(counts, np.int64).reshape(len(rows), part.cost.shape[1])
        chosen, left_out = np.array(rows, np.int64), np.array(unmet, float)
        price = (prices[chosen] * taken).sum(axis=1) + np.where(left_out > 0, shed[chosen], 0.0) * left_out
        return Configurations(chosen, taken, left_out, price, bound, bound)

    def _by_class(
        self, part: ServiceArrays, prices: Floats, shed: Floats, known: Floats, slack: Floats, keep: int
    ) -> Configurations:
        near, rough = bool(slack.any()), self._care is Care.ROUGH
        found = self._classes.price(
            prices,
            shed,
            tilted=blind_tilt(part, prices, shed) if part.rules.any.any() else prices,
            known=known,
            slack=slack,
            keep=keep,
            relative_gap=0.0 if near else self._relative_gap,
            rough=rough,
            judgements=0 if self._care is Care.LEAST else _FEWER_JUDGEMENTS if near or rough else _JUDGEMENTS,
        )
        if self._care is not Care.LEAST:
            return found
        # A fleet that serves all with one weight per variant does so with one per class.
        blind = self._blind.price(part, prices, shed, known=known, slack=slack, keep=keep, rough=True)
        both = [Configurations(each.row, each.counts, each.unmet, each.price) for each in (found, blind)]
        within = np.full(len(part), np.inf)
        return best_of(joined(both), len(part), floor=found.bound, within=within, keep=2 * keep)
