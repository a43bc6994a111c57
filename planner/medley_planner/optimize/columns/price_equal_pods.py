"""The cheapest configurations of services whose pods all get the same share (Service), at given prices of replicas.

One of the variants in use is the slowest; with it given, every pod carries the same part of the demand, only variants
that are no slower may be in use, and so many pods are needed in all, one more where one may be lost. The cheapest such
pods are those that come first by price, with as many outside of spot pools as the rules ask for: the fewest of those
first, then whatever is cheapest. Where zones forbid that fleet, one pod is put outside of the zone that it stands in.
Trying each variant as the slowest is the whole search, so the cheapest that is found is the cheapest there is, but for
a budget, which is only checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from medley_planner.optimize.columns.configurations import Configurations, best_of
from medley_planner.optimize.columns.service_arrays import COVERS, Bools, Floats, Ints, ServiceArrays

_FIELDS = ("row", "counts", "unmet", "price")
_ROUNDING = 1e-9
_OTHERS = 4
"""Variants of the cheapest fleet without which, or with one less of which, other fleets are looked for."""
_BESIDE = 8
"""So many pods more or fewer than those that are worth most are looked for as well, where demand is left out."""
_BEYOND = 10**12
"""More pods than any service may have."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pods:
    """Services with their cells by rising price: shapes (services, cells), (services,) and, of `outside`, (services,
    zones, cells). `least` pods more than those that are counted here are there in any case, `spot_least` of them in
    spot pools. `fewest` and `most` are limits on all pods."""

    row: Ints
    order: Ints
    prices: Floats
    room: Ints
    work: Floats
    spot: Bools
    least: Ints
    spot_least: Ints
    share: Floats
    lasting: Ints
    fewest: Ints
    most: Ints
    lost: Ints
    outside: Bools

    def rows(self, chosen: Ints) -> _Pods:
        return _Pods(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def cheapest(self, room: Ints, total: Ints, *, whole: bool = True) -> Floats:
        """Pods by cell beyond the minima, `total[s]` with these; fewer where the room ends. Without `whole` pods and
        the spot share may be fractions."""
        spots = self.share * total + _ROUNDING
        spots = np.minimum(np.floor(spots) if whole else spots, total - self.lasting) - self.spot_least
        wanted = np.maximum(total - self.least, 0)
        firm = _first(np.where(self.spot, 0, room), wanted - spots)
        return firm + _first(room - firm, wanted - firm.sum(axis=1))

    def cost(self, room: Ints, total: Ints) -> Floats:
        """A floor of what `total` pods cost, convex in them; infinite where there are not so many."""
        counts = self.cheapest(room, total, whole=False)
        enough = counts.sum(axis=1) >= total - self.least - _ROUNDING
        priced: Floats = np.where(enough, (self.prices * counts).sum(axis=1), np.inf)
        return priced


def price_pods(part: ServiceArrays, prices: Floats, shed: Floats, *, others: bool, keep: int) -> Configurations:
    """`shed[s]` is the price of leaving out all demand of a service, infinite where that is not to be thought of.

    With `others` also fleets near the cheapest, for when the stock does not hold that. `bound` is the cheapest price
    but where a budget forbids that fleet, or where demand is left out by rule of spot pools: there it is a little less.
    """
    pods = _sorted(part, prices)
    sheds = np.isfinite(shed)
    found = _Found(part, prices, shed)
    # Whatever the demand, there is the fleet of the minima alone.
    none = pods.rows(np.flatnonzero(sheds))
    found.add(none, none.room, none.fewest)
    found.floor(none.row, none.cost(none.room, none.fewest) + shed[none.row])
    for level in range(prices.shape[1]):
        valid, allowed = _at_level(part, pods, level)
        own = np.flatnonzero(valid)
        if not len(own):
            continue
        some = pods.rows(own)
        needed = some.work[:, level]
        room = np.where(allowed[own], some.room, 0)
        total = np.maximum(np.maximum(_ceil(needed), 1) + some.lost, some.fewest)
        counts = found.add(some, room, total)
        for other in _others(some, room, counts) if others else ():
            found.add(some, other, total)
        partly = np.flatnonzero(sheds[own])
        if len(partly):
            beside = _BESIDE if others else 1
            _partly(found, some.rows(partly), room[partly], needed[partly], shed[own[partly]], beside=beside)
    return found.best(keep=keep)


def fill_cheapest(room: Ints, prices: Floats, wanted: Ints) -> Ints:
    """Replicas by variant: `wanted[s]` of them, the cheapest first; fewer where the room ends."""
    order = np.argsort(prices, axis=1, kind="stable")
    counts = np.zeros_like(room)
    np.put_along_axis(counts, order, _first(np.take_along_axis(room, order, axis=1), wanted), axis=1)
    return counts


class _Found:
    """The fleets found that keep all rules, and by service a price below which there is none."""

    def __init__(self, part: ServiceArrays, prices: Floats, shed: Floats) -> None:
        self._part, self._prices, self._shed = part, prices, shed
        self._sheds = np.isfinite(shed)
        self._pieces: list[Configurations] = []
        self._floor = np.full(len(part), np.inf)
        self._budgeted = np.isfinite(part.rules.budget).any()

    def add(self, pods: _Pods, room: Ints, total: Ints) -> Floats:
        """The cheapest fleet of `total` pods, and those with one outside of each zone; the first one's counts."""
        counts = pods.cheapest(room, total)
        self._take(pods, counts, total)
        spread = np.flatnonzero(self._part.rules.spread[pods.row] & (total >= 2))
        if len(spread):
            some = pods.rows(spread)
            for zone in range(some.outside.shape[1]):
                for in_spot in (False, True):
                    forced = some.outside[:, zone] & (some.spot == in_spot) & (room[spread] > 0)
                    one = forced & (forced.cumsum(axis=1) == 1)
                    rest = replace(
                        some,
                        least=some.least + one.any(axis=1),
                        spot_least=some.spot_least + (one & some.spot).any(axis=1),
                    )
                    # One more in a spot pool may take more pods in all.
                    enough = np.maximum(total[spread], _to_allow(rest.spot_least, rest.share, rest.lasting))
                    self._take(some, rest.cheapest(room[spread] - one, enough) + one, enough)
        return counts

    def floor(self, row: Ints, price: Floats) -> None:
        np.minimum.at(self._floor, row, price)

    def _take(self, pods: _Pods, counts: Floats, total: Ints) -> None:
        part = self._part
        own = np.zeros(counts.shape, np.int64)
        np.put_along_axis(own, pods.order, np.rint(counts).astype(np.int64), axis=1)
        row, whole = pods.row, own + part.least[pods.row]
        slowest = np.where(whole > 0, part.work[row], 0.0).max(axis=1, initial=0.0)
        serving = np.maximum(whole.sum(axis=1) - pods.lost, 0)
        unmet = 1 - serving / np.where(slowest > 0, slowest, np.inf)
        unmet = np.where(unmet <= COVERS, 0.0, unmet)
        good = (whole.sum(axis=1) == total) & (total <= pods.most) & ((unmet == 0) | self._sheds[row])
        price = (self._prices[row] * own).sum(axis=1) + np.where(self._sheds[row], self._shed[row], 0.0) * unmet
        if part.rules.any.any():
            kept = good & part.rules.allow(row, whole)
            if self._budgeted:
                beyond = good & replace(part.rules, budget=np.full(len(part), np.inf)).allow(row, whole)
                self.floor(row[beyond & (unmet == 0)], price[beyond & (unmet == 0)])
            good = kept
        rows = np.flatnonzero(good)
        self.floor(row[rows], price[rows])
        self._pieces.append(Configurations(row[rows], own[rows], unmet[rows], price[rows]))

    def best(self, *, keep: int) -> Configurations:
        services = len(self._part)
        found = Configurations(*(np.concatenate([getattr(piece, name) for piece in self._pieces]) for name in _FIELDS))
        everything = np.full(services, np.inf)
        best = best_of(found, services, floor=self._floor, within=everything, keep=keep)
        return replace(best, reach=best.bound)


def _sorted(part: ServiceArrays, prices: Floats) -> _Pods:
    order = np.argsort(prices, axis=1, kind="stable")
    rules = part.rules
    least = part.least.sum(axis=1)
    spot_least = np.where(rules.spot, part.least, 0).sum(axis=1)
    return _Pods(
        row=np.arange(len(part)),
        order=order,
        prices=np.take_along_axis(prices, order, axis=1),
        room=np.take_along_axis(part.room, order, axis=1),
        work=np.take_along_axis(part.work, order, axis=1),
        spot=np.take_along_axis(rules.spot, order, axis=1),
        least=least,
        spot_least=spot_least,
        share=rules.share,
        lasting=rules.lasting,
        fewest=np.maximum(part.fewest + least, _to_allow(spot_least, rules.share, rules.lasting)),
        most=part.most + least,
        lost=part.spare,
        outside=np.take_along_axis(rules.outside, order[:, None, :], axis=2),
    )


def _to_allow(spot: Ints, share: Floats, lasting: Ints) -> Ints:
    """The fewest pods of which so many may be in spot pools."""
    least = spot / np.maximum(share, 1 / _BEYOND)
    whole: Ints = np.ceil(np.minimum(least * (1 - _ROUNDING), _BEYOND)).astype(np.int64)
    fewest: Ints = np.maximum(whole, lasting + spot)
    return fewest


def _at_level(part: ServiceArrays, pods: _Pods, level: int) -> tuple[Bools, Bools]:
    """The services in which the cell at this place may be the slowest in use and no cheaper one is as slow, and the
    cells that are no slower."""
    needed = pods.work[:, level]
    finite = np.isfinite(needed)
    needed = np.where(finite, needed, 1.0)[:, None]
    least = np.take_along_axis(part.least, pods.order, axis=1)
    valid = finite & (part.rate > 0) & ((pods.room[:, level] > 0) | (least[:, level] > 0))
    allowed = pods.work <= needed * (1 + COVERS)
    valid &= (allowed | (least == 0)).all(axis=1)
    alike = np.abs(pods.work[:, :level] - needed) <= COVERS * needed
    there = (pods.room[:, :level] > 0) | (least[:, :level] > 0)
    return valid & ~(alike & there).any(axis=1), allowed


def _others(pods: _Pods, room: Ints, counts: Floats) -> Iterator[Ints]:
    """The room without each of the variants that have most pods, and with one pod less of each."""
    used = np.argsort(-counts, axis=1, kind="stable")[:, :_OTHERS]
    rows = np.arange(len(room))
    for place in range(used.shape[1]):
        cell = used[:, place]
        for left in (0, 1):
            without = room.copy()
            fewer = np.maximum(np.rint(counts[rows, cell]).astype(np.int64) - 1, 0) if left else 0
            without[rows, cell] = np.minimum(without[rows, cell], fewer)
            yield without


def _partly(found: _Found, pods: _Pods, room: Ints, needed: Floats, shed: Floats, *, beside: int) -> None:
    """As many pods as each are worth what they save of the demand that is left out; pods cost more the more there are,
    so halving finds how many. Up to so many more or fewer are of use `beside` them, to fill up what there is."""
    worth = shed / needed
    least = pods.fewest
    # The last pod may have little left to carry; each one before it carries its whole part.
    most = np.maximum(np.minimum(np.floor(needed).astype(np.int64) + pods.lost, pods.most), least)
    low, high = least, most
    while (low < high).any():
        middle = (low + high) // 2
        now, more = pods.cost(room, middle), pods.cost(room, middle + 1)
        enough = ~np.isfinite(more) | (more - np.where(np.isfinite(now), now, 0.0) >= worth)
        low, high = np.where(enough, low, np.minimum(middle + 1, high)), np.where(enough, middle, high)
    served = np.minimum(np.maximum(low - pods.lost, 0) / needed, 1.0)
    found.floor(pods.row, pods.cost(room, low) + shed * (1 - served))
    for other in range(-beside, beside + 1):
        found.add(pods, room, np.clip(low + other, least, most))


def _first(room: Ints | Floats, wanted: Ints | Floats) -> Floats:
    """As many as are wanted of the first cells."""
    before = room.cumsum(axis=1) - room
    taken: Floats = np.clip(wanted[:, None] - before, 0, room)
    return taken


def _ceil(amount: Floats) -> Ints:
    whole: Ints = np.ceil(amount - COVERS * np.maximum(1, amount)).astype(np.int64)
    return whole
