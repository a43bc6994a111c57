"""The output of the planner: replicas and shares with their cost, what is left out and why, how far limits are used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medley_planner.model.problem import Priority
from medley_planner.model.routing import RoutingMode
from medley_planner.omitted import Omitted


class PlanStatus(StrEnum):
    """The status of the plan of a service or of the fleet."""

    OPTIMAL = "Optimal"
    """All demand is planned and the cost is proven optimal to the solver's tolerance."""
    FEASIBLE = "Feasible"
    """All demand is planned; the deadline came before the proof, the gap shows how far it may be off."""
    PARTIAL = "Partial"
    """Some demand is not planned; `unserved` and `unserved_reason` say which and why."""
    INFEASIBLE = "Infeasible"
    """No demand could be planned."""


class UnservedReason(StrEnum):
    """Why demand is left out of a plan."""

    NO_VARIANT_MEETS_TARGET = "NoVariantMeetsTarget"
    """No variant (or, where the router is blind to size, no variant that serves the rest) can serve the bucket."""
    STOCK = "Stock"
    """The pools hold too few GPUs."""
    NODES = "Nodes"
    """The pools have enough GPUs, but too few on one node, or cannot add enough nodes."""
    POWER = "Power"
    """A power domain's budget binds."""
    BUDGET = "Budget"
    """The service's own `max_cost_per_hour` binds."""
    SPOT_SHARE = "SpotShare"
    """The limits on spot GPUs or the floor of others bind."""
    ZONE_SPREAD = "ZoneSpread"
    """The service needs two zones, and there is only one."""
    MAX_REPLICAS = "MaxReplicas"
    """The replica limits of the service or of its variants bind."""
    QUOTA = "Quota"
    """A quota that the service shares with others binds."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """Demand left out: `rate_rps` of bucket `bucket` (its index in the demand), and why.

    `limits` names the shared limits that bind (pools, power domains, quotas), where there are any.
    """

    bucket: int
    rate_rps: float
    reason: UnservedReason
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VariantPlan:
    """The part of one variant in a plan: replicas, its share of all the service's requests, its share of each bucket.

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
class CheaperFleet:
    """A fleet of a service that is cheaper than its plan, and that the plan leaves aside for what its start costs.

    `replicas` by variant, in the service's order. `saving_per_hour` is what all that is planned would cost less with
    it, `leaving_cost` in US dollars what starting it costs more than starting what the plan starts.
    """

    replicas: tuple[int, ...]
    saving_per_hour: float
    leaving_cost: float


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """The plan of one service. `best_single` is None where no single type can serve what the plan serves.

    `cost_per_hour` is the sum over its replicas, `switching_cost_per_hour` what starting new ones adds to it in the
    comparison of plans; no one is billed for the latter. `cheaper` is None where no fleet would be, the plans of others
    staying as they are.
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
    cheaper: CheaperFleet | None = None

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
    """The kinds of shared limits."""

    STOCK = "Stock"
    """GPUs of a pool."""
    SLOTS = "Slots"
    """Places for `size` GPUs on one node of a pool."""
    POWER = "Power"
    """Watts of a power domain."""
    QUOTA_GPUS = "QuotaGpus"
    """GPUs of a quota."""
    QUOTA_COST = "QuotaCost"
    """US dollars per hour of a quota."""

    @property
    def of_quota(self) -> bool:
        return self in (LimitKind.QUOTA_GPUS, LimitKind.QUOTA_COST)


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How far a shared limit is used, and its price.

    `name` is the pool's, the domain's or the quota's, `size` the GPUs of one place (1 but for `SLOTS`), `used` and
    `limit` in GPUs, places, watts or US dollars per hour. `shadow_price_per_hour` is what one more of it would save in
    US dollars per hour: in a small fleet what planning with one more saves (one more place is a node of so many GPUs),
    in a large one what it saves in the relaxation whose bound the plan proves. None where it was not found, or demand
    is left out; 0 where one more saves nothing.
    """

    kind: LimitKind
    name: str
    size: int
    used: float
    limit: float
    shadow_price_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class PriorityShortage:
    """The demand of one priority that a plan leaves out, and how little any plan could, in requests per second.

    No plan that leaves out no more of higher priorities leaves out less than `least_rps` of this one. The two are equal
    where that was proven, as it is of up to three services that are planned together; else it is a bound in fractions
    of replicas, and their difference says how far off this plan may be at the most.
    """

    priority: Priority
    unserved_rps: float
    least_rps: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of the fleet.

    `cost_per_hour` is the services' plus what idle parts of whole nodes cost. `lower_bound_per_hour` is a proven bound
    on cost and switching cost together, for the replicas as they are packed onto nodes; `gap` = (cost + switching -
    bound) / (cost + switching), 0 where nothing costs. `shortages` are of the priorities of which demand is left out,
    the highest first.
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
    shortages: tuple[PriorityShortage, ...] = ()
