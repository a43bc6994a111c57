"""The frozen values that enter and leave the planner.

Everything the optimiser needs stands in a `Problem`, everything it decides in a `Plan`. They know nothing of
Kubernetes, of Prometheus or of how a capacity was found, so that a plan can be made, checked and explained from values
alone. Rates are requests per second, money is US dollars per hour, shares are fractions of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RoutingMode(StrEnum):
    """How the data path splits a service's requests over its pods; the plan may only use what the mode can do."""

    SERVICE = "Service"
    """Each ready pod gets the same share, whatever its GPU."""
    HTTP_ROUTE = "HTTPRoute"
    """One weight per variant; each variant sees the same size mix."""
    PER_BUCKET = "PerBucket"
    """An oracle that sees prompt and generation size of each request; for studies and golden cases."""


class Provenance(StrEnum):
    """Where a capacity figure comes from."""

    MEASURED = "measured"
    CALIBRATED = "calibrated"
    ESTIMATED = "estimated"
    GIVEN = "given"
    """The user's own table, taken as it is."""


class SizeSource(StrEnum):
    """Where the joint distribution of prompt and generation sizes comes from."""

    INDEPENDENT = "Independent"
    """Product of the marginal histograms that the engine exports."""
    STATIC = "Static"
    """The workload written in the object."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One cell of the prompt x generation grid, by the mean sizes (tokens) of the requests in it."""

    prompt_tokens: float
    generation_tokens: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What arrives at one service: `rate_rps` in all, `shares[b]` of it (sum 1) in `buckets[b]`."""

    rate_rps: float
    buckets: tuple[Bucket, ...]
    shares: tuple[float, ...]
    size_source: SizeSource

    def bucket_rate_rps(self, bucket: int) -> float:
        return self.rate_rps * self.shares[bucket]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run one replica of a service: a pool and an engine shape, with what it costs and what it can serve.

    `capacity_rps[b]` is the largest rate that one replica serves within the targets if all requests are of bucket b;
    0 where it cannot serve such a request within the targets at any rate. It is final: already derated.
    """

    name: str
    pool: str
    gpu: str
    gpus_per_replica: int
    cost_per_hour: float
    capacity_rps: tuple[float, ...]
    provenance: Provenance
    min_replicas: int = 0
    max_replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One service to plan. `utilisation_limit` in (0, 1] is the load a replica may carry (1 / (1 + headroom))."""

    name: str
    demand: Demand
    variants: tuple[Variant, ...]
    routing: RoutingMode
    min_replicas: int = 0
    max_replicas: int | None = None
    utilisation_limit: float = 1.0


@dataclass(frozen=True, slots=True)
class Pool:
    """What a pool holds. `stock_gpus` None: as many as asked (elastic without a limit)."""

    name: str
    stock_gpus: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """All services that are planned together and the pools they share. Each variant's pool is in `pools`."""

    services: tuple[Service, ...]
    pools: tuple[Pool, ...]


class PlanStatus(StrEnum):
    """What the plan of a service, or of the fleet, is worth."""

    OPTIMAL = "Optimal"
    """All demand is planned and the cost is proven optimal to the solver's tolerance."""
    FEASIBLE = "Feasible"
    """All demand is planned; the deadline came before the proof, the gap tells how far it may be off."""
    PARTIAL = "Partial"
    """Some demand is not planned; `unserved` and `unserved_reason` tell which and why."""
    INFEASIBLE = "Infeasible"
    """No demand could be planned."""


class UnservedReason(StrEnum):
    """Why demand is left out of a plan."""

    NO_VARIANT_MEETS_TARGET = "NoVariantMeetsTarget"
    """No variant (or, where the router is blind to size, no variant that serves the rest) can serve the bucket."""
    STOCK = "Stock"
    """The pools hold too few GPUs."""
    MAX_REPLICAS = "MaxReplicas"
    """The replica limits of the service or of its variants bind."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """Demand left out: `rate_rps` of bucket `bucket` (its index in the demand), and why."""

    bucket: int
    rate_rps: float
    reason: UnservedReason


@dataclass(frozen=True, slots=True)
class VariantPlan:
    """What one variant gets: replicas, its share of all the service's requests, its share of each bucket.

    `load` is its planned utilisation: sum over buckets of rate / capacity, over the replica count (0 if none).
    """

    variant: str
    pool: str
    replicas: int
    cost_per_hour: float
    share: float
    bucket_shares: tuple[float, ...]
    load: float


@dataclass(frozen=True, slots=True)
class SingleType:
    """The cheapest fleet of one variant alone that serves all that the plan serves, stock and limits respected."""

    variant: str
    replicas: int
    cost_per_hour: float


@dataclass(frozen=True, slots=True)
class Unused:
    """Why a variant has no replica in the plan. `reason` is a stable word, `message` a sentence with the figures."""

    variant: str
    pool: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """The plan of one service. `best_single` is None where no single type can serve what the plan serves."""

    service: str
    status: PlanStatus
    routing: RoutingMode
    variants: tuple[VariantPlan, ...]
    cost_per_hour: float
    unserved: tuple[Unserved, ...]
    best_single: SingleType | None
    unused: tuple[Unused, ...]

    def replicas(self) -> dict[str, int]:
        return {variant.variant: variant.replicas for variant in self.variants}


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of the fleet. `lower_bound_per_hour` is proven; `gap` = (cost - bound) / cost, 0 where nothing costs."""

    status: PlanStatus
    services: tuple[ServicePlan, ...]
    cost_per_hour: float
    lower_bound_per_hour: float
    gap: float
    solve_seconds: float
