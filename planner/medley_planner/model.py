"""The frozen values that enter and leave the planner.

Everything the optimiser needs stands in a `Problem`, everything it decides in a `Plan`. They know nothing of
Kubernetes, of Prometheus or of how a capacity was found, so that a plan can be made, checked and explained from values
alone. Rates are requests per second, money is US dollars per hour, shares are fractions of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medley_planner.omitted import Omitted


class RoutingMode(StrEnum):
    """How the data path splits a service's requests over its pods; the plan may only use what the mode can do."""

    SERVICE = "Service"
    """Each ready pod gets the same share, whatever its GPU."""
    HTTP_ROUTE = "HTTPRoute"
    """One weight per variant; each variant sees the same size mix."""
    INFERENCE_POOL = "InferencePool"
    """One share per variant and prompt class: the buckets of equal `prompt_tokens` are routed alike."""
    PER_BUCKET = "PerBucket"
    """An oracle that sees prompt and generation size of each request; for studies and golden cases."""


class Provenance(StrEnum):
    """Where a capacity figure comes from."""

    MEASURED = "measured"
    CALIBRATED = "calibrated"
    ESTIMATED = "estimated"
    GIVEN = "given"
    """The user's own table, taken as it is."""


class Priority(StrEnum):
    """Whose demand is left out last where not all can be served."""

    HIGH = "High"
    NORMAL = "Normal"
    LOW = "Low"


class SizeSource(StrEnum):
    """Where the joint distribution of prompt and generation sizes comes from, the least certain first."""

    INDEPENDENT = "Independent"
    """Product of the marginal histograms that the engine exports."""
    TILTED = "Tilted"
    """That product, tilted to the mean of prompt x generation that the tokens in the KV caches tell."""
    PER_VARIANT = "PerVariant"
    """Sum over the variants of each one's product, where each serves prompts of its own range."""
    GATEWAY = "Gateway"
    """Counts of prompt and generation together, from the gateway."""
    STATIC = "Static"
    """The workload written in the object."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One cell of the prompt x generation grid, by the mean sizes (tokens) of the requests in it."""

    prompt_tokens: float
    generation_tokens: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What arrives at one service: `rate_rps` in all, `shares[b]` of it (sum 1) in `buckets[b]`.

    `prefix_hit_rate` is the share of prompt tokens that prefix caches surely save computing, 0 to 1.
    """

    rate_rps: float
    buckets: tuple[Bucket, ...]
    shares: tuple[float, ...]
    size_source: SizeSource
    prefix_hit_rate: float = 0.0

    def bucket_rate_rps(self, bucket: int) -> float:
        return self.rate_rps * self.shares[bucket]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run one replica of a service: a pool and an engine shape, with what it costs and what it can serve.

    `capacity_rps[b]` is the largest rate that one replica serves within the targets if all requests are of bucket b;
    0 where it cannot serve such a request within the targets at any rate. It is final: already derated.
    `cost_per_hour` of a replica in a pool that is paid by the node is its part of the node's price, by GPUs.
    `watts` is what one replica draws at its limit. `current_replicas` run or are starting now; each one beyond them
    costs `cost_per_hour` x `startup_seconds` / the problem's `horizon_seconds` on top.
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
    watts: float = 0.0
    startup_seconds: float = 0.0
    current_replicas: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """One service to plan, with what it asks beyond its latency targets.

    `utilisation_limit` in (0, 1] is the load a replica may carry (1 / (1 + headroom)). `staffing_beta` adds headroom
    that falls with size, by square-root staffing: where the demand that variant j can serve is worth W replicas of it,
    it counts as W + beta x sqrt(W). `max_cost_per_hour` is compared with the sum of replicas x `cost_per_hour`.
    `spot_max_share` is the largest part of the replicas in pools of spot GPUs, `on_demand_min_replicas` the fewest in
    others. `zone_spread`: two or more replicas must not all depend on one zone. `n_plus_one`: all demand that is
    planned is still served when any one replica is lost (where the router sees sizes: each variant in use carries its
    part with one replica less).
    """

    name: str
    demand: Demand
    variants: tuple[Variant, ...]
    routing: RoutingMode
    min_replicas: int = 0
    max_replicas: int | None = None
    utilisation_limit: float = 1.0
    staffing_beta: float = 0.0
    priority: Priority = Priority.NORMAL
    max_cost_per_hour: float | None = None
    spot_max_share: float = 1.0
    on_demand_min_replicas: int = 0
    zone_spread: bool = False
    n_plus_one: bool = False


@dataclass(frozen=True, slots=True)
class NodePrice:
    """A pool that is paid by whole nodes of `gpus` GPUs each. `max_nodes` None: as many as asked."""

    gpus: int
    cost_per_hour: float
    max_nodes: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """What a pool holds. `stock_gpus` None: as many as asked (elastic without a limit).

    `node_gpus` are the GPUs that may be planned with on each node; a replica's GPUs sit on one node. None: packing is
    not looked at. A pool with a `node_price` has no other nodes than those it is paid for. `zones` are those that its
    nodes are in; none: not known, which satisfies no zone spread. `power_domain` feeds all of its nodes.
    """

    name: str
    stock_gpus: int | None = None
    node_gpus: tuple[int, ...] | None = None
    node_price: NodePrice | None = None
    spot: bool = False
    zones: tuple[str, ...] = ()
    power_domain: str | None = None


@dataclass(frozen=True, slots=True)
class PowerDomain:
    """A budget for all replicas in its pools and in those of the domains below it (`parent` names the one above)."""

    name: str
    budget_watts: float
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """All services that are planned together and what they share. Each variant's pool is in `pools`.

    `horizon_seconds` is how long a replica is thought to stay: what its start-up time is set against. Of the plans that
    are up to the part `steady_within` dearer than the best one, where any replica runs, the one that starts and stops
    fewest is taken.
    """

    services: tuple[Service, ...]
    pools: tuple[Pool, ...]
    power_domains: tuple[PowerDomain, ...] = ()
    horizon_seconds: float = 3600.0
    steady_within: float = 0.001


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
    NODES = "Nodes"
    """The pools hold GPUs enough, but not so many on one node, or may not grow by so many nodes."""
    POWER = "Power"
    """A power domain's budget binds."""
    BUDGET = "Budget"
    """The service's own `max_cost_per_hour` binds."""
    SPOT_SHARE = "SpotShare"
    """The limits on spot GPUs or the floor of others bind."""
    ZONE_SPREAD = "ZoneSpread"
    """Two zones are asked for, and one is all there is."""
    MAX_REPLICAS = "MaxReplicas"
    """The replica limits of the service or of its variants bind."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """Demand left out: `rate_rps` of bucket `bucket` (its index in the demand), and why.

    `limits` names the shared limits that bind (pools, power domains), where there are any.
    """

    bucket: int
    rate_rps: float
    reason: UnservedReason
    limits: tuple[str, ...] = ()


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
class ServicePlan:
    """The plan of one service. `best_single` is None where no single type can serve what the plan serves.

    `cost_per_hour` is the sum over its replicas, `switching_cost_per_hour` what starting new ones adds to it in the
    comparison of plans; no one is billed for the latter.
    """

    service: str
    status: PlanStatus
    routing: RoutingMode
    variants: tuple[VariantPlan, ...]
    cost_per_hour: float
    unserved: tuple[Unserved, ...]
    best_single: SingleType | None
    unused: tuple[Omitted, ...]
    switching_cost_per_hour: float = 0.0

    def replicas(self) -> dict[str, int]:
        return {variant.variant: variant.replicas for variant in self.variants}


@dataclass(frozen=True, slots=True)
class NodeCount:
    """Whole nodes of a pool that is paid by the node; `idle_cost_per_hour` is what no replica accounts for."""

    pool: str
    nodes: int
    cost_per_hour: float
    idle_cost_per_hour: float


class LimitKind(StrEnum):
    """What is shared between services and has an end."""

    STOCK = "Stock"
    """GPUs of a pool."""
    SLOTS = "Slots"
    """Places for `size` GPUs on one node of a pool."""
    POWER = "Power"
    """Watts of a power domain."""


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How far a shared limit is used, and its price.

    `name` is the pool's or the domain's, `size` the GPUs of one place (1 but for `SLOTS`), `used` and `limit` in GPUs,
    places or watts. `shadow_price_per_hour` is what one more of it would save in US dollars per hour, in the relaxation
    whose bound the plan proves; None where no relaxation was solved, 0 where it does not bind.
    """

    kind: LimitKind
    name: str
    size: int
    used: float
    limit: float
    shadow_price_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of the fleet.

    `cost_per_hour` is the services' plus what idle parts of whole nodes cost. `lower_bound_per_hour` is a proven bound
    on cost and switching cost together, for the replicas as they are packed onto nodes; `gap` = (cost + switching -
    bound) / (cost + switching), 0 where nothing costs.
    """

    status: PlanStatus
    services: tuple[ServicePlan, ...]
    cost_per_hour: float
    lower_bound_per_hour: float
    gap: float
    solve_seconds: float
    switching_cost_per_hour: float = 0.0
    nodes: tuple[NodeCount, ...] = ()
    limits: tuple[LimitUse, ...] = ()
