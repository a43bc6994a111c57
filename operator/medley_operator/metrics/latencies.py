"""The latency histograms of one service, by variant. Pure.

Nothing rests on them but the margins: what makes no sense is left out, and margins stay as they are.

Apart: the reader of Prometheus and the replay's both use it.
"""

from __future__ import annotations

import math

from medley_operator.domain.values.margins import Buckets, LatencyCounts
from medley_operator.metrics.by_service import SizeFigures
from medley_operator.metrics.errors import InvalidMetricsError


def latencies_by_variant(ttft: SizeFigures, tpot: SizeFigures) -> dict[str, LatencyCounts]:
    """The latencies of a service by variant; edges are in seconds."""
    return {
        variant: LatencyCounts(_buckets(ttft.of_variant(variant)), _buckets(tpot.of_variant(variant)))
        for variant in ttft.variants
        if variant
    }


def _buckets(figures: SizeFigures) -> Buckets:
    try:
        found = figures.histogram("latencies")
    except InvalidMetricsError:
        return ()
    if found is None or not all(math.isfinite(count) for _, count in found.buckets):
        return ()
    return found.buckets
