"""The cheapest fleet of one plain service that shares nothing, by enumeration: exact, and without starting a solver.

Starting an integer solver takes longer than a small service is worth. Here all fleets that a budget allows are listed
variant by variant, all at once in numpy. A fleet is dropped as soon as what it lacks cannot be had for the money that
is left, at each of several prices of classes: a fleet whose variants carry less than all of the worth at any prices
serves less than everything. What is left is judged exactly (`columns/by_class/split.py`), cheapest first, and each
fleet that turns out too small gives prices that strike out others. Where a budget allows too many fleets, or a
service has rules or limits, the answer is None and the integer program has to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.by_class.split import judge
from medley_planner.optimize.columns.by_class.values import carried, knapsacks
from medley_planner.optimize.columns.service_arrays import Floats, Ints
from medley_planner.optimize.program.distribute import distribute
from medley_planner.optimize.program.solve import Answer, Answers
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import special
from medley_planner.optimize.task.task import Matrix, Task

_MOST_CELLS = 4_000_000
"""Counts x variants x classes x prices beyond which listing what counts carry is no longer cheap."""
_MEASURES = 8
"""Variants by which a load is measured to begin with."""
_MOST_STATES = 4_000
_JUDGEMENTS = 40
"""Fleets that may be judged; where more are close to enough the integer program is quicker."""
_NARROWINGS = 4
_ROUNDING = 1e-9


def plain(task: Task, room: Room) -> bool:
    """Whether nothing but the load decides: no rule, no replica limit, nothing shared that could run out."""
    service = task.service
    if special(task) or service.min_replicas or service.max_replicas is not None:
        return False
    if not task.classes or task.rate_rps <= 0:
        return False
    if any(variant.min_replicas or variant.max_replicas is not None for variant in service.variants):
        return False
    pools = (room.pools.get(variant.pool) for variant in service.variants)
    if any(pool is not None and pool.node_price is not None for pool in pools):
        return False
    return not any(room.uses(variant) for variant in service.variants)


def solve_small(task: Task, room: Room) -> Answers | None:
    """The cheapest fleet, proven; None where it takes the integer program to find it."""
    search = _search_of(task, room)
    if search is None:
        return None
    found = search.by_pod() if task.service.routing.equal_pods else search.cheapest()
    if found is None:
        return None
    replicas = search.replicas(found)
    split = distribute(task, replicas)
    if not split.complete:
        return None
    return Answers((Answer(replicas, split, True),), search.price(found))


@dataclass(slots=True, eq=False)
class _Search:
    """`work[j, c]` of the variants `cells` that can serve; `unit` their prices, `extra` of each beyond `kept`; no
    cheapest fleet has more than `most[j]`. `cuts` are the prices of classes that fleets are held against."""

    cells: Ints
    variants: int
    work: Matrix
    unit: Floats
    extra: Floats
    kept: Ints
    most: Ints
    cuts: Floats

    def replicas(self, counts: Ints) -> tuple[int, ...]:
        whole = [0] * self.variants
        for cell, count in zip(self.cells.tolist(), counts.tolist(), strict=True):
            whole[cell] = count
        return tuple(whole)

    def price(self, counts: Ints) -> float:
        own = self.unit * counts + self.extra * np.maximum(counts - self.kept, 0)
        return math.fsum(own.tolist())

    def cheapest(self) -> Ints | None:
        budget, floor = self._simple(), float(self.cuts[0].sum())
        for _ in range(_NARROWINGS):
            listed = self._within(budget, floor)
            if listed is not None:
                return self._judged(*listed)
            budget = floor + 0.4 * (budget - floor)
        return None

    def by_pod(self) -> Ints | None:
        """Where each pod gets the same share: with one variant as the slowest in use, so many pods as it asks for, the
        cheapest that are no slower."""
        total = self.work.sum(axis=1)
        least = (total * (1 - _ROUNDING)).tolist()
        of_kept = zip(self.unit.tolist(), range(len(total)), self.kept.tolist(), strict=True)
        of_more = ((price, place, math.inf) for place, price in enumerate((self.unit + self.extra).tolist()))
        steps = sorted((*of_kept, *of_more))
        best: tuple[float, Ints] | None = None
        for needed in np.unique(_ceil(total[np.isfinite(total)])).tolist():
            counts, left = np.zeros(len(total), np.int64), needed
            for _, place, most in steps:
                if left and least[place] <= needed:
                    counts[place] += min(left, most)
                    left -= min(left, most)
            price = self.price(counts)
            if best is None or price < best[0] - _ROUNDING * price:
                best = price, counts
        return best[1] if best is not None else None

    def _simple(self) -> float:
        """The cost of the best of some simple fleets."""
        total = self.work.sum(axis=1)
        alone = np.where(np.isfinite(total), _ceil(np.where(np.isfinite(total), total, 0.0)), 0)
        prices: Floats = self.unit * alone + self.extra * np.maximum(alone - self.kept, 0)
        best = (self.unit[:, None] * self.work).argmin(axis=0)
        load = np.zeros(len(total))
        np.add.at(load, best, self.work[best, np.arange(len(best))])
        return min(self.price(_ceil(load)), float(prices[alone > 0].min(initial=np.inf)))

    def _within(self, budget: float, floor: float) -> tuple[Ints, Floats] | None:
        """All fleets that may serve everything and cost no more, with their prices; None where they are too many."""
        allowed = budget + _ROUNDING * (1 + budget)
        most = np.minimum(self.most, np.floor(allowed / self.unit)).astype(np.int64)
        if (int(most.max()) + 1) * self.work.size * len(self.cuts) > _MOST_CELLS:
            return None
        span = np.arange(int(most.max()) + 1)
        price = self.unit[:, None] * span + self.extra[:, None] * np.maximum(span - self.kept[:, None], 0)
        beyond = price - _worths(self.work, self.cuts[:1], span)[1][0]
        options = (span <= most[:, None]) & (beyond <= allowed - floor)
        choices = options.sum(axis=1)
        order = np.argsort(choices, kind="stable")
        order = order[choices[order] > 1]  # the others can only stay out
        most_per_load, worth = _worths(self.work[order], self.cuts, span)
        with np.errstate(divide="ignore"):
            per_worth = self.unit[order] / most_per_load
        later = np.full((len(order) + 1, len(self.cuts)), np.inf)
        later[:-1] = np.minimum.accumulate(per_worth.T[::-1])[::-1]
        none_later = np.isinf(later)
        later[none_later] = 0.0
        costs, lacking = np.zeros(1), self.cuts.sum(axis=1)[None] * (1 - _ROUNDING)
        counts = np.zeros((1, len(self.work)), np.int64)
        for place, cell in enumerate(order.tolist()):
            own = np.flatnonzero(options[cell])
            if len(costs) * len(own) > 10 * _MOST_STATES:
                return None
            cost = costs[:, None] + price[cell, own]
            lack = np.maximum(lacking[:, None, :] - worth[:, place, own].T, 0.0)
            good = cost + (lack * later[place + 1]).max(axis=2) <= allowed
            good &= ~((lack > 0) & none_later[place + 1]).any(axis=2)
            parent, option = np.nonzero(good)
            if len(parent) > _MOST_STATES:
                return None
            costs, lacking, counts = cost[parent, option], lack[parent, option], counts[parent]
            counts[:, cell] = own[option]
        return counts, costs

    def _judged(self, counts: Ints, costs: Floats) -> Ints | None:
        """The cheapest that serves everything; of equally expensive ones the one with fewest replicas."""
        order = np.lexsort((counts.sum(axis=1), np.round(costs, 9)))
        counts = counts[order]
        for _ in range(_JUDGEMENTS):
            if not len(counts):
                return None
            verdict = judge(self.work, counts[0].astype(float), np.ones(self.work.shape[1]), shed=False)
            if verdict.unmet == 0:
                cheapest: Ints = counts[0]
                return cheapest
            if not len(verdict.worth):
                return None
            self.cuts = np.concatenate([self.cuts, verdict.worth[None]])
            of = knapsacks(self.work, np.broadcast_to(verdict.worth, self.work.shape))
            carry = carried(of, counts.T.astype(float)).sum(axis=0)
            enough = carry >= float(verdict.worth.sum()) * (1 - _ROUNDING)
            enough[0] = False
            counts = counts[enough]
        return None


def _search_of(task: Task, room: Room) -> _Search | None:
    if not plain(task, room):
        return None
    work = task.work.sum(axis=1, keepdims=True) if task.blind else task.work
    cells = np.flatnonzero(np.isfinite(work).any(axis=1) & np.array(task.able))
    if not len(cells):
        return None
    work = work[cells]
    unit = np.array(task.cost)[cells]
    if not (np.isfinite(work).any(axis=0).all() and (unit > 0).all()):
        return None
    whole = np.where(np.isfinite(work), work, 0.0).sum(axis=1)
    return _Search(
        cells=cells,
        variants=len(task.variants),
        work=work,
        unit=unit,
        extra=np.array(task.starting)[cells],
        kept=np.array(task.current, np.int64)[cells],
        most=_ceil(whole),
        cuts=_first_cuts(work, unit),
    )


def _worths(work: Matrix, cuts: Floats, span: Ints) -> tuple[Floats, Floats]:
    """The most worth per load by cut and variant, and what each count in `span` carries at most."""
    of = knapsacks(work[None], cuts[:, None, :])
    return of.ratio[..., 0], carried(of, np.broadcast_to(span.astype(float), (len(cuts), len(work), len(span))))


def _first_cuts(work: Matrix, unit: Floats) -> Floats:
    """The least cost of each class; then all as the variants measure it that carry it alone at the least cost."""
    cuts: list[Floats] = [(unit[:, None] * work).min(axis=0)]
    if work.shape[1] > 1:
        total = work.sum(axis=1)
        best = np.argsort(unit * total, kind="stable")[:_MEASURES]
        cuts += [work[place] / total[place] for place in best if 0 < total[place] < np.inf]
    return np.array(cuts)


def _ceil(load: Floats) -> Ints:
    counts: Ints = np.maximum(np.ceil(load * (1 - _ROUNDING)), 0).astype(np.int64)
    return counts
