"""What the same requests cost on a variant and on those in use, fractions of a replica counted: the price of work.

Staffing is left out: it falls with size, so that this is what variants cost beside each other as the load grows. The
reason of an omitted variant and the figures beside it rest on this one comparison, so that they cannot differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medley_planner.load import load_in_replicas
from medley_planner.model import Service

_ROUND = 1e-9
"""Relative. Costs that differ by less are equal."""


@dataclass(frozen=True, slots=True)
class WorkCost:
    """The part `share` of all requests that both the variant and one in use can serve.

    `own_per_hour` is what it costs on the variant, `cheapest_per_hour` on the cheapest in use, class by class, whose
    names are `rivals`.
    """

    share: float
    own_per_hour: float
    cheapest_per_hour: float
    rivals: tuple[str, ...]

    @property
    def ratio(self) -> float:
        return self.own_per_hour / self.cheapest_per_hour

    @property
    def dearer(self) -> bool:
        return exceeds(self.own_per_hour, self.cheapest_per_hour)


def exceeds(one: float, other: float) -> bool:
    """Whether one amount of money is above another by more than the dust of sums."""
    return one > other * (1 + _ROUND)


def work_costs(
    service: Service, used: Sequence[int], classes: Sequence[Sequence[int]], rates: Sequence[float]
) -> tuple[WorkCost | None, ...]:
    """By variant; None where no class of requests can be compared.

    `used` are the indices of variants in use, `classes` the served buckets that the router cannot tell apart, `rates`
    the requests per second by bucket that are served.
    """
    count = len(service.variants)
    if not used or not classes:
        return (None,) * count
    capacity = np.array([variant.capacity_rps for variant in service.variants], float).reshape(count, -1)
    order = [bucket for members in classes for bucket in members]
    starts = np.cumsum([0, *(len(members) for members in classes[:-1])])
    price = np.array([variant.cost_per_hour for variant in service.variants])
    work = load_in_replicas(
        np.array(rates, float)[order], capacity[:, order], utilisation_limit=service.utilisation_limit
    )
    cost = price[:, None] * np.add.reduceat(work, starts, axis=1)
    rival = cost[list(used)]
    cheapest, names = rival.min(axis=0), rival.argmin(axis=0)
    shares = np.add.reduceat(np.array(service.demand.shares, float)[order], starts)
    found: list[WorkCost | None] = []
    for own in cost:
        both = np.isfinite(own) & np.isfinite(cheapest)
        theirs = math.fsum(cheapest[both].tolist())
        rivals = dict.fromkeys(service.variants[used[name]].name for name in names[both].tolist())
        found.append(
            WorkCost(math.fsum(shares[both].tolist()), math.fsum(own[both].tolist()), theirs, tuple(rivals))
            if theirs > 0
            else None
        )
    return tuple(found)
