"""One service made ready to plan: which buckets are served, how much load each puts on each variant, which limits hold.

Load is counted in replicas: the share of one replica's allowed utilisation that a bucket's whole rate would take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medley_planner.model import RoutingMode, Service, Unserved, Variant

ROUNDING_SLACK = 1e-9
"""Relative. Loads are shrunk by it, so that a fleet that fits exactly is not refused for a floating-point rounding."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What the program needs of a service.

    `buckets` are the served ones (indices in the demand), `rates` their requests per second. `work[j, b]` is the load
    in replicas of variant j if it got all of bucket b, infinite where it cannot serve it. `able[j]` says whether
    variant j may get requests at all, `caps[j]` how many replicas of it the limits and its pool's stock allow.
    """

    service: Service
    buckets: tuple[int, ...]
    rates: tuple[float, ...]
    work: Matrix
    able: tuple[bool, ...]
    caps: tuple[float, ...]
    unserved: tuple[Unserved, ...]

    @property
    def variants(self) -> tuple[Variant, ...]:
        return self.service.variants

    @property
    def blind(self) -> bool:
        return self.service.routing is not RoutingMode.PER_BUCKET

    @property
    def rate_rps(self) -> float:
        return math.fsum(self.rates)

    def total_work(self) -> list[float]:
        """Load in replicas of each variant if it got all served buckets; infinite where it cannot serve one."""
        return [float(total) for total in self.work.sum(axis=1)]

    def without_stock(self) -> Task:
        """The same task with elastic pools and no minima: what only the replica maxima forbid."""
        variants = tuple(replace(variant, min_replicas=0) for variant in self.variants)
        service = replace(self.service, variants=variants, min_replicas=0)
        return replace(self, service=service, caps=tuple(replica_cap(service, variant, {}) for variant in variants))


def replica_cap(service: Service, variant: Variant, stocks: Mapping[str, int]) -> float:
    """The most replicas of the variant that its own and its service's maximum and its pool's stock allow."""
    cap = math.inf
    if variant.pool in stocks:
        cap = float(stocks[variant.pool] // variant.gpus_per_replica)
    for most in (variant.max_replicas, service.max_replicas):
        if most is not None:
            cap = min(cap, float(most))
    return cap


def work_matrix(service: Service, buckets: tuple[int, ...]) -> Matrix:
    """Load in replicas by variant and bucket; infinite where the capacity is 0."""
    capacity = np.array([[variant.capacity_rps[bucket] for bucket in buckets] for variant in service.variants], float)
    capacity = capacity.reshape(len(service.variants), len(buckets))
    rates = np.array([service.demand.bucket_rate_rps(bucket) for bucket in buckets], float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        work = rates / (capacity * service.utilisation_limit) * (1 - ROUNDING_SLACK)
    return np.where(capacity > 0, work, np.inf)
