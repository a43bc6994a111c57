"""Services of one or two variants with round figures, for cases that are computed by hand."""

from __future__ import annotations

from typing import Any

from medley_planner.model import Bucket, Demand, Provenance, RoutingMode, Service, SizeSource, Variant


def variant(name: str, capacity_rps: float | tuple[float, ...], cost_per_hour: float, **fields: Any) -> Variant:
    """A variant in a pool of its name, with one GPU by default."""
    capacities = capacity_rps if isinstance(capacity_rps, tuple) else (capacity_rps,)
    made: dict[str, Any] = {"pool": name, "gpu": "G", "gpus_per_replica": 1, "provenance": Provenance.GIVEN} | fields
    return Variant(name=name, cost_per_hour=cost_per_hour, capacity_rps=capacities, **made)


def service(
    rate_rps: float,
    *variants: Variant,
    routing: RoutingMode = RoutingMode.HTTP_ROUTE,
    prompt_tokens: tuple[float, ...] = (100.0,),
    name: str = "chat",
    **fields: Any,
) -> Service:
    """Each bucket has the same part of the rate."""
    buckets = tuple(Bucket(tokens, 50.0 + index) for index, tokens in enumerate(prompt_tokens))
    demand = Demand(rate_rps, buckets, tuple(1 / len(buckets) for _ in buckets), SizeSource.STATIC)
    return Service(name=name, demand=demand, variants=variants, routing=routing, **fields)
