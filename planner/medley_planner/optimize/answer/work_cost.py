"""The cost of the same requests on a variant and on those in use, fractions of a replica counted: the price of work.

Staffing is left out: it falls with size, so that this is what variants cost beside each other as the load grows. The
reason of an omitted variant and the figures beside it rest on this one comparison, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medley_planner.load import load_in_replicas
from medley_planner.model import Service

Matrix = npt.NDArray[np.float64]
_ROUND = 1e-9
"""Relative. Costs that differ by less are equal."""


@dataclass(frozen=True, slots=True)
class WorkCost:
    """The part `share` of all requests that both the variant and one in use can serve.

    `own_per_hour` is what it costs on the variant, `cheapest_per_hour` on the cheapest in use, class by class.
    """

    share: float
    own_per_hour: float
    cheapest_per_hour: float

    @property
    def ratio(self) -> float:
        return self.own_per_hour / self.cheapest_per_hour

    @property
    def dearer(self) -> bool:
        return exceeds(self.own_per_hour, self.cheapest_per_hour)


def exceeds(one: float, other: float) -> bool:
    """Whether one amount of money is above another by more than the dust of sums."""
    return one > other * (1 + _ROUND)


class WorkCosts:
    """All variants of a service beside those in use."""

    def __init__(self, service: Service, used: Sequence[int], work: Matrix, shares: Matrix) -> None:
        """`used` are the indices of variants in use. `work[j, c]` are the replicas of variant j, without staffing, that
        the served requests of class c are worth, infinite where it cannot serve them; `shares[c]` is their part of all
        requests. A class is what the router cannot tell apart."""
        self._service = service
        self._used = list(used)
        self._any = bool(self._used) and work.shape[1] > 0
        if not self._any:
            return
        price = np.array([variant.cost_per_hour for variant in service.variants])
        self._costs = price[:, None] * work
        self._cheapest = self._costs[self._used].min(axis=0)
        self._both = np.isfinite(self._costs) & np.isfinite(self._cheapest)
        self._shares = (self._both @ shares).tolist()
        self._own = np.where(self._both, self._costs, 0.0).sum(axis=1).tolist()
        self._theirs = np.where(self._both, self._cheapest, 0.0).sum(axis=1).tolist()

    def of(self, variant: int) -> WorkCost | None:
        """None where no class of requests can be compared."""
        if not self._any or self._theirs[variant] <= 0:
            return None
        return WorkCost(self._shares[variant], self._own[variant], self._theirs[variant])

    def rivals(self, variant: int) -> tuple[str, ...]:
        """Names of the variants in use that it is compared with."""
        cheapest = self._costs[self._used].argmin(axis=0)[self._both[variant] & (self._cheapest > 0)]
        return tuple(dict.fromkeys(self._service.variants[self._used[rival]].name for rival in cheapest.tolist()))


def work_of_rates(service: Service, classes: Sequence[Sequence[int]], rates: Sequence[float]) -> tuple[Matrix, Matrix]:
    """Work and shares for `WorkCosts` of `rates` requests per second by bucket. Buckets of no rate weigh nothing."""
    count = len(service.variants)
    if not classes:
        return np.empty((count, 0)), np.empty(0)
    order = [bucket for members in classes for bucket in members]
    starts = np.cumsum([0, *(len(members) for members in classes[:-1])])
    served = np.array(rates, float)[order]
    capacity = np.array([variant.capacity_rps for variant in service.variants], float).reshape(count, -1)[:, order]
    load = load_in_replicas(served, capacity, utilisation_limit=service.utilisation_limit)
    work = np.where(served > 0, load, 0.0)
    shares = np.where(served > 0, np.array(service.demand.shares, float)[order], 0.0)
    return np.add.reduceat(work, starts, axis=1), np.add.reduceat(shares, starts)
