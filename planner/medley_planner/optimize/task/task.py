"""One service made ready to plan: which sizes are served, how much load each puts on each variant, which limits hold.

Load is counted in replicas: the share of one replica's allowed utilisation that a class's whole rate would take. A
class is what the router cannot tell apart: all requests where it is blind to size, those of one prompt size behind an
InferencePool, one bucket where it sees both sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medley_planner.load import load_in_replicas
from medley_planner.model import Service, Unserved, Variant

ROUNDING_SLACK = 1e-8
"""Relative. Loads are shrunk by it, so that a fleet that fits exactly is not refused for a floating-point rounding. Ten
times the solver's tolerance: at the tolerance itself (a load of 1.999999998 replicas) SCIP proved a wrong optimum."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A part of a class that may be served: `buckets` of the demand with `rate_rps`. `work[j]` is the load in replicas
    of variant j if it got all of it, infinite where it cannot serve it; `rest_rps` what other cuts of the class could
    serve and this one leaves out."""

    buckets: tuple[int, ...]
    work: Matrix
    rate_rps: float
    rest_rps: float


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """The facts about a service that the program needs.

    `classes` hold the served buckets (indices in the demand), `rates` their requests per second by class. `work[j, c]`
    is the load in replicas of variant j if it got all of class c, infinite where it cannot serve it. `able[j]` says
    whether variant j may get requests at all, `caps[j]` how many replicas of it all limits allow. `unserved` are the
    buckets that nothing can serve along with the rest, `left_out` those that only its cuts leave out, each with the
    variants that could serve it along with the rest, were there enough of them. `cost[j]` is the price of a replica per
    hour, `starting[j]` what one beyond `current[j]` costs on top. `spot[j]` marks reclaimable GPUs, `zones[j]` where
    the variant's pool is.
    """

    service: Service
    classes: tuple[tuple[int, ...], ...]
    rates: tuple[float, ...]
    work: Matrix
    able: tuple[bool, ...]
    caps: tuple[float, ...]
    unserved: tuple[Unserved, ...]
    left_out: tuple[tuple[int, tuple[int, ...]], ...]
    cost: tuple[float, ...]
    starting: tuple[float, ...]
    current: tuple[int, ...]
    spot: tuple[bool, ...]
    zones: tuple[tuple[str, ...], ...]

    @property
    def variants(self) -> tuple[Variant, ...]:
        return self.service.variants

    @property
    def blind(self) -> bool:
        return self.service.routing.blind

    @property
    def buckets(self) -> tuple[int, ...]:
        return tuple(sorted(bucket for buckets in self.classes for bucket in buckets))

    @property
    def uncovered_rps(self) -> float:
        """The demand of the buckets that it does not serve, whatever its replicas."""
        cut = (self.service.demand.bucket_rate_rps(bucket) for bucket, _ in self.left_out)
        return math.fsum((*(entry.rate_rps for entry in self.unserved), *cut))

    @property
    def rate_rps(self) -> float:
        return math.fsum(self.rates)

    def cuts(self) -> list[list[Cut]]:
        """The served part of each class, as the only cut that there is."""
        return [
            [Cut(buckets, self.work[:, number], rate, 0.0)]
            for number, (buckets, rate) in enumerate(zip(self.classes, self.rates, strict=True))
        ]

    def total_work(self) -> list[float]:
        """Load in replicas of each variant if it got all served classes; infinite where it cannot serve one."""
        return [float(total) for total in self.work.sum(axis=1)]

    def without_sharing(self) -> Task:
        """The same task with elastic pools and no minima: what only the service's own maxima and rules forbid."""
        variants = tuple(replace(variant, min_replicas=0) for variant in self.variants)
        service = replace(self.service, variants=variants, min_replicas=0, on_demand_min_replicas=0)
        caps = tuple(replica_cap(service, variant, math.inf) for variant in variants)
        return replace(self, service=service, caps=caps)


def replica_cap(service: Service, variant: Variant, shared: float) -> float:
    """The most replicas of the variant that its own and its service's maximum and what is `shared` allow."""
    cap = shared
    for most in (variant.max_replicas, service.max_replicas):
        if most is not None:
            cap = min(cap, float(most))
    return cap


def bucket_work(service: Service) -> Matrix:
    """Load in replicas by variant and bucket of the demand, headroom included; infinite where the capacity is 0."""
    demand = service.demand
    capacity = np.array([variant.capacity_rps for variant in service.variants], float)
    capacity = capacity.reshape(len(service.variants), len(demand.shares))
    rates = demand.rate_rps * np.array(demand.shares, float)
    work = load_in_replicas(
        rates, capacity, utilisation_limit=service.utilisation_limit, staffing_beta=service.staffing_beta
    )
    return work * (1 - ROUNDING_SLACK)
