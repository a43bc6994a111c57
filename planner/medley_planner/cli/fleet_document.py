"""The fields of a fleet document, as pydantic models: types, names and units of its fields, and the schema's limits.

Strict: no text is taken for a number, no unknown field passes. The ranges of figures that the planner itself checks
(`optimize/validate/problem.py`) are only shown in the schema here, not checked a second time. Pure values.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from medley_planner.cli.document import Count, Fraction, Name, Positive, Price, Quantity
from medley_planner.model import Priority, RoutingMode

MOST_NODES = 100_000
"""Most nodes of one pool written as `nodes`: each becomes one entry of the planner's own list."""

FLAT = "<flat>"
TABLE = "<table>"


def _form(value: Any) -> str:
    nested = isinstance(value, list) and value and isinstance(value[0], list)
    return TABLE if nested else FLAT


Figures = Annotated[
    Annotated[list[Quantity], Field(min_length=1), Tag(FLAT)]
    | Annotated[list[list[Quantity]], Field(min_length=1), Tag(TABLE)],
    Discriminator(_form),
]
"""One figure for each bucket: by row and column, or row after row in one list."""


class Document(BaseModel):
    """The common base of all parts of a fleet document."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SizeDocument(Document):
    """Requests of one size."""

    prompt_tokens: Quantity = Field(description="Prompt length in tokens.")
    generation_tokens: Quantity = Field(description="Generated length in tokens.")
    share: Quantity = Field(description="Share of all requests that are of this size; the shares sum to 1 (to 1 %).")


class DemandDocument(Document):
    """The demand: `rate_rps` or `quantiles`, over a grid of sizes (`prompt_tokens`, `generation_tokens`, `shares`) or a
    list of them (`sizes`)."""

    rate_rps: Quantity | None = Field(None, description="Total requests per second. Or give quantiles.")
    quantiles: dict[Name, Quantity] | None = Field(
        None,
        description='Forecast: requests per second by probability, such as {"0.5": 12, "0.9": 15}. Rates must not fall '
        "as the probability rises.",
    )
    plan_quantile: float = Field(
        0.9,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="The quantile of the forecast to plan for: linear between the given ones; beyond them, the rate "
        "of the first or last.",
    )
    prompt_tokens: list[Quantity] | None = Field(
        None, min_length=1, description="Prompt lengths in tokens, one for each row of shares. Or give sizes."
    )
    generation_tokens: list[Quantity] | None = Field(
        None, min_length=1, description="Generated lengths in tokens, one for each column of shares. Or give sizes."
    )
    shares: Figures | None = Field(
        None, description="Share of all requests by [row][column], or row after row; they sum to 1 (to 1 %)."
    )
    sizes: list[SizeDocument] | None = Field(None, min_length=1, description="Requests by size, instead of the grid.")


class VariantDocument(Document):
    """One variant of the service."""

    name: Name = Field(description="Name of the variant, once in its service.")
    pool: Name = Field(description="Name of the pool whose GPUs it takes.")
    gpus_per_replica: Positive = Field(1, description="GPUs of one replica, all on one node.")
    cost_per_hour: Price | None = Field(
        None, description="US dollars per hour of one replica. Default: its GPUs' part of the pool's price."
    )
    capacity_rps: Figures = Field(
        description="Largest rate in requests per second that one replica serves within the targets if all requests "
        "are of one size: by [row][column] as in shares, or one after the other; 0 where it cannot serve them. The "
        "figures are taken as they are."
    )
    min_replicas: Count = Field(0, description="Fewest replicas of this variant.")
    max_replicas: Count | None = Field(None, description="Most replicas of this variant. Default: no limit.")
    watts: Quantity = Field(0.0, description="Watts that one replica draws at most.")
    startup_seconds: Quantity = Field(0.0, description="Seconds from the start of a replica until it serves.")
    drain_seconds: Quantity = Field(0.0, description="Seconds that a replica is still paid for when it serves no more.")
    current_replicas: Count = Field(0, description="Replicas that run or are starting now.")


class ServiceDocument(Document):
    """One service to plan."""

    name: Name = Field(description="Name of the service, once in the fleet.")
    demand: DemandDocument = Field(description="Requests that arrive at the service.")
    variants: list[VariantDocument] = Field(min_length=1, description="Pools and layouts for its replicas.")
    routing: Annotated[RoutingMode, Field(strict=False)] = Field(
        description=f"How the data path splits requests: {RoutingMode.described()}."
    )
    min_replicas: Count = Field(0, description="Fewest replicas of the service.")
    max_replicas: Count | None = Field(None, description="Most replicas of the service. Default: no limit.")
    headroom_percent: float = Field(
        0.0,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="Spare capacity in percent of the load: replicas carry at most 1 / (1 + headroom) of capacity.",
    )
    staffing_beta: Quantity = Field(
        0.0, description="Further headroom that falls with size: demand worth W replicas counts as W + beta x sqrt(W)."
    )
    priority: Annotated[Priority, Field(strict=False)] = Field(
        Priority.NORMAL,
        description="Where not all demand can be served, demand of Low is left out first and demand of High last.",
    )
    max_cost_per_hour: Quantity | None = Field(
        None, description="Budget in US dollars per hour for the service's replicas. Default: no limit."
    )
    spot_max_share: Fraction = Field(1.0, description="Largest share (0 to 1) of the replicas in pools of spot GPUs.")
    on_demand_min_replicas: Count = Field(0, description="Fewest replicas in pools that are not spot.")
    zone_spread: bool = Field(False, description="Whether two or more replicas must not all depend on one zone.")
    n_plus_one: bool = Field(
        False, description="Whether all planned demand must still be served when any one replica is lost."
    )
    stay_seconds: Price | None = Field(
        None,
        description="How long replicas that start now are taken to stay, in seconds; what a start costs is divided by "
        "it. Default: horizon_seconds.",
    )


class NodesDocument(Document):
    """A number of equal nodes."""

    count: int = Field(ge=0, le=MOST_NODES, description="Number of nodes.")
    gpus: Count = Field(description="GPUs on each node.")


class NodePriceDocument(Document):
    """The pool is paid by whole nodes."""

    gpus: Positive = Field(description="GPUs on each node.")
    cost_per_hour: Price = Field(description="US dollars per hour of one node.")
    max_nodes: Count | None = Field(None, description="Most nodes. Default: no limit.")


class PoolDocument(Document):
    """GPUs of one kind that services share."""

    name: Name = Field(description="Name of the pool, once in the fleet.")
    gpu: Name | None = Field(None, description="GPU type, for the reader. Default: the pool's name.")
    stock_gpus: Count | None = Field(
        None, description="GPUs in the pool. Default: those of the nodes, or no limit without nodes."
    )
    nodes: NodesDocument | None = Field(
        None,
        description="Equal nodes: a replica's GPUs must be free on one of them. Default: packing is not checked.",
    )
    node_gpus: list[Count] | None = Field(
        None, description="GPUs to plan with on each node, for nodes that differ. Instead of nodes."
    )
    gpu_cost_per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="US dollars per hour of one GPU, for variants without cost_per_hour."
    )
    node_price: NodePriceDocument | None = Field(
        None, description="Price of whole nodes, which the plan buys. Instead of nodes, node_gpus, gpu_cost_per_hour."
    )
    spot: bool = Field(False, description="Whether its GPUs may be taken away at any time.")
    zones: list[Name] = Field(
        default_factory=list, description="Zones of its nodes. Empty: unknown, which does not satisfy a zone spread."
    )
    power_domain: Name | None = Field(None, description="Name of the power domain that feeds its nodes.")


class PowerDomainDocument(Document):
    """A budget of watts for all replicas in its pools and in those of the domains below it."""

    name: Name = Field(description="Name of the domain, once in the fleet.")
    budget_watts: Quantity = Field(description="Watts that all replicas in it may draw together.")
    parent: Name | None = Field(None, description="Name of the domain above it.")


class SharedDocument(Document):
    """The shared parts of a fleet."""

    pools: list[PoolDocument] = Field(min_length=1, description="The pools of GPUs.")
    power_domains: list[PowerDomainDocument] = Field(default_factory=list, description="Budgets of watts.")
    horizon_seconds: Price = Field(3600.0, description="The stay_seconds of services that give none.")
    steady_within: Fraction = Field(
        0.001,
        description="Among plans that cost at most this share (0 to 1) more than the best one, the one that starts "
        "and stops the fewest replicas is taken.",
    )


class FleetDocument(SharedDocument):
    """A fleet: services that are planned together, and the pools and power domains that they share."""

    services: list[ServiceDocument] = Field(min_length=1, description="The services to plan, together.")
