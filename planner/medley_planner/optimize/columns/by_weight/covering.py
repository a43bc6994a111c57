"""One service as a covering knapsack: what must be carried, what a replica carries, and the linear relaxation of it.

    least sum_j p_j y_j + p_shed u   over   sum_j r_j y_j + u >= need,  0 <= y_j <= room_j,  u >= 0

with y_j replicas beyond the minima, p_j their prices and r_j = min(1, 1 / W_j) the part of the demand that one carries.
The relaxation takes the variants by rising p_j / r_j; the one that it takes in part is the cut one, whose ratio (or
p_shed, if that is less) is what a part of the demand costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.service_arrays import COVERS, Floats, Ints, ServiceArrays

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Covering:
    """The part of the demand that a replica of each cell carries and the room, and what the minima leave for each
    service."""

    reach: Floats
    need: Floats
    room: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    """The linear relaxation: its break-even price, its value, the variant that is cut, each variant's waste."""

    rate: Floats
    value: Floats
    cut: Ints
    waste: Floats


def covering(part: ServiceArrays) -> Covering:
    reach = np.where(np.isfinite(part.work) & (part.work > 0), 1 / np.maximum(part.work, 1e-300), 0.0)
    reach = np.minimum(reach, 1.0)
    need = np.maximum(1.0 - (reach * part.least).sum(axis=1), 0.0)
    need = np.where((need <= COVERS) | (part.rate == 0), 0.0, need)
    return Covering(reach, need, np.where(reach > 0, part.room, 0))


def relax(prices: Floats, cover: Covering, shed: Floats) -> Relaxed:
    """At these prices of replicas and of leaving out all demand."""
    reach, need, room = cover.reach, cover.need, cover.room
    usable = room > 0
    ratio = np.where(usable, prices / np.where(usable, reach, 1.0), np.inf)
    order = np.argsort(ratio, axis=1, kind="stable")
    rows = np.arange(len(prices))
    carries = np.take_along_axis(np.where(usable, reach * room, 0.0), order, axis=1).cumsum(axis=1)
    enough = carries >= need[:, None] * (1 - ROUNDING)
    covered = enough.any(axis=1)
    cut = np.where(covered, order[rows, enough.argmax(axis=1)], -1)
    rate = np.where(covered, ratio[rows, cut], np.inf)
    cut = np.where(shed <= rate, -1, cut)
    rate = np.minimum(rate, shed)
    # Where nothing can cover the demand no fleet is found, and 0 is as good a bound as any.
    rate = np.where((need == 0) | ~np.isfinite(rate), 0.0, rate)
    waste = np.where(usable, prices - rate[:, None] * reach, 0.0)
    value = rate * need + (np.minimum(waste, 0.0) * room).sum(axis=1)
    return Relaxed(rate, value, cut, waste)


def simple_price(part: ServiceArrays, prices: Floats, cover: Covering, shed: Floats) -> Floats:
    """The price of the cheapest fleet of one variant, or of one variant filled up by one other; or of none."""
    reach, need, room = cover.reach, cover.need, cover.room
    usable = room > 0
    safe = np.where(usable, reach, 1.0)
    counts = np.where(usable, ceil_covering(need[:, None] / safe), 0)
    counts = np.maximum(counts, part.fewest[:, None])
    fits = usable & (counts <= room) & (counts <= part.most[:, None])
    alone = np.where(fits, counts * prices, np.inf)
    best = np.minimum(alone.min(axis=1, initial=np.inf), np.where(part.fewest == 0, shed, np.inf))
    ratio = np.where(usable, prices / safe, np.inf)
    first = ratio.argmin(axis=1) if prices.shape[1] else np.zeros(len(prices), int)
    rows = np.arange(len(prices))
    floor = np.minimum(np.floor(need / safe[rows, first]), room[rows, first])
    rest = np.maximum(need - floor * safe[rows, first], 0.0)
    more = np.where(usable, ceil_covering(rest[:, None] / safe), np.inf)
    total = floor[:, None] + more
    fits = usable & (more <= room) & (total <= part.most[:, None]) & (total >= part.fewest[:, None])
    fits[rows, first] = False
    two = np.where(fits, floor[:, None] * prices[rows, first][:, None] + more * prices, np.inf)
    found: Floats = np.minimum(best, two.min(axis=1, initial=np.inf))
    return found


def blind_tilt(part: ServiceArrays, prices: Floats, shed: Floats) -> Floats:
    """Prices that hold what the services' rules are worth where requests are routed by one weight per variant."""
    cover = covering(part)
    return part.rules.priced(prices, lambda tilted: relax(tilted, cover, shed).value)


def ceil_covering(amount: Floats) -> Floats:
    """Whole replicas for this amount, less what counts as covered."""
    rounded: Floats = np.ceil(amount - COVERS * np.maximum(1.0, np.abs(amount)))
    return np.maximum(rounded, 0.0)
