"""The bill of a row of fleets of one service: the replicas that serve, those that start and those that drain.

A replica that serves from the begin of a stretch was created its start-up time before, and one that serves no longer
ends its drain after, both billed beside the fleet of their time. Where nodes are paid, whole nodes are billed: those
that hold the replicas of before and after a change together, for as long as the change takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medley_planner.model import Demand, Pool, Problem, Service
from medley_planner.optimize import InvalidProblem

HOUR_SECONDS = 3600.0

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Fleet = tuple[int, ...]
"""Replicas by variant, in the service's order."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds in which the load stays as it is."""

    seconds: float
    demand: Demand


@dataclass(frozen=True, slots=True)
class Schedule:
    """A fleet for each stretch, and its bill in US dollars.

    `change_costs[i]` is what the change into the i-th fleet costs; the first is from the replicas that run. No row of
    fleets that serves the same load costs less than `bound`; equal to `cost` where this is the cheapest row.
    """

    fleets: tuple[Fleet, ...]
    running_costs: tuple[float, ...]
    change_costs: tuple[float, ...]
    bound: float = 0.0

    @property
    def cost(self) -> float:
        return math.fsum((*self.running_costs, *self.change_costs))


def billed(
    problem: Problem, stretches: Sequence[Stretch], fleets: Sequence[Fleet], *, drain_seconds: float = 0.0
) -> Schedule:
    """The bill of these fleets, one for each stretch, from the replicas that run at first (`current_replicas`).

    `problem` has one service. Whether the fleets serve the load is not asked. `bound` is 0.
    """
    prices = BilledParts.of(problem)
    if not fleets:
        return Schedule((), (), ())
    counts = np.array([prices.running, *fleets], np.int64)
    seconds = np.array([stretch.seconds for stretch in stretches])
    running = prices.per_hour(counts[1:]) * seconds / HOUR_SECONDS
    changes = prices.change(counts[:-1], counts[1:], drain_seconds)
    return Schedule(tuple(map(tuple, fleets)), tuple(running.tolist()), tuple(changes.tolist()))


@dataclass(frozen=True, slots=True)
class BilledParts:
    """The prices of one service's variants, gathered by what is billed together: replicas, or whole nodes of a pool.

    `parts` are groups of variants (by index): those of a pool that is paid by the node are one. Fleets are counts by
    variant along the last axis.
    """

    service: Service
    parts: tuple[tuple[tuple[int, ...], Pool], ...]

    @classmethod
    def of(cls, problem: Problem) -> BilledParts:
        """Raises `InvalidProblem` unless the problem has exactly one service."""
        if len(problem.services) != 1:
            way_out = "give one service: each is looked at alone"
            raise InvalidProblem("problem", "services", len(problem.services), way_out)
        service = problem.services[0]
        parts: list[tuple[tuple[int, ...], Pool]] = []
        for pool in problem.pools:
            members = tuple(place for place, variant in enumerate(service.variants) if variant.pool == pool.name)
            whole = [members] if members and pool.node_price is not None else [(place,) for place in members]
            parts.extend((group, pool) for group in whole)
        return cls(service, tuple(parts))

    @property
    def running(self) -> Fleet:
        return tuple(variant.current_replicas for variant in self.service.variants)

    def per_hour(self, fleets: Ints) -> Floats:
        """US dollars per hour of the replicas, whole nodes included."""
        total = np.zeros(fleets.shape[:-1])
        for members, pool in self.parts:
            total = total + self.part_per_hour(members, pool, fleets)
        return total

    def change(self, old: Ints, new: Ints, drain_seconds: float) -> Floats:
        """US dollars beyond the old fleet until the new one serves, and beyond the new one until the old has ended."""
        both = np.maximum(old, new)
        total = np.zeros(both.shape[:-1])
        for members, pool in self.parts:
            startup = np.zeros(both.shape[:-1])
            for place in members:
                own = self.service.variants[place].startup_seconds
                startup = np.maximum(startup, np.where(new[..., place] > old[..., place], own, 0.0))
            whole = self.part_per_hour(members, pool, both)
            total = total + (whole - self.part_per_hour(members, pool, old)) * startup
            total = total + (whole - self.part_per_hour(members, pool, new)) * drain_seconds
        return total / HOUR_SECONDS

    def part_per_hour(self, members: tuple[int, ...], pool: Pool, fleets: Ints) -> Floats:
        """US dollars per hour of one part."""
        variants = self.service.variants
        if pool.node_price is None:
            cost = np.zeros(fleets.shape[:-1])
            for place in members:
                cost = cost + variants[place].cost_per_hour * fleets[..., place]
            return cost
        # Sizes of replicas in a pool divide each other, so that those of each size and more need only their places.
        nodes = np.zeros(fleets.shape[:-1])
        for size in {variants[place].gpus_per_replica for place in members}:
            places = np.zeros(fleets.shape[:-1])
            for place in members:
                if variants[place].gpus_per_replica >= size:
                    places = places + fleets[..., place] * variants[place].gpus_per_replica // size
            nodes = np.maximum(nodes, np.ceil(places / max(1, pool.node_price.gpus // size)))
        return nodes * pool.node_price.cost_per_hour
