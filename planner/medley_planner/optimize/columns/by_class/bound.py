"""A bound on what services routed by class cost at the least, for all of them in one pass (Lagrange).

With a price r_c for serving class c, every fleet costs at least sum_c r_c plus, for each variant, the least of what its
replicas cost beyond the worth that they can carry; a price per replica (`per_replica`) does the same for the limits on
their number. Ascent along the subgradient finds prices whose bound is nearly the best; any prices bound truly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from medley_planner.optimize.columns.by_class.values import carried, knapsacks, taken, wanted
from medley_planner.optimize.columns.service_arrays import Bools, Floats, Ints

_FIRST_SCALES = (1.0, 1.15, 1.4, 1.8, 2.5)
_PATIENCE = 3
"""Steps without a better bound after which they get shorter."""
_CLOSE = 1e-5
"""Relative distance to the goal at which a bound is good enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Services routed by class; shapes are (services,), (services, variants) and work's (services, variants, classes).

    `work[s, j, c]` is the load in replicas of all of class c on variant j, infinite where it cannot serve it; `weight`
    each class's part of the demand, 0 where a service has fewer classes. `room`, `least`, `fewest` and `most` are as in
    `Fleet`: replicas beyond the minima `least`.
    """

    work: Floats
    weight: Floats
    room: Ints
    least: Ints
    fewest: Ints
    most: Ints

    def __len__(self) -> int:
        return len(self.work)

    def rows(self, chosen: Ints) -> Classes:
        return Classes(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def variants(self, chosen: Ints) -> Classes:
        """With the variants `chosen[s, k]` of each service only."""
        work = np.take_along_axis(self.work, chosen[:, :, None], axis=1)
        room, least = (np.take_along_axis(own, chosen, axis=1) for own in (self.room, self.least))
        return Classes(work, self.weight, room, least, self.fewest, self.most)


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """`value[s]` bounds the cost of service s beyond its minima; `worth[s, c]` and `per_replica[s]` are the prices that
    prove it, `counts[s, j]` the replicas beyond the minima that are best at them, `best[s, j]` what these cost beyond
    what they are worth."""

    value: Floats
    worth: Floats
    per_replica: Floats
    counts: Ints
    best: Floats


def bounds_at(given: Classes, prices: Floats, worth: Floats, per_replica: Floats) -> tuple[Bounds, Floats, Floats]:
    """The bounds at these prices, and their subgradients for `worth` and `per_replica`."""
    net = prices - per_replica[:, None]
    of = knapsacks(given.work, worth[:, None, :])
    upper = given.least + given.room
    # Replicas that the limits' price more than pays for are worth having without any load.
    below = np.where(net < 0, upper, np.clip(np.floor(wanted(of, net)), given.least, upper))
    tried = np.stack([below, np.minimum(below + 1, upper)], axis=-1)
    beyond = net[..., None] * (tried - given.least[..., None]) - carried(of, tried)
    second = beyond[..., 1] < beyond[..., 0]
    counts = np.where(second, tried[..., 1], tried[..., 0])
    best = np.where(second, beyond[..., 1], beyond[..., 0])
    limit = np.where(per_replica > 0, given.fewest, given.most)
    value = worth.sum(axis=1) + best.sum(axis=1) + per_replica * limit
    of_worth = (given.weight > 0) - taken(of, counts).sum(axis=1)
    own = counts.astype(np.int64) - given.least
    total = own.sum(axis=1)
    of_number = np.where(
        per_replica == 0,
        np.maximum(given.fewest - total, 0) - np.maximum(total - given.most, 0),
        limit - total,
    )
    return Bounds(value, worth, per_replica, own, best), of_worth, of_number.astype(float)


def ascend(
    given: Classes,
    prices: Floats,
    shed: Floats,
    goal: Floats,
    start: tuple[Floats, Floats] | None,
    *,
    steps: int,
    seconds_left: Callable[[], float],
) -> Bounds:
    """The best bounds within so many steps towards `goal` (a known cost, infinite where none is).

    `start` are worths and prices per replica of an earlier ascent at similar prices.
    """
    ceiling = np.where(np.isfinite(shed), shed, 0.0)[:, None] * given.weight
    ceiling = np.where(np.isfinite(shed)[:, None], ceiling, np.inf)
    scale = np.minimum(_simple_worth(given, prices), ceiling)
    usable = given.room > 0
    unit = np.where(usable, prices, np.inf).min(axis=1, initial=np.inf)
    unit = np.where(np.isfinite(unit), unit, 1.0)
    none = np.zeros(len(given))
    best, of_worth, of_number = bounds_at(given, prices, scale, none)
    firsts = [(np.minimum(scale * factor, ceiling), none) for factor in _FIRST_SCALES[1:]]
    for worth, per_replica in firsts if start is None else [(np.minimum(start[0], ceiling), start[1])]:
        tried, worth_gain, number_gain = bounds_at(given, prices, worth, per_replica)
        best, of_worth, of_number = _better(best, of_worth, of_number, tried, worth_gain, number_gain)
    # No fleet costs more than all the room; a bound above that has nothing left to prove.
    whole = 1.01 * (prices * given.room).sum(axis=1) + unit + np.where(np.isfinite(shed), shed, 0.0)
    length, failed = np.ones(len(given)), np.zeros(len(given), np.int64)
    worth, per_replica, value = best.worth, best.per_replica, best.value
    for _ in range(steps):
        aim = np.where(np.isfinite(goal), goal, np.minimum(1.3 * best.value + unit, whole))
        left = np.maximum(aim - value, 0.0)
        if (aim - best.value <= _CLOSE * np.abs(aim)).all() or seconds_left() <= 0:
            break
        moves = scale * of_worth
        norm = (moves**2).sum(axis=1) + (unit * of_number) ** 2
        step = length * left / np.where(norm > 0, norm, 1.0)
        worth = np.clip(worth + step[:, None] * scale * moves, 0.0, ceiling)
        moved = per_replica + step * unit**2 * of_number
        # Through 0 the limit that the price is for changes: stop there first.
        per_replica = np.where(per_replica * moved < 0, 0.0, moved)
        per_replica = np.where((per_replica < 0) & (given.most >= 10**8), 0.0, per_replica)
        tried, of_worth, of_number = bounds_at(given, prices, worth, per_replica)
        value = tried.value
        failed = np.where(tried.value > best.value, 0, failed + 1)
        best = _better(best, of_worth, of_number, tried, of_worth, of_number)[0]
        tired = failed >= _PATIENCE
        length, failed = np.where(tired, length * 0.6, length), np.where(tired, 0, failed)
    return best


def ruled_out(given: Classes, prices: Floats, bounds: Bounds, limit: Floats) -> Bools:
    """Variants of which no fleet that costs at most `limit[s]` has more than the minimum."""
    one = np.minimum(bounds.counts + 1, given.room)
    worth = carried(knapsacks(given.work, bounds.worth[:, None, :]), (given.least + one)[..., None].astype(float))[
        ..., 0
    ]
    dearer = (prices - bounds.per_replica[:, None]) * one - worth - bounds.best
    window = limit - bounds.value + _CLOSE * (1 + np.abs(bounds.value))
    out: Bools = (bounds.counts == 0) & ((given.room == 0) | (dearer > window[:, None]))
    return out


def _simple_worth(given: Classes, prices: Floats) -> Floats:
    """The cost of each class on the variant that carries it at the least price, in fractions of replicas."""
    usable = (given.room + given.least) > 0
    priced = np.where(usable[..., None], prices[..., None] * given.work, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(priced) & (given.weight > 0), priced, 0.0)


def _better(
    one: Bounds, one_worth: Floats, one_number: Floats, other: Bounds, other_worth: Floats, other_number: Floats
) -> tuple[Bounds, Floats, Floats]:
    take = other.value > one.value
    chosen = {
        field.name: np.where(
            take if getattr(one, field.name).ndim == 1 else take[:, None],
            getattr(other, field.name),
            getattr(one, field.name),
        )
        for field in fields(Bounds)
    }
    return (
        Bounds(**chosen),
        np.where(take[:, None], other_worth, one_worth),
        np.where(take, other_number, one_number),
    )
