"""The requirements of a service on its replicas beyond carrying the load, as one table: a requirement is a row of it.

A row says when the requirement binds, whether given replicas obey it, and which rows it makes of a program's replica
columns; everything that plans asks the table. Counts alone decide, whatever the routing, but for the loss of a replica,
which is about what the others carry: programs and shares count with `spare`. Minima may be missed where limits
contradict them (`shortfall`); requirements never are.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medley_planner.model import Service, UnservedReason
from medley_planner.optimize.task.task import Task

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class CountRow:
    """lower <= sum_j weights[j] y_j + switch z <= upper: y_j replicas of variant j, z 0 or 1, the same in all rows of a
    requirement."""

    weights: Mapping[int, float]
    lower: float = -math.inf
    upper: float = math.inf
    switch: float = 0.0


class Requirement(ABC):
    """`reason` is why demand is left out where only this stands in its way (None: that is not asked). `in_arrays` says
    whether `columns/rule_arrays.py` knows it, `in_equal_pods` whether `columns/price_equal_pods.py` does even so; a
    service with one that its search does not know is priced by its program, which needs `rows` alone and is slower.
    `of_counts`: whether the counts of replicas alone decide."""

    reason: UnservedReason | None = None
    in_arrays = False
    in_equal_pods = False
    of_counts = True

    @abstractmethod
    def binds(self, task: Task) -> bool:
        """Whether it could forbid a fleet that carries the load within the replica limits."""

    def obeyed(self, task: Task, replicas: Sequence[int]) -> bool:
        """Whether these replicas keep it."""
        return True

    def rows(self, task: Task) -> list[CountRow]:
        """Rows of a program, where the rule binds."""
        return []

    def lifted(self, service: Service) -> Service:
        """The service without it."""
        return service


class SpotShare(Requirement):
    """No more than a part of the replicas are in pools of spot GPUs."""

    reason = UnservedReason.SPOT_SHARE
    in_arrays = True

    def binds(self, task: Task) -> bool:
        return task.service.spot_max_share < 1 and any(task.spot)

    def obeyed(self, task: Task, replicas: Sequence[int]) -> bool:
        share = task.service.spot_max_share
        if share >= 1:
            return True
        spot = sum(count for count, reclaimable in zip(replicas, task.spot, strict=True) if reclaimable)
        return spot <= share * sum(replicas) + _ROUNDING

    def rows(self, task: Task) -> list[CountRow]:
        share = task.service.spot_max_share
        return [CountRow({index: (1.0 if spot else 0.0) - share for index, spot in enumerate(task.spot)}, upper=0.0)]

    def lifted(self, service: Service) -> Service:
        return replace(service, spot_max_share=1.0)

    def of_use(self, task: Task, carrying: Sequence[int]) -> int:
        """Replicas outside of spot pools that allow for those inside; `carrying` of each variant are enough."""
        share = task.service.spot_max_share
        if share <= 0 or not self.binds(task):
            return 0
        most_spot = max((count for count, spot in zip(carrying, task.spot, strict=True) if spot), default=0)
        return math.ceil(most_spot * (1 - share) / share)


class Budget(Requirement):
    """The replicas cost no more than a budget."""

    reason = UnservedReason.BUDGET
    in_arrays = True

    def binds(self, task: Task) -> bool:
        return task.service.max_cost_per_hour is not None

    def obeyed(self, task: Task, replicas: Sequence[int]) -> bool:
        budget = task.service.max_cost_per_hour
        if budget is None:
            return True
        cost = math.fsum(price * count for price, count in zip(task.cost, replicas, strict=True))
        return cost <= budget * (1 + _ROUNDING)

    def rows(self, task: Task) -> list[CountRow]:
        budget = task.service.max_cost_per_hour
        if budget is None or not task.variants:
            return []
        unit = max(task.cost)
        return [CountRow({index: price / unit for index, price in enumerate(task.cost)}, upper=budget / unit)]

    def lifted(self, service: Service) -> Service:
        return replace(service, max_cost_per_hour=None)


class ZoneSpread(Requirement):
    """Two or more replicas do not all depend on one zone."""

    reason = UnservedReason.ZONE_SPREAD
    in_arrays = True

    def binds(self, task: Task) -> bool:
        return task.service.zone_spread

    def obeyed(self, task: Task, replicas: Sequence[int]) -> bool:
        if not task.service.zone_spread or sum(replicas) < 2:
            return True
        return all(any(replicas[index] > 0 for index in outside) for outside in zone_rows(task))

    def rows(self, task: Task) -> list[CountRow]:
        """The switch says that there are several."""
        if not task.variants:
            return []
        most = math.fsum(most_replicas(task))
        several = CountRow(dict.fromkeys(range(len(task.variants)), 1.0), upper=1.0, switch=1.0 - max(1.0, most))
        spread = [CountRow(dict.fromkeys(outside, 1.0), lower=0.0, switch=-1.0) for outside in zone_rows(task)]
        return [several, *spread]

    def lifted(self, service: Service) -> Service:
        return replace(service, zone_spread=False)


class OnDemandFloor(Requirement):
    """A minimum outside of spot pools. Like other minima it may be missed, so `shortfall` and the program count it."""

    in_arrays = True

    def binds(self, task: Task) -> bool:
        return task.service.on_demand_min_replicas > 0


class ReplicaLoss(Requirement):
    """All planned demand is still served when any one replica is lost: see `spare`."""

    in_equal_pods = True
    of_counts = False

    def binds(self, task: Task) -> bool:
        return task.service.n_plus_one


SPOT_SHARE = SpotShare()
REQUIREMENTS: tuple[Requirement, ...] = (SPOT_SHARE, Budget(), ZoneSpread(), OnDemandFloor(), ReplicaLoss())
"""In the order in which they make rows."""


def restricted(task: Task) -> bool:
    """Whether any requirement on counts could forbid a fleet that carries the load within the replica limits."""
    return any(requirement.of_counts and requirement.binds(task) for requirement in REQUIREMENTS)


def special(task: Task) -> bool:
    """Whether the service asks for more than to carry the load within replica limits."""
    return any(requirement.binds(task) for requirement in REQUIREMENTS)


def takes_a_program(task: Task) -> bool:
    """Whether the service requires something that the search over many services of its routing does not know."""
    equal_pods = task.service.routing.equal_pods
    return any(
        not (requirement.in_arrays or (equal_pods and requirement.in_equal_pods)) and requirement.binds(task)
        for requirement in REQUIREMENTS
    )


def binding(task: Task) -> tuple[Requirement, ...]:
    """The requirements that could forbid a fleet of this service; for asking about many fleets of it."""
    return tuple(requirement for requirement in REQUIREMENTS if requirement.binds(task))


def obeys(task: Task, replicas: Sequence[int], among: Sequence[Requirement] | None = None) -> bool:
    """Whether these replicas keep all requirements on counts, or those `among` them; minima are ignored."""
    for requirement in REQUIREMENTS if among is None else among:  # noqa: SIM110 - asked for every variant of every service: twice as fast as all()
        if not requirement.obeyed(task, replicas):
            return False
    return True


def limiting(task: Task) -> list[tuple[UnservedReason, Requirement]]:
    """The requirements that bind and may be the reason for unserved demand, in the order of the reasons."""
    found = ((requirement.reason, requirement) for requirement in binding(task))
    order = list(UnservedReason)
    named = [(reason, requirement) for reason, requirement in found if reason is not None]
    return sorted(named, key=lambda pair: order.index(pair[0]))


def spare(task: Task) -> int:
    """Replicas that may be lost while all planned demand is still served: 0 or 1."""
    return 1 if task.service.n_plus_one else 0


def most_replicas(task: Task) -> list[float]:
    """The most of each variant that a cheapest plan has: enough for all the demand, for a minimum or for a rule; none
    of what cannot serve."""
    service = task.service
    carrying = _carrying(task)
    allowing = allowing_spot(task, carrying)
    found = []
    for index, variant in enumerate(task.variants):
        if task.able[index]:
            enough = max(carrying[index], 0 if task.spot[index] else allowing)
            most = max(enough, variant.min_replicas, service.min_replicas, service.on_demand_min_replicas)
        else:
            most = variant.min_replicas
        found.append(min(task.caps[index], float(most)))
    return found


def allowing_spot(task: Task, carrying: Sequence[int]) -> int:
    """Replicas outside of spot pools that allow for so many of each variant inside, or for its minimum."""
    minima = (variant.min_replicas for variant in task.variants)
    return SPOT_SHARE.of_use(task, [max(pair) for pair in zip(carrying, minima, strict=True)])


def _carrying(task: Task) -> list[int]:
    """As many of each variant as carry all the demand, and those that may be lost."""
    if task.service.routing.equal_pods:
        # Pods may be added for the sake of a slower variant's part, up to the largest minimum.
        slowest = max(
            (total for total, cap in zip(task.total_work(), task.caps, strict=True) if cap >= 1 and total < math.inf),
            default=0.0,
        )
        works = [slowest] * len(task.variants)
    else:
        works = [math.fsum(load for load in loads if load < math.inf) for loads in task.work.tolist()]
    return [math.ceil(work) + spare(task) for work in works]


def zone_rows(task: Task) -> list[list[int]]:
    """For each zone the variants that may be outside of it; one empty row where no zone is known."""
    zones = sorted({zone for names in task.zones for zone in names})
    rows = [[index for index, names in enumerate(task.zones) if any(name != zone for name in names)] for zone in zones]
    return rows or [[]]


def shortfall(task: Task, replicas: Sequence[int]) -> int:
    """Replicas short of the minima of the variants, of the service and of its floor outside of spot pools."""
    service = task.service
    short = max(0, service.min_replicas - sum(replicas))
    lasting = sum(count for count, reclaimable in zip(replicas, task.spot, strict=True) if not reclaimable)
    short += max(0, service.on_demand_min_replicas - lasting)
    for variant, count in zip(task.variants, replicas, strict=True):
        short += max(0, variant.min_replicas - count)
    return short
