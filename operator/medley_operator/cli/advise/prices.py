"""The price of a found pool's GPUs: as the user gives it, else by the metrics of Karpenter or OpenCost. Pure but for
the queries.

Karpenter exports an estimated price for each instance type, zone and kind of purchase, in US dollars per node and hour
(its source, pkg/providers/instancetype/metrics.go); OpenCost the price of each node and of each of its GPUs
(opencost.io/docs/integrations/metrics). A node's GPUs are charged all of the node: without them it would not be there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medley_operator.cli.advise.pools import INSTANCE_TYPE, FoundPool
from medley_operator.domain.values.views import NodeView
from medley_operator.metrics.prometheus import Prometheus, VectorSample

KARPENTER = "karpenter_cloudprovider_instance_type_offering_price_estimate"
OPENCOST_NODE = "node_total_hourly_cost"
OPENCOST_GPU = "node_gpu_hourly_cost"
ZONE = "topology.kubernetes.io/zone"

LAST = "15m"
"""A price whose exporter is missing for a moment is still the price."""
KARPENTER_QUERY = f"max by (instance_type, capacity_type, zone) (last_over_time({KARPENTER}[{LAST}]))"
NODE_LABELS = ("exported_node", "node", "exported_instance", "instance")
"""Where OpenCost's node is found: a scrape that keeps its own labels renames those of the metric."""
OPENCOST_NODE_QUERY = f"max by ({', '.join(NODE_LABELS)}) (last_over_time({OPENCOST_NODE}[{LAST}]))"
OPENCOST_GPU_QUERY = f"max by ({', '.join(NODE_LABELS)}) (last_over_time({OPENCOST_GPU}[{LAST}]))"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one GPU and hour, and where they are from."""

    per_gpu_hour_usd: float
    source: str


@dataclass(frozen=True, slots=True)
class PriceMetrics:
    """US dollars per hour by Karpenter's offers (instance type, kind of purchase, zone), by node, and per GPU of a
    node."""

    offers: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    nodes: Mapping[str, float] = field(default_factory=dict)
    gpus: Mapping[str, float] = field(default_factory=dict)


async def read_price_metrics(prometheus: Prometheus, *, at: float) -> PriceMetrics:
    """Raises PrometheusUnavailableError."""
    offers = await prometheus.vector(KARPENTER_QUERY, at=at)
    nodes = await prometheus.vector(OPENCOST_NODE_QUERY, at=at)
    gpus = await prometheus.vector(OPENCOST_GPU_QUERY, at=at)
    return PriceMetrics(
        {
            (
                each.labels.get("instance_type", ""),
                each.labels.get("capacity_type", ""),
                each.labels.get("zone", ""),
            ): each.value
            for each in offers
            if _is_price(each.value)
        },
        _by_node(nodes),
        _by_node(gpus),
    )


def _by_node(samples: Sequence[VectorSample]) -> Mapping[str, float]:
    """Prices by all names that a sample gives: a pool looks up those of its nodes."""
    priced = [each for each in samples if _is_price(each.value)]
    return {
        each.labels[label]: each.value for label in reversed(NODE_LABELS) for each in priced if label in each.labels
    }


def _is_price(value: float) -> bool:
    return math.isfinite(value) and value > 0


def price_of(pool: FoundPool, given: Mapping[str, float], metrics: PriceMetrics) -> Price | None:
    """The first of: what the user gave for the pool's name or GPU type, Karpenter's, OpenCost's; the median over the
    pool's nodes. None where nobody says it."""
    for name in (pool.name, pool.title, pool.product):
        if name.casefold() in given:
            return Price(given[name.casefold()], "--price")
    for source, prices in (
        ("Karpenter", [_offer(node, metrics, pool) for node in pool.nodes]),
        (f"OpenCost (last_over_time({OPENCOST_NODE}[{LAST}]))", [_whole(node, metrics, pool) for node in pool.nodes]),
        (f"OpenCost (last_over_time({OPENCOST_GPU}[{LAST}]))", [metrics.gpus.get(node.name) for node in pool.nodes]),
    ):
        known = [price for price in prices if price is not None]
        if known:
            return Price(statistics.median(known), source)
    return None


def _offer(node: NodeView, metrics: PriceMetrics, pool: FoundPool) -> float | None:
    kind = "spot" if pool.spot else "on-demand"
    price = metrics.offers.get((node.labels.get(INSTANCE_TYPE, ""), kind, node.labels.get(ZONE, "")))
    return None if price is None else price / pool.gpus_per_node


def _whole(node: NodeView, metrics: PriceMetrics, pool: FoundPool) -> float | None:
    price = metrics.nodes.get(node.name)
    return None if price is None else price / pool.gpus_per_node
