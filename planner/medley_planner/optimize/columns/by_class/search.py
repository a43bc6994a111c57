"""The cheapest replicas of one service that is routed by class, by enumeration of what a bound leaves.

All fleets within a window above the bound (see `class_bound`) cost beyond their worth no more than the window, variant
by variant. Of those, the ones that carry too little at some prices of classes are struck out; the cheapest of the rest
is judged exactly: either it serves all, and nothing cheaper does, or prices of classes prove that it does not, and
strike out others with it. Windows grow until one holds an answer. Where one holds too many fleets, or too many would
have to be judged, the proof is weaker but never wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.by_class.memory import ClassMemory, Wanted, remembered
from medley_planner.optimize.columns.by_class.split import Verdict, judge
from medley_planner.optimize.columns.by_class.values import carried, knapsacks
from medley_planner.optimize.columns.by_class.window import States, within
from medley_planner.optimize.columns.service_arrays import Floats, Ints

_FIRST_WINDOW = 2e-4
"""Part of the bound that the first window is wide, and at least this part of the cheapest replica."""
_FIRST_REPLICA = 0.1
_GROWTH = 3.0
_WINDOWS = 14
_ROUNDING = 1e-9
_UNKNOWN = Verdict(np.nan, np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class Cheapest:
    """Counts beyond the minima, the part left out, the price, cheapest first; and what `Found` says of them."""

    counts: Ints
    unmet: Floats
    price: Floats
    bound: float
    reach: float


def search(wanted: Wanted, memory: ClassMemory, *, judgements: int, relative_gap: float) -> Cheapest:
    """At most this many fleets are judged, and none once the cheapest is proven to be within the gap. Without any only
    what is in memory and the bound as it is."""
    _, prices, _ = remembered(wanted, memory)
    known = min(wanted.known, float(prices.min(initial=np.inf)))
    goal = known * (1 - relative_gap) if np.isfinite(known) else np.inf
    top = known - wanted.bound + wanted.slack + _ROUNDING * (1 + abs(wanted.bound))
    unit = float(wanted.prices[wanted.cells].min())
    window = max(_FIRST_WINDOW * wanted.bound, _FIRST_REPLICA * unit, 1.05 * memory.window)
    bound = reach = wanted.bound
    cheapest = np.inf
    for _ in range(_WINDOWS if judgements > 0 else 0):
        # A bound above what is known: no fleet keeps the limits, not even that one, which misses a minimum.
        if top < 0 or (bound >= goal and wanted.slack == 0):
            break
        wide = min(max(window, (cheapest - wanted.bound if cheapest < np.inf else 0.0) + wanted.slack), top)
        states = within(wanted, memory, wide)
        found, reach, judgements = _judge(wanted, memory, states, judgements)
        cheapest = min(cheapest, found)
        narrowed = states.reach < wanted.bound + wide * (1 - _ROUNDING)
        bound = max(bound, min(reach, cheapest))
        if reach >= cheapest + wanted.slack or narrowed or reach < states.reach or wide >= top:
            break
        window = _GROWTH * wide
    counts, price, unmet = remembered(wanted, memory)
    cheapest = float(price.min(initial=np.inf))
    memory.window = cheapest - wanted.bound if cheapest < np.inf else 0.0
    near = price <= max(wanted.known, cheapest) + wanted.slack + _ROUNDING
    order = np.flatnonzero(near)[np.argsort(price[near], kind="stable")]
    if len(order) > wanted.keep:
        reach = min(reach, float(price[order[wanted.keep - 1]]))
        order = order[: wanted.keep]
    reach = min(max(reach, wanted.bound), known + wanted.slack)
    return Cheapest(counts[order], unmet[order], price[order], min(bound, cheapest, known), reach)


def _judge(wanted: Wanted, memory: ClassMemory, states: States, judgements: int) -> tuple[float, float, int]:
    """The cheapest price of a fleet that is allowed, the price up to which all such are in memory, judgements left."""
    counts = states.counts
    sheds = np.isfinite(wanted.shed)
    least, own_price = wanted.least[states.cells], wanted.own[states.cells]
    work = wanted.work[states.cells]
    if wanted.allow is not None:
        whole = np.tile(wanted.least, (len(counts), 1))
        whole[:, states.cells] += counts
        counts = counts[wanted.allow(whole)]
    price = counts @ own_price
    if memory.cuts and len(counts):
        lacking = _lacking(wanted, np.array(memory.cuts), counts + least, work)
        if sheds:
            price = price + wanted.shed * lacking
        else:
            counts, price = counts[lacking <= 0], price[lacking <= 0]
    cheapest, found = np.inf, list[float]()
    while len(counts):
        first = int(price.argmin())
        at = float(price[first])
        enough = sum(own <= at for own in found) >= wanted.keep
        if at > min(states.reach, cheapest + wanted.slack) + _ROUNDING * (1 + abs(at)) or enough:
            return cheapest, min(states.reach, at), judgements
        full = wanted.least.copy()
        full[states.cells] += counts[first]
        unmet = memory.judged.get(full.tobytes())
        worth = np.empty(0)
        if unmet is None:
            verdict = judge(wanted.work, full.astype(float), wanted.weight, shed=sheds) if judgements > 0 else _UNKNOWN
            judgements -= 1
            unmet, worth = verdict.unmet, verdict.worth
            if np.isnan(unmet) and not len(worth):
                return cheapest, min(states.reach, at), judgements
            if len(worth):
                memory.learn(worth)
            if not np.isnan(unmet):
                memory.fits(full, unmet)
        drop = np.zeros(len(counts), bool)
        # What was judged is gone in any case, so that rounding cannot bring it back.
        drop[first] = True
        if not np.isnan(unmet):
            found.append(float(counts[first] @ own_price) + (wanted.shed * unmet if unmet > 0 else 0.0))
            cheapest = min(cheapest, found[-1])
            if unmet == 0:
                drop |= (counts >= counts[first]).all(axis=1)
        if len(worth):
            lacking = _lacking(wanted, worth[None], counts + least, work)
            if sheds:
                price = np.maximum(price, counts @ own_price + wanted.shed * lacking)
            else:
                drop |= lacking > 0
        counts, price = counts[~drop], price[~drop]
    return cheapest, states.reach, judgements


def _lacking(wanted: Wanted, cuts: Floats, replicas: Ints, work: Floats) -> Floats:
    """The most that each fleet lacks at any of these prices of classes: a part of the demand if that has a price."""
    sheds = np.isfinite(wanted.shed)
    if sheds:
        ratio = np.where(cuts > 0, wanted.weight / np.where(cuts > 0, cuts, 1.0), np.inf)
        cuts = cuts * ratio.min(axis=1)[:, None]
    total = cuts.sum(axis=1)
    low, high = replicas.min(axis=0), replicas.max(axis=0)
    span = int((high - low).max()) + 1
    base = (low[:, None] + np.arange(span)).astype(float)
    worth = carried(knapsacks(work[None], cuts[:, None, :]), np.broadcast_to(base, (len(cuts), *base.shape)))
    carries = np.zeros((len(cuts), len(replicas)))
    for place in range(len(work)):
        carries += worth[:, place, replicas[:, place] - low[place]]
    lacking: Floats = (total[:, None] * (1 - _ROUNDING) - carries).max(axis=0)
    return np.maximum(lacking, 0.0) if sheds else np.where(lacking > 0, lacking, 0.0)
