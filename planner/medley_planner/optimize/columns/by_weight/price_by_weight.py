"""The cheapest configurations of services behind one weight per variant (HTTPRoute), at given prices of replicas.

Each service is a covering knapsack: replicas y_j of which each carries the part 1 / W_j of the demand must carry all of
it, or the rest is left out at a price. With r the price per part at which the linear relaxation breaks even, a fleet
costs r + sum of what each of its replicas wastes against r + r x what it has too much. So all fleets within a window
above the relaxation waste no more than the window: they are enumerated variant by variant, for all services at once,
and what is found is proven cheapest as far as the window reaches. Where a window holds too many fleets it is made
narrower, which makes the proof weaker but never wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medley_planner.optimize.columns.by_weight.covering import ROUNDING, blind_tilt, covering, relax, simple_price
from medley_planner.optimize.columns.by_weight.fleets import enumerate_fleets, filled_up
from medley_planner.optimize.columns.configurations import Configurations, best_of, joined, merged
from medley_planner.optimize.columns.service_arrays import Bools, Floats, ServiceArrays

_MOST_STATES, _MOST_ROUGHLY = 4000, 500
"""Fleets under way of one service, more of which are not worth their time; and while prices are still far off."""
_AT_ONCE = 64
"""Services whose fleets are enumerated together."""
_HARDLY = 0.05
"""Part of its price by which what leaving out demand costs may exceed a replica that is hardly worth it."""
_WIDENINGS = 6
_AT_FIRST = 0.004
"""Part of the relaxation's value that the first window of a service with rules is wide."""
_AS_BEFORE = 1.25
"""How much wider than was needed at the last prices that window is from then on."""


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
    # At prices that hold the worth of a rule no allowed fleet costs more than it does, and the forbidden ones do.
    tilted = blind_tilt(part, prices, shed)
    found, floor, window, crowded = _search(
        part, prices, tilted, shed, known=known, slack=slack, keep=keep, at_first=at_first, most_states=most_states
    )
    cheapest = np.full(len(part), np.inf)
    for _ in range(_WIDENINGS):
        # Where limits on the number of replicas bind, the relaxation is far below and the first window too narrow.
        cheapest = np.full(len(part), np.inf)
        np.minimum.at(cheapest, found.row, found.price)
        # For a service with rules a known fleet does not require to find more than there is below it.
        open_rows = np.where(part.rules.any, found.bound < known * (1 - ROUNDING), cheapest <= known)
        rows = np.flatnonzero((found.bound < cheapest * (1 - ROUNDING)) & ~crowded & open_rows)
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
    """The fleets within a window that reaches `known` or a simple fleet; the relaxation's value; that window; where it
    was narrowed."""
    cover = covering(part)
    ruled = part.rules.any
    relaxed = relax(tilted, cover, shed)
    # Where a replica is hardly worth more than what it serves, any number of them is near the cheapest.
    open_ended = (slack > 0) & (shed <= relaxed.rate * (1 + _HARDLY))
    relaxed = replace(relaxed, cut=np.where(open_ended, -1, relaxed.cut))
    simple = np.where(ruled & np.isfinite(known), np.inf, simple_price(part, prices, cover, shed))
    within = np.minimum(known, simple)
    window = np.where(np.isfinite(within), within - relaxed.value, relaxed.value)
    # With rules most simple fleets are far above: a narrow window first, which is widened where it holds nothing.
    window = np.where(ruled, np.minimum(window, at_first * np.maximum(np.abs(relaxed.value), 1e-12)), window)
    window = np.maximum(window, 0.0) + slack + ROUNDING * (1 + np.abs(relaxed.value))
    states, reached = enumerate_fleets(part, relaxed, cover, window, most_states)
    found = filled_up(part, prices, shed, relaxed, cover, states)
    if ruled.any():
        found = _chosen(found, part.rules.allow(found.row, found.counts + part.least[found.row]))
    best = best_of(found, len(part), floor=relaxed.value + reached, within=within + slack, keep=keep)
    return best, relaxed.value, reached, reached < window


def _chosen(found: Configurations, kept: Bools) -> Configurations:
    return Configurations(found.row[kept], found.counts[kept], found.unmet[kept], found.price[kept])
