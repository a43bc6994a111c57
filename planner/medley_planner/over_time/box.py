"""All fleets of a service up to a count of each variant, as the cells of a box, and the cheapest row of them.

What a change costs adds up over variants, and over each replica more or less of one. The cheapest way into every fleet
is therefore found by one pass up and one down along each axis, and not from each fleet to each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medley_planner.over_time.billing import HOUR_SECONDS, BilledParts, Fleet, Floats, Ints
from medley_planner.over_time.fleets_served import Flags


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """`axes` are the variants (by index) that have more than no replica in any fleet, `shape` their counts and one.

    By axis, `hourly` is what so many replicas cost per hour, `up` and `down` what going from none to so many and back
    costs in US dollars.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    variants: int
    hourly: tuple[Floats, ...]
    up: tuple[Floats, ...]
    down: tuple[Floats, ...]

    @classmethod
    def of(cls, prices: BilledParts, most: Sequence[int], drain_seconds: float) -> Box | None:
        """None where several variants share whole nodes, since what they cost then does not add up by variant."""
        if any(pool.node_price is not None and len(members) > 1 for members, pool in prices.parts):
            return None
        variants = prices.service.variants
        parts = {members[0]: (members, pool) for members, pool in prices.parts}
        axes = tuple(place for place, count in enumerate(most) if count)
        hourly, up = [], []
        for place in axes:
            alone = np.zeros((most[place] + 1, len(variants)), np.int64)
            alone[:, place] = np.arange(most[place] + 1)
            hourly.append(prices.part_per_hour(*parts[place], alone))
            up.append(hourly[-1] * variants[place].startup_seconds / HOUR_SECONDS)
        shape = tuple(most[place] + 1 for place in axes)
        down = [own * drain_seconds / HOUR_SECONDS for own in hourly]
        return cls(axes, shape, len(variants), tuple(hourly), tuple(up), tuple(down))

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def fleets(self) -> Ints:
        """Every fleet, a row of counts by variant for each cell in the order of the box."""
        found = np.zeros((self.size, self.variants), np.int64)
        if not self.axes:
            return found
        for place, counts in zip(self.axes, np.indices(self.shape).reshape(len(self.axes), -1), strict=True):
            found[:, place] = counts
        return found

    def cheapest(self, running: Fleet, served: Sequence[Flags], seconds: Sequence[float]) -> list[Fleet]:
        """The row of fleets that is billed least, one for each stretch, from those that run. `served` says which fleets
        may serve a stretch (one at least), `seconds` how long it is."""
        hourly = self._sum(self.hourly)
        spent = self._change(running, into=True)
        known: list[Floats] = []
        for number, (allowed, length) in enumerate(zip(served, seconds, strict=True)):
            before = self._changed(spent) if number else spent
            spent = np.where(allowed.reshape(self.shape), before + hourly * (length / HOUR_SECONDS), np.inf)
            known.append(spent)
        last = self._fleet(known[-1])
        fleets = [last]
        for spent in reversed(known[:-1]):
            last = self._fleet(spent + self._change(last, into=False))
            fleets.append(last)
        return fleets[::-1]

    def _changed(self, spent: Floats) -> Floats:
        """The least spent by when each fleet was changed into: more of a variant, or fewer."""
        for axis, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            own_up, own_down = self._along(axis, up), self._along(axis, down)
            spent = np.minimum.accumulate(spent - own_up, axis=axis) + own_up
            spent = np.flip(np.minimum.accumulate(np.flip(spent + own_down, axis), axis=axis), axis) - own_down
        return spent

    def _change(self, fleet: Fleet, *, into: bool) -> Floats:
        """The cost of the change from `fleet` into each fleet, or from each into it."""
        terms = []
        for place, up, down in zip(self.axes, self.up, self.down, strict=True):
            own = fleet[place]
            more, fewer = (up - up[own], down[own] - down) if into else (up[own] - up, down - down[own])
            terms.append(np.where((np.arange(len(up)) > own) == into, more, fewer))
        return self._sum(terms)

    def _fleet(self, spent: Floats) -> Fleet:
        found = [0] * self.variants
        for place, count in zip(self.axes, np.unravel_index(int(np.argmin(spent)), self.shape), strict=True):
            found[place] = int(count)
        return tuple(found)

    def _sum(self, terms: Sequence[Floats]) -> Floats:
        total = np.zeros(self.shape)
        for axis, term in enumerate(terms):
            total = total + self._along(axis, term)
        return total

    def _along(self, axis: int, term: Floats) -> Floats:
        return term.reshape([len(term) if axis == each else 1 for each in range(len(self.shape))])
