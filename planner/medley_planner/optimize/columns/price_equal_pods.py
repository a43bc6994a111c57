"""The cheapest configurations of services whose pods all get the same share (Service), at given prices of replicas.

One of the variants in use is the slowest; with it given, every pod carries the same part of the demand, only variants
that are no slower may be in use, and the cheapest replicas are taken until there are enough. Trying each variant as the
slowest is the whole search, so the cheapest that is found is the cheapest there is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medley_planner.optimize.columns.configurations import Configurations, best_of
from medley_planner.optimize.columns.service_arrays import COVERS, Bools, Floats, Ints, ServiceArrays

_FIELDS = ("row", "counts", "unmet", "price")


def price_pods(part: ServiceArrays, prices: Floats, shed: Floats, *, others: bool, keep: int) -> Configurations:
    """`shed[s]` is the price of leaving out all demand of a service, infinite where that is not to be thought of.

    With `others` also the cheapest fleets without each of the variants, for when the stock does not hold the cheapest.
    """
    services, variants = prices.shape
    # Whatever the demand, there is the fleet of the minima alone.
    pieces = [_filled(part, prices, shed, np.isfinite(shed), part.room, part.fewest)]
    for level in range(variants):
        needed = part.work[:, level]
        valid = np.isfinite(needed) & (part.rate > 0) & ((part.room + part.least)[:, level] > 0)
        needed = np.where(valid, needed, 1.0)
        allowed = part.work <= needed[:, None] * (1 + COVERS)
        valid &= (allowed | (part.least == 0)).all(axis=1)
        pods = np.maximum(np.ceil(needed - COVERS * np.maximum(1, needed)), 1.0)
        wanted = np.maximum(pods - part.least.sum(axis=1), part.fewest).astype(np.int64)
        room = np.where(allowed, part.room, 0)
        pieces.append(_filled(part, prices, shed, valid, room, wanted))
        for banned in range(variants) if others else ():
            without = room.copy()
            without[:, banned] = 0
            pieces.append(_filled(part, prices, shed, valid & (room[:, banned] > 0), without, wanted))
        partly = valid & np.isfinite(shed)
        if partly.any():
            worth = np.where(partly, shed, 0.0) / needed
            cheap = np.where(prices < worth[:, None], room, 0).sum(axis=1)
            # The last pod may have little left to carry; each one before it carries its whole part.
            filled = np.floor(needed).astype(np.int64) - part.least.sum(axis=1)
            fewer = np.maximum(np.minimum(np.minimum(cheap, filled), part.most), part.fewest)
            pieces.append(_filled(part, prices, shed, partly, room, fewer))
    found = Configurations(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in _FIELDS))
    everything = np.full(services, np.inf)
    best = best_of(found, services, floor=everything, within=everything, keep=keep)
    return replace(best, reach=best.bound)


def fill_cheapest(room: Ints, prices: Floats, wanted: Ints) -> Ints:
    """Replicas by variant: `wanted[s]` of them, the cheapest first; fewer where the room ends."""
    order = np.argsort(prices, axis=1, kind="stable")
    sorted_room = np.take_along_axis(room, order, axis=1)
    before = sorted_room.cumsum(axis=1) - sorted_room
    taken = np.clip(wanted[:, None] - before, 0, sorted_room)
    counts = np.zeros_like(room)
    np.put_along_axis(counts, order, taken, axis=1)
    return counts


def _filled(
    part: ServiceArrays, prices: Floats, shed: Floats, valid: Bools, room: Ints, wanted: Ints
) -> Configurations:
    counts = fill_cheapest(room, prices, wanted)
    added = counts.sum(axis=1)
    slowest = np.where(counts + part.least > 0, part.work, 0.0).max(axis=1, initial=0.0)
    unmet = 1 - (added + part.least.sum(axis=1)) / np.where(slowest > 0, slowest, np.inf)
    unmet = np.where(unmet <= COVERS, 0.0, unmet)
    sheds = np.isfinite(shed)
    good = np.flatnonzero(valid & (added >= part.fewest) & (added <= part.most) & ((unmet == 0) | sheds))
    price = (prices * counts).sum(axis=1) + np.where(sheds, shed, 0.0) * unmet
    return Configurations(good, counts[good], unmet[good], price[good])
