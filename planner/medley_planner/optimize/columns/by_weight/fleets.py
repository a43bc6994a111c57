"""All fleets of a service that waste no more than a window allows, variant by variant and for many services at once.

Fleets under way are states; each variant multiplies them by the counts that keep their waste within the window. The
variant that the relaxation cuts comes last: it fills up what the others leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.by_weight.covering import Covering, Relaxed, ceil_covering
from medley_planner.optimize.columns.configurations import Configurations
from medley_planner.optimize.columns.service_arrays import COVERS, Bools, Floats, Ints, ServiceArrays

_NARROWEST = 1e-7
"""Part of the window below which it counts as nothing."""
_MOST_MOVES = 1e9


@dataclass(slots=True, eq=False)
class FleetStates:
    """Fleets under way: the row of the service, what they waste and carry so far, their counts."""

    row: Ints
    waste: Floats
    carried: Floats
    counts: Ints


def enumerate_fleets(
    part: ServiceArrays, relaxed: Relaxed, cover: Covering, window: Floats, most_states: int
) -> tuple[FleetStates, Floats]:
    """The states, and the window by service, which is narrower where it held more than `most_states`."""
    services, variants = cover.reach.shape
    size = np.where(cover.room > 0, np.abs(relaxed.waste), -1.0)
    size[np.arange(services), relaxed.cut] = np.where(relaxed.cut >= 0, -1.0, size[np.arange(services), relaxed.cut])
    order = np.argsort(-size, axis=1, kind="stable")
    start = np.arange(services)
    states = FleetStates(start, np.zeros(services), np.zeros(services), np.zeros((services, variants), np.int32))
    window = window.copy()
    for step in range(variants):
        cell = order[:, step]
        active = size[start, cell] >= 0
        own = relaxed.waste[start, cell]
        if not (active & (own <= window)).any():
            # No service can afford a single one of these; none of them saves anything either.
            continue
        low, high = _range(part, states, relaxed, cover, window, cell, active)
        children = np.maximum(high - low + 1, 0)
        for _ in range(60):
            crowded = np.bincount(states.row, weights=children, minlength=services) > most_states
            if not crowded.any():
                break
            window = np.where(crowded, window * 0.7, window)
            low, high = _range(part, states, relaxed, cover, window, cell, active)
            children = np.maximum(high - low + 1, 0)
        states = _expand(states, relaxed, cover, cell, low, children)
    return states, window


def _range(
    part: ServiceArrays,
    states: FleetStates,
    relaxed: Relaxed,
    cover: Covering,
    window: Floats,
    cell: Ints,
    active: Bools,
) -> tuple[Ints, Ints]:
    """The fewest and the most replicas of each state's next variant that keep its waste within the window."""
    rows = states.row
    own = cell[rows]
    waste, carries, most = relaxed.waste[rows, own], cover.reach[rows, own], cover.room[rows, own]
    # Without end where nothing is known of a service.
    spare = np.minimum(window[rows] - states.waste, np.finfo(float).max)
    unit = np.abs(waste)
    # What wastes next to nothing may be there this often, and not more often than a float can count.
    least = np.maximum(np.abs(spare) / _MOST_MOVES, 1e-300)
    moves = np.where(unit > 0, np.floor(spare / np.maximum(unit, least) + _NARROWEST), _MOST_MOVES)
    rest = np.maximum(cover.need[rows] - states.carried, 0.0)
    needed = np.where(carries > 0, ceil_covering(rest / np.maximum(carries, 1e-300)), 0)
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
    states: FleetStates, relaxed: Relaxed, cover: Covering, cell: Ints, low: Ints, children: Ints
) -> FleetStates:
    parent = np.repeat(np.arange(len(children)), children)
    ends = children.cumsum()
    count = np.arange(len(parent)) - (ends - children)[parent] + low[parent]
    row = states.row[parent]
    own = cell[row]
    waste = relaxed.waste[row, own]
    added = np.where(waste < 0, -waste * (cover.room[row, own] - count), waste * count)
    counts = states.counts[parent]
    counts[np.arange(len(parent)), own] += count.astype(np.int32)
    return FleetStates(
        row, states.waste[parent] + added, states.carried[parent] + cover.reach[row, own] * count, counts
    )


def filled_up(
    part: ServiceArrays,
    prices: Floats,
    shed: Floats,
    relaxed: Relaxed,
    cover: Covering,
    states: FleetStates,
) -> Configurations:
    """The variant that the relaxation cuts fills up what the others leave, or the rest is left out."""
    row, cut = states.row, relaxed.cut[states.row]
    usable = cut >= 0
    carries = np.where(usable, cover.reach[row, cut], 0.0)
    most = np.where(usable, cover.room[row, cut], 0)
    rest = np.maximum(cover.need[row] - states.carried, 0.0)
    rest = np.where(rest <= COVERS, 0.0, rest)
    others = states.counts.sum(axis=1)
    most = np.minimum(most, np.maximum(part.most[row] - others, 0))
    short = np.maximum(part.fewest[row] - others, 0)
    full = np.where(carries > 0, ceil_covering(rest / np.maximum(carries, 1e-300)), np.where(rest > 0, np.inf, 0.0))
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


def _for_rules(part: ServiceArrays, states: FleetStates, cut: Ints, full: Floats) -> Floats:
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
