"""The cheapest configurations of services that are routed by prompt class or by bucket, at given prices of replicas.

Three steps: bounds for all services in one pass (`class_bound`), the variants that a known cost rules out left aside;
for each service an exact search above its bound (`class_search`); and where a large service has too many fleets near
its bound, one that begins with the whole replicas of the linear relaxation and searches only for the rest. Works on
plain matrices and knows nothing of tasks. What is learned of a service holds at any prices and is kept between rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medley_planner.optimize.columns.by_class.bound import Bounds, Classes, ascend, ruled_out
from medley_planner.optimize.columns.by_class.memory import ClassMemory, Wanted, best_remembered
from medley_planner.optimize.columns.by_class.relaxed import relaxed_replicas, relaxed_worth
from medley_planner.optimize.columns.by_class.search import Cheapest, search
from medley_planner.optimize.columns.configurations import Configurations
from medley_planner.optimize.columns.service_arrays import COVERS, Bools, Floats, Ints

Allow = Callable[[Ints], Bools]

_STEPS_BEFORE = 4
"""Steps of the ascent with all variants; the rest uses those that a known cost leaves."""
_STEPS = 20
_STEPS_AGAIN = 6
"""Where the ascent begins at the worths of the last round."""
_STEPS_WIDE = 60
"""For the few services whose gap stays open."""
_JUDGEMENTS = 60
"""Fleets of one service that may be judged in one round."""
_MOST_STATES, _MOST_ROUGHLY = 6000, 1000
"""Fleets under way of one service, and while prices are still far off."""
_FREE = (0, 2)
"""The search for the rest starts with this many replicas of each variant fewer than the relaxation has: first 0, then
2."""
_MOST_SLACK = 0.01
"""Part of a service's price above its cheapest beyond which looking for others takes too long; `reach` says so."""
_OPEN = 1e-3
"""Relative gap of a service above which the whole replicas of its relaxation are tried."""


@dataclass(frozen=True, slots=True, eq=False)
class _Aims:
    """The aims of one round, as in `ClassSearch.price`."""

    prices: Floats
    tilted: Floats
    shed: Floats
    known: Floats
    slack: Floats
    keep: int
    relative_gap: float
    most_states: int


class ClassSearch:
    """Services routed by class, with what earlier rounds have learned of them. Equal calls in equal order make equal
    results as long as `seconds_left` stays positive."""

    def __init__(
        self,
        given: Classes,
        *,
        allow: Sequence[Allow | None] | None = None,
        seconds_left: Callable[[], float],
    ) -> None:
        """`allow`: which counts of replicas, minima included, the rules of each service allow; None: all."""
        self._given = given
        self._allow = [None] * len(given) if allow is None else allow
        self._next = 0
        self._seconds_left = seconds_left
        self._memories = [ClassMemory() for _ in range(len(given))]
        self._start: tuple[Floats, Floats] | None = None
        self._classes = [np.flatnonzero(weight > 0) for weight in given.weight]
        self._remember_single_variants()

    def price(
        self,
        prices: Floats,
        shed: Floats,
        *,
        tilted: Floats | None = None,
        known: Floats,
        slack: Floats,
        keep: int,
        relative_gap: float = 0.0,
        judgements: int = _JUDGEMENTS,
        rough: bool = False,
    ) -> Configurations:
        """As `RouteSearch.price`; the cheapest of a service need not be proven closer than `relative_gap`.
        `tilted` are the prices with the worth of the rules, at which no fleet that they allow costs more.

        With `rough` only what the relaxation's whole replicas leave is searched. With `judgements` 0 no new fleets:
        only bounds, and what earlier rounds found.
        """
        given = self._given
        tilted = prices if tilted is None else tilted
        goal = self._goal(prices, shed, known)
        bounds = ascend(given, tilted, shed, goal, self._start, steps=_STEPS_BEFORE, seconds_left=self._seconds_left)
        cells = _cells(given, ~ruled_out(given, tilted, bounds, goal + slack))
        narrow, narrow_prices = given.variants(cells), np.take_along_axis(tilted, cells, axis=1)
        start = (bounds.worth, bounds.per_replica)
        steps = _STEPS if self._start is None else _STEPS_AGAIN
        bounds = ascend(narrow, narrow_prices, shed, goal, start, steps=steps, seconds_left=self._seconds_left)
        self._start = (bounds.worth, bounds.per_replica)
        slack = np.minimum(slack, _MOST_SLACK * np.abs(bounds.value))
        aims = _Aims(prices, tilted, shed, known, slack, keep, relative_gap, _MOST_ROUGHLY if rough else _MOST_STATES)
        if rough:
            goal = self._goal(prices, shed, known)
            left = np.flatnonzero(goal > bounds.value + max(relative_gap, _OPEN) * np.abs(bounds.value))
            if len(left):
                self._fill_up(left, aims, judgements, _FREE[0])
            judgements = 0
        found = self._search_all(aims, bounds, cells, judgements)
        wide = np.array([_best_price(own) - own.bound > max(relative_gap, _OPEN) * abs(own.bound) for own in found])
        rows = np.flatnonzero(wide)
        if len(rows) and judgements > 0:
            self._search_wide(rows, aims, (narrow, narrow_prices, cells, bounds), found, judgements)
        return _gathered(found, given.room.shape[1])

    def _search_all(self, aims: _Aims, bounds: Bounds, cells: Ints, judgements: int) -> list[Cheapest]:
        """Each service; where time ends before all are searched, the next pass begins with the others."""
        found: dict[int, Cheapest] = {}
        searched = 0
        for row in np.roll(np.arange(len(self._given)), -self._next).tolist():
            searched += self._seconds_left() > 0
            found[row] = self._search(
                row, self._wanted(self._given, row, aims, bounds, row, cells[row], row), aims, judgements
            )
        self._next = (self._next + searched) % len(self._given) if judgements and len(self._given) else self._next
        return [found[row] for row in range(len(self._given))]

    def _goal(self, prices: Floats, shed: Floats, known: Floats) -> Floats:
        """The least price known of each service."""
        given, goal = self._given, known.copy()
        for row, memory in enumerate(self._memories):
            least = best_remembered(
                memory,
                prices=prices[row],
                shed=float(shed[row]),
                room=given.room[row],
                least=given.least[row],
                fewest=int(given.fewest[row]),
                most=int(given.most[row]),
            )
            goal[row] = min(goal[row], least)
        return goal

    def _search_wide(
        self,
        rows: Ints,
        aims: _Aims,
        narrowed: tuple[Classes, Floats, Ints, Bounds],
        found: list[Cheapest],
        judgements: int,
    ) -> None:
        """Better fleets for the services `rows` and, with these as the goal, better bounds; into `found`."""
        floor = np.array([own.bound for own in found])
        for free in _FREE:
            goal = self._goal(aims.prices, aims.shed, aims.known)
            left = rows[goal[rows] > floor[rows] + _OPEN * np.abs(floor[rows])]
            if len(left) and self._seconds_left() > 0:
                self._fill_up(left, aims, judgements, free)
        narrow, prices, cells, bounds = narrowed
        goal = self._goal(aims.prices, aims.shed, aims.known)[rows]
        start = (bounds.worth[rows], bounds.per_replica[rows])
        part, prices, shed = narrow.rows(rows), prices[rows], aims.shed[rows]
        bounds = ascend(part, prices, shed, goal, start, steps=_STEPS_WIDE, seconds_left=self._seconds_left)
        worth, per_replica = bounds.worth.copy(), bounds.per_replica.copy()
        relaxed_worth(part, prices, shed, worth=worth, per_replica=per_replica, seconds_left=self._seconds_left)
        bounds = ascend(
            part, prices, shed, goal, (worth, per_replica), steps=_STEPS_WIDE, seconds_left=self._seconds_left
        )
        for at, row in enumerate(rows.tolist()):
            wanted = self._wanted(self._given, row, aims, bounds, at, cells[row], row)
            again = self._search(row, wanted, aims, judgements)
            bound = max(again.bound, min(found[row].bound, _best_price(again)))
            found[row] = replace(again, bound=bound, reach=max(again.reach, min(found[row].reach, bound)))

    def _search(self, row: int, wanted: Wanted, aims: _Aims, judgements: int) -> Cheapest:
        if self._seconds_left() <= 0:
            judgements = 0
        return search(wanted, self._memories[row], judgements=judgements, relative_gap=aims.relative_gap)

    def _wanted(
        self, given: Classes, at: int, aims: _Aims, bounds: Bounds, place: int, cells: Ints, row: int
    ) -> Wanted:
        """The service in row `at` of `given`, row `place` of `bounds` and row `row` of `aims`."""
        classes, allow = self._classes[row], self._allow[row]
        return Wanted(
            work=given.work[at][:, classes],
            weight=given.weight[at][classes],
            room=given.room[at],
            least=given.least[at],
            fewest=int(given.fewest[at]),
            most=int(given.most[at]),
            prices=aims.tilted[row],
            own=aims.prices[row],
            allow=allow,
            shed=float(aims.shed[row]),
            cells=cells,
            bound=float(bounds.value[place]),
            worth=bounds.worth[place][classes],
            per_replica=float(bounds.per_replica[place]),
            counts=bounds.counts[place],
            best=bounds.best[place],
            known=float(aims.known[row]),
            slack=float(aims.slack[row]),
            keep=aims.keep,
            most_states=aims.most_states,
        )

    def _fill_up(self, rows: Ints, aims: _Aims, judgements: int, free: int) -> None:
        """Searches above the whole replicas of the linear relaxation less `free` of each variant; what it finds is in
        the memories."""
        part = self._given.rows(rows)
        whole = np.minimum(
            np.floor(relaxed_replicas(part, aims.tilted[rows], aims.shed[rows], seconds_left=self._seconds_left))
            - free,
            part.room,
        ).astype(np.int64)
        whole = np.maximum(whole, 0)
        some = np.flatnonzero(whole.any(axis=1) & (whole.sum(axis=1) <= part.most))
        if not len(some):
            return
        part, whole, rows = part.rows(some), whole[some], rows[some]
        total = whole.sum(axis=1)
        rest = replace(
            part,
            room=part.room - whole,
            least=part.least + whole,
            fewest=np.maximum(part.fewest - total, 0),
            most=part.most - total,
        )
        nothing = np.full(len(rows), np.inf)
        bounds = ascend(
            rest, aims.tilted[rows], aims.shed[rows], nothing, None, steps=_STEPS, seconds_left=self._seconds_left
        )
        every = np.arange(part.room.shape[1])
        alone = replace(aims, known=np.full(len(self._given), np.inf), slack=np.zeros(len(self._given)), keep=1)
        for at, row in enumerate(rows.tolist()):
            memory = self._memories[row]
            before, memory.window = memory.window, 0.0
            self._search(row, self._wanted(rest, at, alone, bounds, at, every, row), alone, judgements)
            memory.window = before

    def _remember_single_variants(self) -> None:
        """Fleets of one variant that serve all, where the minima do not serve a part already."""
        given = self._given
        finite = np.isfinite(given.work) | (given.weight == 0)[:, None, :]
        usable = finite.all(axis=2) & (given.least == 0).all(axis=1)[:, None]
        load = np.where(np.isfinite(given.work), given.work, 0.0).sum(axis=2)
        counts = np.maximum(np.ceil(load * (1 - COVERS)), given.fewest[:, None]).astype(np.int64)
        usable &= (counts > 0) & (counts <= given.room) & (counts <= given.most[:, None])
        for row, cell in zip(*np.nonzero(usable), strict=True):
            own = np.zeros(given.room.shape[1], np.int64)
            own[cell] = counts[row, cell]
            allow = self._allow[row]
            if allow is None or allow(own[None]).all():
                self._memories[row].fits(own, 0.0)


def _cells(given: Classes, left: Bools) -> Ints:
    """The variants that are left by service, filled up with others to as many as the service with the most has."""
    left = left | (given.least > 0)
    most = max(1, int(left.sum(axis=1).max(initial=0)))
    cells: Ints = np.sort(np.argsort(~left, axis=1, kind="stable")[:, :most], axis=1)
    return cells


def _best_price(found: Cheapest) -> float:
    return float(found.price.min(initial=np.inf))


def _gathered(found: list[Cheapest], variants: int) -> Configurations:
    sizes = [len(own.price) for own in found]
    return Configurations(
        row=np.repeat(np.arange(len(found)), sizes),
        counts=np.concatenate([np.empty((0, variants), np.int64), *(own.counts for own in found)]),
        unmet=np.concatenate([np.empty(0), *(own.unmet for own in found)]),
        price=np.concatenate([np.empty(0), *(own.price for own in found)]),
        bound=np.array([own.bound for own in found]),
        reach=np.array([own.reach for own in found]),
    )
