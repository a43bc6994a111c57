"""A fleet and how requests are split over its replicas, and the part of the split that needs no simulation. Pure.

A request first gets a group of replicas (by its prompt's length and by weights, or any group at all), then a replica
of that group. Everything but "least loaded" is decided beforehand, so that replicas can be simulated one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from medley_planner.engine.spec import EngineSpec
from medley_planner.engine.trace import Ints, Trace


class Balance(StrEnum):
    """How one of several replicas is chosen."""

    ROUND_ROBIN = "RoundRobin"
    RANDOM = "Random"
    """Each replica with the same probability, as a Kubernetes Service chooses."""
    LEAST_LOADED = "LeastLoaded"
    """The fewest unfinished requests; those with equally few take turns."""


@dataclass(frozen=True, slots=True)
class ReplicaGroup:
    """`count` equal replicas."""

    name: str
    spec: EngineSpec
    count: int


@dataclass(frozen=True, slots=True)
class SimulatedFleet:
    """Groups of replicas; replicas are numbered through in the groups' order."""

    groups: tuple[ReplicaGroup, ...]

    def __post_init__(self) -> None:
        for group in self.groups:
            if group.count < 0:
                raise ValueError(f'group "{group.name}" of the fleet has count {group.count}; give 0 or more')
        if not self.replicas:
            raise ValueError("the fleet has no replica; give at least one group a count above 0")

    @property
    def replicas(self) -> int:
        return sum(group.count for group in self.groups)

    def group_of_replica(self) -> tuple[int, ...]:
        return tuple(index for index, group in enumerate(self.groups) for _ in range(group.count))

    def replicas_of_group(self) -> tuple[tuple[int, ...], ...]:
        starts = np.cumsum([0, *(group.count for group in self.groups)]).tolist()
        return tuple(
            tuple(range(start, start + group.count)) for start, group in zip(starts, self.groups, strict=False)
        )


@dataclass(frozen=True, slots=True)
class PromptRange:
    """Requests of at most `up_to_tokens` prompt tokens (and more than the range before) are split over the groups in
    proportion to `weights`, one per group."""

    up_to_tokens: float
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Routing:
    """Without `ranges` every replica of the fleet is a candidate for every request. With them the group is drawn by
    the weights of the prompt's range (one range up to infinity: plain weights); `balance` chooses among its replicas.
    """

    balance: Balance
    ranges: tuple[PromptRange, ...] = ()

    @classmethod
    def weighted(cls, weights: tuple[float, ...], *, balance: Balance = Balance.RANDOM) -> Routing:
        """The same weights for every prompt, as an HTTPRoute has."""
        return cls(balance, (PromptRange(math.inf, weights),))


def pools(fleet: SimulatedFleet, routing: Routing) -> tuple[tuple[int, ...], ...]:
    """The sets of replicas among which `balance` chooses."""
    if not routing.ranges:
        return (tuple(range(fleet.replicas)),)
    _check(fleet, routing)
    return fleet.replicas_of_group()


def pool_of_request(trace: Trace, routing: Routing, rng: np.random.Generator) -> Ints:
    """Index into `pools` for each request. `routing` must have passed `pools`."""
    if not routing.ranges:
        return np.zeros(len(trace), dtype=np.int64)
    bounds = [entry.up_to_tokens for entry in routing.ranges[:-1]]
    which = np.searchsorted(bounds, trace.prompt_tokens, side="left")
    uniform = rng.random(len(trace))
    chosen = np.zeros(len(trace), dtype=np.int64)
    for index, entry in enumerate(routing.ranges):
        weights = np.asarray(entry.weights)
        # The upper end is left out, so that rounding can never lead past the last group that has a weight.
        edges = np.cumsum(weights / weights.sum())[: int(np.flatnonzero(weights)[-1])]
        inside = which == index
        chosen[inside] = np.searchsorted(edges, uniform[inside], side="right")
    return chosen


def replica_of_request(size: int, requests: int, balance: Balance, rng: np.random.Generator) -> Ints:
    """Index into a pool of `size` for each of its requests in order. Not for LEAST_LOADED, which looks at queues."""
    if balance is Balance.RANDOM:
        return rng.integers(0, size, requests)
    return np.arange(requests, dtype=np.int64) % size


def _check(fleet: SimulatedFleet, routing: Routing) -> None:
    bounds = [entry.up_to_tokens for entry in routing.ranges]
    if bounds != sorted(set(bounds)) or bounds[-1] != math.inf:
        raise ValueError(f"routing ranges end at {bounds} prompt tokens; make them rise and end with infinity")
    for entry in routing.ranges:
        where = f"routing range up to {entry.up_to_tokens:g} prompt tokens"
        if len(entry.weights) != len(fleet.groups):
            raise ValueError(f"{where} has {len(entry.weights)} weights for {len(fleet.groups)} groups; give one each")
        if not all(0.0 <= weight < math.inf for weight in entry.weights) or not any(entry.weights):
            raise ValueError(f"{where} has weights {entry.weights}; give finite weights, at least one above 0")
        for weight, group in zip(entry.weights, fleet.groups, strict=True):
            if weight > 0.0 and group.count == 0:
                raise ValueError(
                    f'{where} gives weight {weight:g} to group "{group.name}", which has no replica; set it to 0'
                )
