"""The memory of a service routed by class: its fleets so far, and proofs that others are too small.

Neither depends on the prices of replicas, so both are kept from one round of pricing to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from medley_planner.optimize.columns.service_arrays import Bools, Floats, Ints

_MOST_CUTS = 64
_MOST_FITTING = 256


@dataclass(slots=True, eq=False)
class ClassMemory:
    """Facts about a service that hold for all prices: classes' prices that prove fleets too small, and fleets (minima
    included) by what they leave out; besides, how far above its bound the last answer was."""

    cuts: list[Floats] = field(default_factory=list)
    judged: dict[bytes, float] = field(default_factory=dict)
    window: float = 0.0

    def learn(self, worth: Floats) -> None:
        self.cuts.append(worth)
        del self.cuts[:-_MOST_CUTS]

    def fits(self, replicas: Ints, unmet: float) -> None:
        if len(self.judged) >= _MOST_FITTING:
            self.judged.pop(next(iter(self.judged)))
        self.judged[replicas.tobytes()] = unmet

    def fitting(self, width: int) -> tuple[Ints, Floats]:
        replicas = np.frombuffer(b"".join(self.judged), np.int64).reshape(-1, width)
        return replicas, np.array(list(self.judged.values()), float)


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """One service at prices: as a row of `Classes`, but with the classes of weight 0 left out.

    `cells` are the variants that may have more than their minimum; `bound`, `worth`, `per_replica`, and by cell
    `counts` and `best`, are a row of `Bounds`. `known` is a price that some fleet has (infinite: none is known). Fleets
    up to `slack` above the cheapest are asked for. `own` are the prices of replicas; `prices` may hold the worth of a
    rule as well, at which a fleet that the rules `allow` (counts with the minima; None: all) costs no more. More fleets
    under way than `most_states` are not worth their time.
    """

    work: Floats
    weight: Floats
    room: Ints
    least: Ints
    fewest: int
    most: int
    prices: Floats
    own: Floats
    allow: Callable[[Ints], Bools] | None
    shed: float
    cells: Ints
    bound: float
    worth: Floats
    per_replica: float
    counts: Ints
    best: Floats
    known: float
    slack: float
    keep: int
    most_states: int


def best_remembered(
    memory: ClassMemory, *, prices: Floats, shed: float, room: Ints, least: Ints, fewest: int, most: int
) -> float:
    """The least price of a fleet in memory that the limits allow; infinite where there is none."""
    price = _allowed(memory, prices=prices, shed=shed, room=room, least=least, fewest=fewest, most=most)[1]
    return float(price.min(initial=np.inf))


def _allowed(
    memory: ClassMemory, *, prices: Floats, shed: float, room: Ints, least: Ints, fewest: int, most: int
) -> tuple[Ints, Floats, Floats]:
    replicas, unmet = memory.fitting(len(prices))
    own = replicas - least
    total = own.sum(axis=1)
    allowed = (own >= 0).all(axis=1) & (own <= room).all(axis=1) & (total >= fewest) & (total <= most)
    allowed &= (unmet == 0) | np.isfinite(shed)
    own, unmet = own[allowed], unmet[allowed]
    return own, own @ prices + np.where(unmet > 0, shed if np.isfinite(shed) else 0.0, 0.0) * unmet, unmet


def remembered(wanted: Wanted, memory: ClassMemory) -> tuple[Ints, Floats, Floats]:
    """Counts beyond the minima, prices, and parts left out of the fleets in memory that the limits allow."""
    return _allowed(
        memory,
        prices=wanted.own,
        shed=wanted.shed,
        room=wanted.room,
        least=wanted.least,
        fewest=wanted.fewest,
        most=wanted.most,
    )
