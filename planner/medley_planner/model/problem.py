"""The input of the planner: services with their variants, the pools they share, the power domains above those."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from medley_planner.model.demand import Demand
from medley_planner.model.routing import RoutingMode


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


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of a service: a pool and an engine shape, with what it costs and what it can serve.

    `capacity_rps[b]` is the largest rate that one replica serves within the targets if all requests are of bucket b;
    0 where it cannot serve such a request within the targets at any rate. It is final: already derated.
    `cost_per_hour` of a replica in a pool that is paid by the node is its part of the node's price, by GPUs.
    `watts` is what one replica draws at its limit. `current_replicas` run or are starting now; each one beyond them
    costs `cost_per_hour` x (`startup_seconds` + `drain_seconds`) / the service's `stay_seconds` on top: what is paid
    while it starts and, at its end, while it drains. `placed_replicas` have their GPUs; None: not known, and all that
    the service is served with have. Its replicas count against the `quota` of that name; None: against none.
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
    drain_seconds: float = 0.0
    current_replicas: int = 0
    placed_replicas: int | None = None
    quota: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One service to plan, with what it asks beyond its latency targets.

    `utilisation_limit` in (0, 1] is the load a replica may carry (1 / (1 + headroom)). `staffing_beta` adds headroom
    that falls with size, by square-root staffing: where the demand that variant j can serve is worth W replicas of it,
    it counts as W + beta x sqrt(W). `max_cost_per_hour` is compared with the sum of replicas x `cost_per_hour`.
    `spot_max_share` is the largest part of the replicas in pools of spot GPUs, `on_demand_min_replicas` the fewest in
    others. `zone_spread`: two or more replicas must not all depend on one zone. `n_plus_one`: all demand that is
    planned is still served when any one replica is lost (where the router sees sizes: each variant in use carries its
    part with one replica less). `held_rps`: the part of the demand that is served before what others of the same
    priority ask beyond theirs, as that of a plan that is in force; no more of it counts than placed replicas serve.
    `stay_seconds` is how long replicas that start now are taken to stay, by which what a start costs is divided;
    infinite: starts are free.
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
    held_rps: float = 0.0
    stay_seconds: float = 3600.0

    @property
    def counts_replicas(self) -> bool:
        """Whether something beside the load depends on how many replicas there are, so that several small ones do not
        stand in for a large one: zones, the loss of one, the part on spot GPUs."""
        return self.zone_spread or self.n_plus_one or self.spot_max_share < 1.0


@dataclass(frozen=True, slots=True)
class NodePrice:
    """A pool that is paid by whole nodes of `gpus` GPUs each. `max_nodes` None: as many as asked."""

    gpus: int
    cost_per_hour: float
    max_nodes: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """The pool's GPUs. `stock_gpus` None: as many as asked (elastic without a limit).

    `node_gpus` are the GPUs that may be planned with on each node; a replica's GPUs sit on one node. None: packing is
    not checked. A pool with a `node_price` has no other nodes than those it is paid for. `zones` are those that its
    nodes are in; none: not known, which satisfies no zone spread. `power_domain` feeds all of its nodes.
    """

    name: str
    stock_gpus: int | None = None
    node_gpus: tuple[int, ...] | None = None
    node_price: NodePrice | None = None
    spot: bool = False
    zones: tuple[str, ...] = ()
    power_domain: str | None = None

    def nodes_by_gpus(self) -> Mapping[int, int] | None:
        """How many nodes of each size replicas may be placed on; None where nodes have no limit or packing is not
        checked. A pool paid by the node may have a billion of them, so they are counted and never listed."""
        if self.node_price is not None:
            most = self.node_price.max_nodes
            return None if most is None else {self.node_price.gpus: most}
        return None if self.node_gpus is None else Counter(self.node_gpus)


@dataclass(frozen=True, slots=True)
class PowerBudget:
    """A budget for all replicas in its pools and in those of the domains below it (`parent` names the one above)."""

    name: str
    budget_watts: float
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that all replicas of variants of this quota may take together, over all pools; None: no limit.

    `max_cost_per_hour` is compared with the sum of replicas x `cost_per_hour`: idle parts of whole nodes are nobody's.
    """

    name: str
    max_gpus: int | None = None
    max_cost_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """All services that are planned together and what they share. Each variant's pool is in `pools`, its quota in
    `quotas`.

    Where any replica runs, the plan that starts and stops the fewest replicas is taken among those that cost at most
    the part `steady_within` more than the best one.
    """

    services: tuple[Service, ...]
    pools: tuple[Pool, ...]
    power_domains: tuple[PowerBudget, ...] = ()
    steady_within: float = 0.001
    quotas: tuple[Quota, ...] = ()
