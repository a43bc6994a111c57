"""The parts of an explanation, as frozen values: of the fleet, of each limit, of each service, of a change of plans.

Money is US dollars per hour, rates are requests per second, shares and ratios are fractions. A figure that was not
found within the time is None, and says so beside it; nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medley_planner.model import LimitKind, NodeCount, PlanStatus, PriorityShortage, RoutingMode, UnservedReason
from medley_planner.omitted import Omitted


class PriceSource(StrEnum):
    """How the price of a limit was found."""

    RELAXATION = "Relaxation"
    """Given by the plan, of one more unit: the true saving in a small fleet, in a large one that in a relaxation."""
    NEW_PLAN = "NewPlan"
    """Planned again with room for more replicas, the rest as it is: the true saving."""


@dataclass(frozen=True, slots=True)
class LimitExplanation:
    """A shared limit. `binding`: not even the smallest replica that could use it fits any more.

    `price_per_hour` is of one unit (GPU, place or watt). `step` is how many units one more replica takes, or as many
    replicas as together change anything; with `source` NEW_PLAN `step_saving_per_hour` is what so many more would save
    (cost and switching cost), and
    `step_served_rps` how much more demand would be served (saving and service exclude each other: serving more costs
    more). All None where nothing is known.
    """

    kind: LimitKind
    name: str
    size: int
    used: float
    limit: float
    binding: bool
    step: float
    source: PriceSource | None = None
    price_per_hour: float | None = None
    step_saving_per_hour: float | None = None
    step_served_rps: float | None = None


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """A limit of one service that binds: the field, what the plan uses of it, and the limit."""

    field: str
    used: float
    limit: float


@dataclass(frozen=True, slots=True)
class SingleFleet:
    """The fleet of one variant alone for what the plan serves of the service, all other services as they are.

    `replicas` and `cost_per_hour` are None where there is none: `why` says why. `ratio` is its cost over the plan's,
    both with the charge for starting replicas.
    """

    variant: str
    pool: str
    replicas: int | None
    cost_per_hour: float | None
    ratio: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PriceComparison:
    """The cost of a variant that was planned with and is not used, beside those in use.

    `price_ratio`: what the requests that it can serve cost on it (fractions of a replica counted) over what they cost
    on the cheapest variant in use; `enters_below_per_hour` is the price of a replica at which the two are equal (an
    integer plan may ask for less). `dominated_by` names a variant that serves at least as much of every size for no
    higher price, from no more GPUs. None where there is nothing to compare.
    """

    omitted: Omitted
    cost_per_hour: float
    price_ratio: float | None = None
    enters_below_per_hour: float | None = None
    dominated_by: str | None = None


@dataclass(frozen=True, slots=True)
class UnmetDemand:
    """Demand that is left out for one reason, all buckets together; `limits` are the shared ones that bind."""

    reason: UnservedReason
    rate_rps: float
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceExplanation:
    """The plan of one service in figures.

    Token rates are of the planned (served) demand, mean sizes times rates; None where the sizes are not known.
    `cost_per_million_tokens` counts prompt and generated tokens, `cost_per_million_generated_tokens` the latter alone.
    `unused` are planned with and get no replica, `excluded` were left out before planning.
    """

    service: str
    status: PlanStatus
    routing: RoutingMode
    rate_rps: float
    served_rps: float
    cost_per_hour: float
    switching_cost_per_hour: float
    prompt_tokens_per_hour: float | None
    generated_tokens_per_hour: float | None
    cost_per_million_tokens: float | None
    cost_per_million_generated_tokens: float | None
    own_limits: tuple[OwnLimit, ...]
    singles: tuple[SingleFleet, ...]
    unused: tuple[PriceComparison, ...]
    excluded: tuple[Omitted, ...]
    unmet: tuple[UnmetDemand, ...]


class RelaxationKind(StrEnum):
    """The kinds of limits that can be relaxed to serve more."""

    STOCK = "Stock"
    """GPUs of a pool."""
    NODES = "Nodes"
    """Nodes of a pool."""
    POWER = "Power"
    """Watts of a power domain."""
    BUDGET = "Budget"
    """US dollars per hour of a service."""
    MAX_REPLICAS = "MaxReplicas"
    """Replicas of a service, or of one of its variants."""
    SPOT_SHARE = "SpotShare"
    """Largest share of spot replicas of a service."""
    ON_DEMAND_MIN_REPLICAS = "OnDemandMinReplicas"
    """Fewest replicas of a service that are not spot."""
    ZONE_SPREAD = "ZoneSpread"
    """The wish to be in two zones."""
    ROUTING = "Routing"
    """A router that sees more of a request."""
    LATENCY_TARGET = "LatencyTarget"
    """The targets themselves, or GPUs that meet them: nothing that planning again can try."""


class RelaxationResult(StrEnum):
    """The result of trying a relaxation."""

    SERVES_ALL = "ServesAll"
    """With `needed` all that this limit, or others like it, leave out is served."""
    NOT_ENOUGH = "NotEnough"
    """Even without this limit `left_rps` stay unmet."""
    NOT_TRIED = "NotTried"
    """The time was over, or planning cannot try it."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One limit given way, all others kept, for the unmet demand of `services`.

    `name` is the pool's, the domain's or the service's (with the variant's, if it is about one). `now` and `needed` are
    values of the limit in `unit`; `needed` is the smallest tried that serves all, and `smallest` says whether one step
    less was shown not to. `cost_per_hour` is the fleet's with it, `left_rps` what stays unmet.
    """

    kind: RelaxationKind
    name: str
    services: tuple[str, ...]
    outcome: RelaxationResult
    message: str
    unit: str = ""
    now: float | None = None
    needed: float | None = None
    smallest: bool = False
    cost_per_hour: float | None = None
    left_rps: float | None = None


class ChangeKind(StrEnum):
    """The kinds of differences since the last plan."""

    SERVICE = "Service"
    DEMAND = "Demand"
    SERVICE_LIMITS = "ServiceLimits"
    """The limits of a service beyond its demand: routing, limits, headroom, priority and such."""
    VARIANT = "Variant"
    PRICE = "Price"
    CAPACITY = "Capacity"
    STOCK = "Stock"
    """GPUs, nodes, watts: all that is shared."""
    LIMIT = "Limit"
    """A shared limit that binds now and did not, or the other way round."""
    REST = "Rest"
    """All else together, in the causes of a difference in cost."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, in words; `before` and `after` where it is a number."""

    kind: ChangeKind
    name: str
    message: str
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class ReplicaChange:
    """A variant of a service with another replica count."""

    service: str
    variant: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class CostCause:
    """Part of the difference in cost, found by changing the last problem step by step into this one."""

    kind: ChangeKind
    difference_per_hour: float


@dataclass(frozen=True, slots=True)
class PlanChange:
    """The changes since the last plan. `why` is empty where the last problem is not known.

    `causes` add up to the difference in cost; empty where they were not found in time.
    """

    cost_before_per_hour: float
    cost_after_per_hour: float
    replicas: tuple[ReplicaChange, ...]
    why: tuple[Change, ...]
    causes: tuple[CostCause, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan explained. `cost_per_hour` includes `idle_cost_per_hour`, of whole nodes that are not filled."""

    status: PlanStatus
    cost_per_hour: float
    lower_bound_per_hour: float
    gap: float
    switching_cost_per_hour: float
    idle_cost_per_hour: float
    nodes: tuple[NodeCount, ...]
    limits: tuple[LimitExplanation, ...]
    services: tuple[ServiceExplanation, ...]
    relaxations: tuple[Relaxation, ...]
    shortages: tuple[PriorityShortage, ...]
    change: PlanChange | None
