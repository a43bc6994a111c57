"""The price of a pool's GPUs: as its spec says, else by the metrics of Karpenter or of OpenCost, else by a price list.
Pure.

Karpenter exports an estimated price for each instance type, zone and kind of purchase, in US dollars per node and hour,
with the adjustments of its NodeOverlays (its source, pkg/providers/instancetype/metrics.go); OpenCost the price of each
node and of each of its GPUs (opencost.io/docs/integrations/metrics). A node's GPUs are charged all of the node: without
them it would not be there.

A price that moves by less than 1 % stays as it was, so that plans do not follow its noise. Where its source vanishes
the last price stays: no plan may change because a metric is missing.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import GPUPool, PoolCost, PriceStatus, Provisioning
from medley_operator.domain.values.leadtime import unix_seconds, utc_text
from medley_operator.domain.values.views import NodeView, selects

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
GIVEN, KARPENTER, LISTED = "Spec", "Karpenter", "price list"
OPENCOST_NODE, OPENCOST_GPU = "OpenCost node_total_hourly_cost", "OpenCost node_gpu_hourly_cost"
NOISE = 0.01
REFRESH_SECONDS = 900.0
"""A status says at least so exactly when the price was seen last."""
STALE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class PriceMetrics:
    """US dollars per hour: of Karpenter's offers by (instance type, kind of purchase, zone), of nodes by name, of one
    GPU by the name of its node, and of a price list by (instance type, kind of purchase, zone or region or "")."""

    offers: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    nodes: Mapping[str, float] = field(default_factory=dict)
    gpus: Mapping[str, float] = field(default_factory=dict)
    listed: Mapping[tuple[str, str, str], float] = field(default_factory=dict)


NO_PRICES = PriceMetrics()


@dataclass(frozen=True, slots=True)
class GpuPrice:
    """US dollars for one GPU and hour, and where they are from."""

    per_gpu_hour_usd: float
    source: str


def market_price(
    nodes: Sequence[NodeView],
    selector: Mapping[str, str],
    *,
    resource: str,
    gpus_per_node: int,
    spot: bool,
    metrics: PriceMetrics,
) -> GpuPrice | None:
    """The median over the nodes by the first source that knows one of them; without nodes by what the selector asks
    for. None where nobody says it. A node has the GPUs (`resource`) that it can allocate, else `gpus_per_node`."""
    kind = "spot" if spot else "on-demand"
    gpus = [node.allocatable.get(resource) or gpus_per_node for node in nodes] or [gpus_per_node]
    wanted = [node.labels for node in nodes] or [selector]
    known = (
        (KARPENTER, [_offer(labels, kind, metrics) for labels in wanted], gpus),
        (OPENCOST_NODE, [metrics.nodes.get(node.name) for node in nodes], gpus),
        (OPENCOST_GPU, [metrics.gpus.get(node.name) for node in nodes], [1] * len(gpus)),
        (LISTED, [_listed(labels, kind, metrics) for labels in wanted], gpus),
    )
    for source, prices, counts in known:
        found = [price / count for price, count in zip(prices, counts, strict=False) if price is not None]
        if found:
            return GpuPrice(statistics.median(found), source)
    return None


def _offer(labels: Mapping[str, str], kind: str, metrics: PriceMetrics) -> float | None:
    """The price in the labels' zone; where they name none, the lowest."""
    instance, zone = labels.get(INSTANCE_TYPE), labels.get(ZONE)
    if instance is None:
        return None
    if zone is not None:
        return metrics.offers.get((instance, kind, zone))
    return _lowest(instance, kind, metrics.offers)


def _listed(labels: Mapping[str, str], kind: str, metrics: PriceMetrics) -> float | None:
    """The price in the labels' zone, else in their region, else that of any place; where they name no place, the
    lowest."""
    instance = labels.get(INSTANCE_TYPE)
    if instance is None:
        return None
    places = [labels[label] for label in (ZONE, REGION) if label in labels]
    if not places:
        return _lowest(instance, kind, metrics.listed)
    named = ((instance, kind, place) for place in (*places, ""))
    return next((metrics.listed[key] for key in named if key in metrics.listed), None)


def _lowest(instance: str, kind: str, prices: Mapping[tuple[str, str, str], float]) -> float | None:
    return min((price for (type_, of, _), price in prices.items() if (type_, of) == (instance, kind)), default=None)


def price_status(
    pool: GPUPool, nodes: Iterable[NodeView], metrics: PriceMetrics, *, unix_seconds: float
) -> PriceStatus | None:
    """The price to plan with, as the pool's status has it. None where it never had one."""
    cost = pool.spec.cost
    if cost.is_given:
        return PriceStatus(per_hour=_decimal(pool.spec.gpu_cost_per_hour()), source=GIVEN)
    before = pool.status.price
    selector = pool.spec.node_selector
    found = market_price(
        [node for node in nodes if selects(selector, node.labels)],
        selector,
        resource=pool.spec.resource_name,
        gpus_per_node=pool.spec.capacity.gpus_per_node,
        spot=pool.spec.provisioning is Provisioning.SPOT,
        metrics=metrics,
    )
    if found is None:
        # One that the spec had counts from when it was taken out.
        withdrawn = before is not None and before.observed_at is None
        return before.model_copy(update={"observed_at": utc_text(unix_seconds)}) if before and withdrawn else before
    text, seen = _decimal(found.per_gpu_hour_usd), utc_text(unix_seconds)
    if before is None or before.source != found.source or _differs(before.per_hour_usd, found.per_gpu_hour_usd):
        return PriceStatus(per_hour=text, source=found.source, observed_at=seen)
    age = _age_seconds(before, unix_seconds)
    return before if age is not None and age < REFRESH_SECONDS else before.model_copy(update={"observed_at": seen})


def prices_of(
    pools: Iterable[GPUPool], nodes: Sequence[NodeView], metrics: PriceMetrics, *, unix_seconds: float
) -> dict[str, PriceStatus]:
    """The prices by pool; pools whose price nobody ever said are not in it."""
    found = {pool.metadata.name: price_status(pool, nodes, metrics, unix_seconds=unix_seconds) for pool in pools}
    return {name: price for name, price in found.items() if price is not None}


def priced(pool: GPUPool, price: PriceStatus | None) -> GPUPool:
    """The pool as plans see it: with that price where its spec has none."""
    if price is None or pool.spec.cost.is_given:
        return pool
    cost = PoolCost.model_construct(per_hour=price.per_hour, per_node_hour=None)
    return pool.model_copy(update={"spec": pool.spec.model_copy(update={"cost": cost})})


def stale_seconds(price: PriceStatus, *, unix_seconds: float) -> float | None:
    """For how long nobody has said the price, where that is an hour or more; None where it is not."""
    age = _age_seconds(price, unix_seconds)
    return age if age is not None and age >= STALE_SECONDS else None


def _age_seconds(price: PriceStatus, now: float) -> float | None:
    seen = unix_seconds(price.observed_at)
    return None if seen is None else now - seen


def _differs(one: float, other: float) -> bool:
    return abs(one - other) > NOISE * one


def _decimal(value: float) -> str:
    """A decimal of at most 6 places."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
