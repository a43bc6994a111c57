"""The cheapest configurations of services behind one weight per variant (HTTPRoute), at given prices of replicas.

Each service is a covering knapsack: replicas y_j of which each carries the part 1 / W_j of the demand must carry all of
it, or the rest is left out at a price. With r the price per part at which the linear relaxation breaks even, a fleet
costs r + sum of what each of its replicas wastes against r + r x what it has too much. So all fleets within a window
above the relaxation waste no more than the window: they are enumerated variant by variant, for all services at once,
and what is found is proven cheapest as far as the window reaches. Where a window holds too many fleets it is made
narrower, which makes the proof weaker but never wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medley_planner.optimize.columns.configurations import Configurations, best_of, joined, merged
from medley_planner.optimize.columns.service_arrays import COVERS, Bools, Floats, Ints, ServiceArrays

_MOST_STATES, _MOST_ROUGHLY = 4000, 500
"""Fleets under way of one service, more of which are not worth their time; and while prices are still far off."""
_AT_ONCE = 64
"""Services whose fleets are enumerated together."""
_WIDENINGS = 6
_AT_FIRST = 0.004
"""Part of the relaxation's value that the first window of a service with rules is wide."""
_AS_BEFORE = 1.25
"""How much wider than was needed at the last prices that window is from then on."""
_ROUNDING = 1e-9
_NARROWEST = 1e-7
"""Part of the window below which it counts as nothing."""


@dataclass(slots=True, eq=False)
class _States:
    """Fleets under way: the row of the service, what they waste and carry so far, their counts."""

    row: Ints
    waste: Floats
    carried: Floats
    counts: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Relaxed:
    """The linear relaxation: its break-even price, its value, the variant that is cut, each variant's waste."""

    rate: Floats
    value: Floats
    cut: Ints
    waste: Floats


class RouteSearch:
    """Searches the same services again and again, and remembers how far above its relaxation each one's cheapest fleet
    was: of a service with rules, which is searched in windows that grow, the next search begins there."""

    def __init__(self, services: int) -> None:
        self._at_first: Floats = np.full(services, _AT_FIRST)

    def price(
        self,
        part: ServiceArrays,
        prices: Floats,
        shed: Floats,
        *,
        known: Floats,
        slack: Floats,
        keep: int,
        rough: bool = False,
    ) -> Configurations:
        """As `_price`, some services at a time, which bounds the memory that fleets under way take."""
        pieces = []
        for start in range(0, len(part), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(part)))
            found, self._at_first[rows] = _price(
                part.rows(rows),
                prices[rows],
                shed[rows],
                known=known[rows],
                slack=slack[rows],
                keep=keep,
                at_first=self._at_first[rows],
                most_states=_MOST_ROUGHLY if rough else _MOST_STATES,
            )
            pieces.append(replace(found, row=rows[found.row]))
        return joined(pieces)


def _price(
    part: ServiceArrays,
    prices: Floats,
    shed: Floats,
    *,
    known: Floats,
    slack: Floats,
    keep: int,
    at_first: Floats,
    most_states: int,
) -> tuple[Configurations, Floats]:
    """`prices[s, j]` of a replica, `shed[s]` of leaving out all demand (infinite: not to be thought of).

    `known[s]` is a price at which a fleet is known (infinite: none); fleets up to `slack[s]` above the cheapest are
    looked for as well, of which the `keep` cheapest are returned. `at_first[s]` is how wide the first window of a
    service with rules is, as a part of the relaxation's value; given back for the next time.
    """
    # At prices that hold the worth of a rule no allowed fleet is dearer than it is, and the forbidden ones are.
    tilted = blind_tilt(part, prices, shed)
    found, floor, window, crowded = _search(
        part, prices, tilted, shed, known=known, slack=slack, keep=keep, at_first=at_first, most_states=most_states
    )
    cheapest = np.full(len(part), np.inf)
    for _ in range(_WIDENINGS):
        # Where limits on the number of replicas bind, the relaxation is far below and the first window too narrow.
        cheapest = np.full(len(part), np.inf)
        np.minimum.at(cheapest, found.row, found.price)
        # Of a service with rules a known fleet is no reason to find more than there is below it.
        open_rows = np.where(part.rules.any, found.bound < known * (1 - _ROUNDING), cheapest <= known)
        rows = np.flatnonzero((found.bound < cheapest * (1 - _ROUNDING)) & ~crowded & open_rows)
        if not len(rows):
            break
        further = found.bound + 3 * window
        further += np.where(part.rules.any, 0.0, np.where(part.room > 0, prices, 0.0).max(axis=1, initial=0.0))
        goal = np.minimum(np.where(np.isfinite(cheapest), cheapest, further), known)[rows]
        wider, _, window[rows], crowded[rows] = _search(
            part.rows(rows),
            prices[rows],
            tilted[rows],
            shed[rows],
            known=goal,
            slack=slack[rows],
            keep=keep,
            at_first=np.full(len(rows), np.inf),
            most_states=most_states,
        )
        found = merged(found, wider, rows)
    reached = np.minimum(cheapest, known)
    above = np.where(np.isfinite(reached), reached - floor, 0.0) / np.maximum(np.abs(floor), 1e-12)
    return found, np.maximum(_AS_BEFORE * above, _AT_FIRST)


def blind_tilt(part: ServiceArrays, prices: Floats, shed: Floats) -> Floats:
    """Prices that hold what the services' rules are worth where requests are routed by one weight per variant."""
    reach, need, room = _covering(part)
    return part.rules.priced(prices, lambda tilted: _relax(tilted, reach, room, need, shed).value)


def _covering(part: ServiceArrays) -> tuple[Floats, Floats, Ints]:
    """By cell the part of the demand that a replica carries, by service what the minima leave, by cell the room."""
    reach = np.where(np.isfinite(part.work) & (part.work > 0), 1 / np.maximum(part.work, 1e-300), 0.0)
    reach = np.minimum(reach, 1.0)
    need = np.maximum(1.0 - (reach * part.least).sum(axis=1), 0.0)
    need = np.where((need <= COVERS) | (part.rate == 0), 0.0, need)
    return reach, need, np.where(reach > 0, part.room, 0)


def _search(
    part: ServiceArrays,
    prices: Floats,
    tilted: Floats,
    shed: Floats,
    *,
    known: Floats,
    slack: Floats,
    keep: int,
    at_first: Floats,
    most_states: int,
) -> tuple[Configurations, Floats, Floats, Bools]:
    """What is found within a window that reaches `known` or a simple fleet; the relaxation's value; that window; where
    it was narrowed."""
    reach, need, room = _covering(part)
    ruled = part.rules.any
    relaxed = _relax(tilted, reach, room, need, shed)
    simple = np.where(ruled & np.isfinite(known), np.inf, _simple(part, prices, reach, room, need, shed))
    within = np.minimum(known, simple)
    window = np.where(np.isfinite(within), within - relaxed.value, relaxed.value)
    # With rules most simple fleets are far above: a narrow window first, which is widened where it holds nothing.
    window = np.where(ruled, np.minimum(window, at_first * np.maximum(np.abs(relaxed.value), 1e-12)), window)
    window = np.maximum(window, 0.0) + slack + _ROUNDING * (1 + np.abs(relaxed.value))
    states, reached = _enumerate(part, relaxed, reach, room, need, window, most_states)
    found = _finish(part, prices, shed, relaxed, reach, room, need, states)
    if ruled.any():
        found = _chosen(found, part.rules.allow(found.row, found.counts + part.least[found.row]))
    best = best_of(found, len(part), floor=relaxed.value + reached, within=within + slack, keep=keep)
    return best, relaxed.value, reached, reached < window


def _relax(prices: Floats, reach: Floats, room: Ints, need: Floats, shed: Floats) -> _Relaxed:
    usable = room > 0
    ratio = np.where(usable, prices / np.where(usable, reach, 1.0), np.inf)
    order = np.argsort(ratio, axis=1, kind="stable")
    rows = np.arange(len(prices))
    carries = np.take_along_axis(np.where(usable, reach * room, 0.0), order, axis=1).cumsum(axis=1)
    enough = carries >= need[:, None] * (1 - _ROUNDING)
    covered = enough.any(axis=1)
    cut = np.where(covered, order[rows, enough.argmax(axis=1)], -1)
    rate = np.where(covered, ratio[rows, cut], np.inf)
    cut = np.where(shed <= rate, -1, cut)
    rate = np.minimum(rate, shed)
    # Where nothing can cover the demand no fleet is found, and 0 is as good a bound as any.
    rate = np.where((need == 0) | ~np.isfinite(rate), 0.0, rate)
    waste = np.where(usable, prices - rate[:, None] * reach, 0.0)
    value = rate * need + (np.minimum(waste, 0.0) * room).sum(axis=1)
    return _Relaxed(rate, value, cut, waste)


def _simple(part: ServiceArrays, prices: Floats, reach: Floats, room: Ints, need: Floats, shed: Floats) -> Floats:
    """The price of the cheapest fleet of one variant, or of one variant filled up by one other; or of none."""
    usable = room > 0
    safe = np.where(usable, reach, 1.0)
    counts = np.where(usable, _ceil(need[:, None] / safe), 0)
    counts = np.maximum(counts, part.fewest[:, None])
    fits = usable & (counts <= room) & (counts <= part.most[:, None])
    alone = np.where(fits, counts * prices, np.inf)
    best = np.minimum(alone.min(axis=1, initial=np.inf), np.where(part.fewest == 0, shed, np.inf))
    ratio = np.where(usable, prices / safe, np.inf)
    first = ratio.argmin(axis=1) if prices.shape[1] else np.zeros(len(prices), int)
    rows = np.arange(len(prices))
    floor = np.minimum(np.floor(need / safe[rows, first]), room[rows, first])
    rest = np.maximum(need - floor * safe[rows, first], 0.0)
    more = np.where(usable, _ceil(rest[:, None] / safe), np.inf)
    total = floor[:, None] + more
    fits = usable & (more <= room) & (total <= part.most[:, None]) & (total >= part.fewest[:, None])
    fits[rows, first] = False
    two = np.where(fits, floor[:, None] * prices[rows, first][:, None] + more * prices, np.inf)
    found: Floats = np.minimum(best, two.min(axis=1, initial=np.inf))
    return found


def _chosen(found: Configurations, kept: Bools) -> Configurations:
    return Configurations(found.row[kept], found.counts[kept], found.unmet[kept], found.price[kept])


def _enumerate(
    part: ServiceArrays, relaxed: _Relaxed, reach: Floats, room: Ints, need: Floats, window: Floats, most_states: int
) -> tuple[_States, Floats]:
    services, variants = reach.shape
    size = np.where(room > 0, np.abs(relaxed.waste), -1.0)
    size[np.arange(services), relaxed.cut] = np.where(relaxed.cut >= 0, -1.0, size[np.arange(services), relaxed.cut])
    order = np.argsort(-size, axis=1, kind="stable")
    start = np.arange(services)
    states = _States(start, np.zeros(services), np.zeros(services), np.zeros((services, variants), np.int32))
    window = window.copy()
    for step in range(variants):
        cell = order[:, step]
        active = size[start, cell] >= 0
        own = relaxed.waste[start, cell]
        if not (active & (own <= window)).any():
            # No service can afford a single one of these; none of them saves anything either.
            continue
        low, high = _range(part, states, relaxed, reach, room, need, window, cell, active)
        children = np.maximum(high - low + 1, 0)
        for _ in range(60):
            crowded = np.bincount(states.row, weights=children, minlength=services) > most_states
            if not crowded.any():
                break
            window = np.where(crowded, window * 0.7, window)
            low, high = _range(part, states, relaxed, reach, room, need, window, cell, active)
            children = np.maximum(high - low + 1, 0)
        states = _expand(states, relaxed, reach, room, cell, low, children)
    return states, window


def _range(
    part: ServiceArrays,
    states: _States,
    relaxed: _Relaxed,
    reach: Floats,
    room: Ints,
    need: Floats,
    window: Floats,
    cell: Ints,
    active: Bools,
) -> tuple[Ints, Ints]:
    """The fewest and the most replicas of each state's next variant that keep its waste within the window."""
    rows = states.row
    own = cell[rows]
    waste, carries, most = relaxed.waste[rows, own], reach[rows, own], room[rows, own]
    spare = window[rows] - states.waste
    unit = np.abs(waste)
    moves = np.where(unit > 0, np.floor(np.minimum(spare / np.maximum(unit, 1e-300), 1e9) + _NARROWEST), 1e9)
    rest = np.maximum(need[rows] - states.carried, 0.0)
    needed = np.where(carries > 0, _ceil(rest / np.maximum(carries, 1e-300)), 0)
    fitting = part.most[rows] - states.counts.sum(axis=1)
    low = np.where(waste < 0, np.maximum(most - moves, 0), 0)
    high = np.where(waste < 0, most, np.minimum(most, moves))
    # For the sake of a rule there may be more than carry the load.
    of_use = np.where(part.rules.any[rows] & (waste > 0), most, np.maximum(needed, part.fewest[rows]))
    high = np.minimum(np.minimum(high, of_use), np.maximum(fitting, 0))
    idle = ~active[rows]
    low, high = np.where(idle, 0, low), np.where(idle, 0, high)
    outside = spare < 0
    return low.astype(np.int64), np.where(outside, low - 1, high).astype(np.int64)


def _expand(
    states: _States, relaxed: _Relaxed, reach: Floats, room: Ints, cell: Ints, low: Ints, children: Ints
) -> _States:
    parent = np.repeat(np.arange(len(children)), children)
    ends = children.cumsum()
    count = np.arange(len(parent)) - (ends - children)[parent] + low[parent]
    row = states.row[parent]
    own = cell[row]
    waste = relaxed.waste[row, own]
    added = np.where(waste < 0, -waste * (room[row, own] - count), waste * count)
    counts = states.counts[parent]
    counts[np.arange(len(parent)), own] += count.astype(np.int32)
    return _States(row, states.waste[parent] + added, states.carried[parent] + reach[row, own] * count, counts)


def _finish(
    part: ServiceArrays,
    prices: Floats,
    shed: Floats,
    relaxed: _Relaxed,
    reach: Floats,
    room: Ints,
    need: Floats,
    states: _States,
) -> Configurations:
    """The variant that the relaxation cuts fills up what the others leave, or the rest is left out."""
    row, cut = states.row, relaxed.cut[states.row]
    usable = cut >= 0
    carries = np.where(usable, reach[row, cut], 0.0)
    most = np.where(usable, room[row, cut], 0)
    rest = np.maximum(need[row] - states.carried, 0.0)
    rest = np.where(rest <= COVERS, 0.0, rest)
    others = states.counts.sum(axis=1)
    most = np.minimum(most, np.maximum(part.most[row] - others, 0))
    short = np.maximum(part.fewest[row] - others, 0)
    full = np.where(carries > 0, _ceil(rest / np.maximum(carries, 1e-300)), np.where(rest > 0, np.inf, 0.0))
    full = np.maximum(full, short)
    least = np.maximum(np.where(carries > 0, np.minimum(np.floor(rest / np.maximum(carries, 1e-300)), most), 0), short)
    partly = np.flatnonzero((rest > 0) & np.isfinite(shed[row]) & (least < full))
    whole = np.flatnonzero(full <= most)
    ruled = np.flatnonzero((full <= most) & part.rules.any[row] & usable)
    chosen = np.concatenate([whole, partly, ruled])
    fill = np.concatenate([full[whole], least[partly], _for_rules(part, states, cut, full)[ruled]]).astype(np.int64)
    fits = (fill <= most[chosen]) & (others[chosen] + fill <= part.most[row[chosen]])
    chosen, fill = chosen[fits], fill[fits]
    counts = states.counts[chosen].astype(np.int64)
    filled = np.flatnonzero(usable[chosen])
    counts[filled, cut[chosen][filled]] += fill[filled]
    rows = row[chosen]
    unmet = np.maximum(rest[chosen] - carries[chosen] * fill, 0.0)
    unmet = np.where(unmet <= COVERS, 0.0, unmet)
    price = (prices[rows] * counts).sum(axis=1) + np.where(unmet > 0, shed[rows], 0.0) * unmet
    return Configurations(rows, counts, unmet, price)


def _for_rules(part: ServiceArrays, states: _States, cut: Ints, full: Floats) -> Floats:
    """As many of the cut variant as carry the rest, allow for the spot replicas and stand outside of one zone."""
    row, rules = states.row, part.rules
    counts = states.counts + part.least[row]
    total = counts.sum(axis=1)
    spot = np.where(rules.spot[row], counts, 0).sum(axis=1)
    share = rules.share[row]
    wanted = np.maximum(rules.lasting[row] - (total - spot), full)
    for_spot = np.ceil(spot / np.maximum(share, 1e-9) - total - 1e-9)
    own_spot = rules.spot[row, np.maximum(cut, 0)]
    wanted = np.maximum(wanted, np.where((share > 0) & (share < 1) & ~own_spot, for_spot, 0.0))
    more: Floats = np.where(rules.spread[row], np.maximum(wanted, full + 1), wanted)
    return more


def _ceil(amount: Floats) -> Floats:
    rounded: Floats = np.ceil(amount - COVERS * np.maximum(1.0, np.abs(amount)))
    return np.maximum(rounded, 0.0)
