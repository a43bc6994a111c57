"""The demand and the variants of one service of a fleet document as the planner's values.

Checks what only the document can get wrong (shapes, forecasts, prices left out, a minimum above its own maximum);
the ranges of figures are the planner's to check. Pure; faults are raised as `BadInput`, by path in the service.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NoReturn

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.cli.fleet_document import DemandDocument, PoolDocument, ServiceDocument, VariantDocument
from medley_planner.model import Bucket, Demand, Provenance, Service, SizeSource, Variant
from medley_planner.optimize.validate.ranges import is_count
from medley_planner.workload.quantile import rate_at_quantile

SHARE_SUM_TOLERANCE = 0.01
"""Tables are printed rounded: so far off a sum of 1, shares are scaled to it."""

_MADE = ("demand", "variants", "stay_seconds")
_AS_WRITTEN = tuple(
    field.name for field in fields(Service) if field.name in ServiceDocument.model_fields and field.name not in _MADE
)
"""Fields that a service of the document and one of the planner have in common, name and value."""

Shape = tuple[int, int] | None
"""Rows and columns of the grid of sizes; None where sizes are listed."""


def service_from(
    document: ServiceDocument, pools: Mapping[str, PoolDocument], *, horizon_seconds: float = 3600.0
) -> Service:
    """Raises `BadInput`. Figures out of their range pass, for the planner's own checks to name. `horizon_seconds` is
    the fleet's, for a service that does not say how long replicas stay."""
    _check_order("", document.min_replicas, document.max_replicas)
    shape = _shape(document.demand)
    return Service(
        demand=_demand(document.demand, shape),
        variants=tuple(
            _variant(f"variants[{index}].", variant, pools, document.demand, shape)
            for index, variant in enumerate(document.variants)
        ),
        utilisation_limit=1 / (1 + document.headroom_percent / 100),
        stay_seconds=horizon_seconds if document.stay_seconds is None else document.stay_seconds,
        **{name: getattr(document, name) for name in _AS_WRITTEN},
    )


def _demand(document: DemandDocument, shape: Shape) -> Demand:
    if shape is None:
        sizes = document.sizes or []
        buckets = tuple(Bucket(size.prompt_tokens, size.generation_tokens) for size in sizes)
        shares = [size.share for size in sizes]
    else:
        buckets = tuple(
            Bucket(prompt, generation)
            for prompt in document.prompt_tokens or []
            for generation in document.generation_tokens or []
        )
        shares = _flat("demand.shares", document.shares or (), shape, len(buckets))
    return Demand(_rate_rps(document), buckets, _scaled(shares), SizeSource.STATIC)


def _shape(document: DemandDocument) -> Shape:
    grid = {name: getattr(document, name) for name in ("prompt_tokens", "generation_tokens", "shares")}
    if document.sizes is not None:
        for name, value in grid.items():
            if value is not None:
                _refuse(f"demand.{name}", value, "sizes are listed as well; leave one of them out")
        return None
    for name, value in grid.items():
        if value is None:
            way_out = "give prompt_tokens, generation_tokens and shares, or a list of sizes"
            raise BadInput("", f"demand.{name}", MISSING, way_out)
    return len(grid["prompt_tokens"]), len(grid["generation_tokens"])


def _rate_rps(document: DemandDocument) -> float:
    if document.quantiles is None:
        if document.rate_rps is None:
            raise BadInput("", "demand.rate_rps", MISSING, "give it, or quantiles of a forecast")
        return document.rate_rps
    if document.rate_rps is not None:
        _refuse("demand.rate_rps", document.rate_rps, "quantiles are given as well; leave one of them out")
    rates: dict[float, float] = {}
    for text, rate in document.quantiles.items():
        field = f'demand.quantiles["{text}"]'
        try:
            probability = float(text)
        except ValueError:
            _refuse(field, rate, 'its key is not a probability; write one such as "0.9"')
        if probability in rates:
            _refuse(field, rate, "the same probability is there twice; leave one of them out")
        rates[probability] = rate
    try:
        return rate_at_quantile(rates, at=document.plan_quantile)
    except ValueError as error:
        _refuse("demand.quantiles", document.quantiles, str(error))


def _scaled(shares: Sequence[float]) -> tuple[float, ...]:
    """To a sum of 1, where they are all but that already."""
    total = math.fsum(shares) if all(0 <= share < math.inf for share in shares) else math.nan
    return tuple(share / total for share in shares) if abs(total - 1) <= SHARE_SUM_TOLERANCE else tuple(shares)


def _variant(
    path: str, document: VariantDocument, pools: Mapping[str, PoolDocument], demand: DemandDocument, shape: Shape
) -> Variant:
    _check_order(path, document.min_replicas, document.max_replicas)
    buckets = shape[0] * shape[1] if shape else len(demand.sizes or [])
    pool = pools.get(document.pool)
    return Variant(
        name=document.name,
        pool=document.pool,
        gpu=(pool and pool.gpu) or document.pool,
        gpus_per_replica=document.gpus_per_replica,
        cost_per_hour=_cost_per_hour(path, document, pool),
        capacity_rps=tuple(_flat(f"{path}capacity_rps", document.capacity_rps, shape, buckets)),
        provenance=Provenance.GIVEN,
        min_replicas=document.min_replicas,
        max_replicas=document.max_replicas,
        watts=document.watts,
        startup_seconds=document.startup_seconds,
        drain_seconds=document.drain_seconds,
        current_replicas=document.current_replicas,
    )


def _cost_per_hour(path: str, document: VariantDocument, pool: PoolDocument | None) -> float:
    if document.cost_per_hour is not None:
        return document.cost_per_hour
    gpus = document.gpus_per_replica
    price = None if pool is None else pool.node_price
    if pool is None or not is_count(gpus, least=1) or (price and not is_count(price.gpus, least=1)):
        return 1.0  # never seen: the planner's own checks refuse the unknown pool or the count of GPUs
    if price is not None:
        return price.cost_per_hour * gpus / price.gpus
    if pool.gpu_cost_per_hour is not None:
        return pool.gpu_cost_per_hour * gpus
    way_out = f"pool {document.pool} has no price; give it here, or gpu_cost_per_hour or node_price in the pool"
    raise BadInput("", f"{path}cost_per_hour", MISSING, way_out)


def _flat(field: str, figures: Sequence[Any], shape: Shape, buckets: int) -> list[float]:
    """Row after row; raises `BadInput` where the figures are not of the shape of the sizes."""
    if not isinstance(figures[0], list):
        if len(figures) != buckets:
            _refuse(field, figures, f"it has {len(figures)} entries; give {buckets}, one for each size")
        return list(figures)
    if shape is None:
        _refuse(field, figures, f"sizes are listed; give one flat list of {buckets}")
    rows, columns = shape
    if len(figures) != rows:
        _refuse(field, figures, f"it has {len(figures)} rows; give {rows}, one for each of prompt_tokens")
    for index, row in enumerate(figures):
        if len(row) != columns:
            wanted = f"it has {len(row)} entries; give {columns}, one for each of generation_tokens"
            _refuse(f"{field}[{index}]", row, wanted)
    return [figure for row in figures for figure in row]


def _check_order(path: str, least: int, most: int | None) -> None:
    if most is not None and least > most >= 0:
        _refuse(f"{path}min_replicas", least, f"it is above max_replicas {most}; lower it or raise max_replicas")


def _refuse(field: str, value: Any, message: str) -> NoReturn:
    raise BadInput("", field, value, message)
