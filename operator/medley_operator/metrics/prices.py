"""Prices of nodes and GPUs from the Prometheus that Medley reads anyway, where Karpenter or OpenCost export them, and
from a price list."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from medley_operator.domain.cluster.prices import NO_PRICES, PriceMetrics
from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.metrics.price_list import Listed, read_price_list
from medley_operator.metrics.prometheus import Prometheus, VectorSample
from medley_planner.bad_input import BadInput

LAST = "15m"
"""A price whose exporter is missing for a moment is still the price."""
NODE_LABELS = ("exported_node", "node", "exported_instance", "instance")
"""Where OpenCost's node is found: a scrape that keeps its own labels renames those of the metric."""
READ_SECONDS = 300.0

log = logging.getLogger(__name__)


def price_queries(matchers: str = "") -> tuple[str, str, str]:
    """The queries of Karpenter's offers, of OpenCost's nodes, and of its GPUs. `matchers`: which series are of this
    cluster."""
    series = f"{{{matchers}}}" if matchers else ""
    offers = f"karpenter_cloudprovider_instance_type_offering_price_estimate{series}"
    by_node = f"max by ({', '.join(NODE_LABELS)})"
    return (
        f"max by (instance_type, capacity_type, zone) (last_over_time({offers}[{LAST}]))",
        f"{by_node} (last_over_time(node_total_hourly_cost{series}[{LAST}]))",
        f"{by_node} (last_over_time(node_gpu_hourly_cost{series}[{LAST}]))",
    )


async def read_price_metrics(prometheus: Prometheus, *, at: float) -> PriceMetrics:
    """Raises PrometheusUnavailableError."""
    offers, nodes, gpus = [await prometheus.vector(query, at=at) for query in price_queries(prometheus.matchers)]
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


def _by_node(samples: Sequence[VectorSample]) -> dict[str, float]:
    """Prices by all names that a sample gives: a pool looks up those of its nodes."""
    found: dict[str, float] = {}
    for label in reversed(NODE_LABELS):
        found |= {each.labels[label]: each.value for each in samples if label in each.labels and _is_price(each.value)}
    return found


def _is_price(value: float) -> bool:
    return math.isfinite(value) and value > 0


class PriceReader:
    """Reads the prices anew where the last ones are older than 5 minutes. `clock` is monotonic, in seconds."""

    def __init__(
        self, prometheus: Prometheus | None, *, clock: Callable[[], float], price_list: Path | None = None
    ) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._price_list = price_list
        self._read_at = -math.inf
        self._found = NO_PRICES

    async def prices(self) -> PriceMetrics:
        """Never raises: where Prometheus does not answer, or the list cannot be read, nobody says a price, and the last
        ones stay in statuses."""
        if self._clock() - self._read_at >= READ_SECONDS:
            seen = await self._measured()
            if seen is not None:
                self._read_at = self._clock()
            self._found = replace(seen or NO_PRICES, listed=await asyncio.to_thread(self._listed))
        return self._found

    async def _measured(self) -> PriceMetrics | None:
        """None where Prometheus does not answer."""
        if self._prometheus is None:
            return NO_PRICES
        try:
            return await read_price_metrics(self._prometheus, at=await self._prometheus.now())
        except PrometheusUnavailableError as error:
            log.warning("prices cannot be read", extra={"error": str(error)})
            return None

    def _listed(self) -> Listed:
        if self._price_list is None:
            return {}
        try:
            return read_price_list(self._price_list)
        except BadInput as error:
            log.warning("the price list cannot be used", extra={"error": str(error)})
            return {}
