"""Adds up histograms whose bucket edges differ.

vLLM's edges end at the engine's `--max-model-len`, so variants of one service, or two revisions of one variant, may
export different edges, and a plain `sum by (le)` of them decreases. Each ReplicaSet is summed by Prometheus and checked
here on its own, then all are brought onto the union of their edges. Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from medley_operator.metrics.errors import InvalidMetricsError
from medley_planner.workload.histogram import Histogram

TOLERANCE = 1e-6
"""Relative: what adding floats in another order may cost."""


def merge(groups: Iterable[Mapping[float, float]], *, total_tokens: float, series: str) -> Histogram:
    """Sum `groups` (each: count by edge). `series` names them in messages; raise InvalidMetricsError for nonsense.

    Where a group lacks an edge, its count there is read off the straight line between its neighbours; above its last
    finite edge all its requests count, since vLLM's next edge would lie above the engine's longest request.
    """
    if not math.isfinite(total_tokens) or total_tokens < 0:
        raise InvalidMetricsError(
            f"{series} grew by {total_tokens:g} tokens in sum: its engine or its scraping is broken"
        )
    ordered = [_checked(group, series=series) for group in groups]
    edges = sorted({edge for group in ordered for edge, _ in group})
    if all(len(group) == len(edges) for group in ordered):
        # Each has all edges: the usual case, and a fleet has thousands of groups in each round.
        together = zip(*([count for _, count in group] for group in ordered), strict=True)
        return Histogram(tuple(zip(edges, map(sum, together), strict=True)), total_tokens=total_tokens)
    counts = [sum(_at(group, edge) for group in ordered) for edge in edges]
    return Histogram(buckets=tuple(zip(edges, counts, strict=True)), total_tokens=total_tokens)


def _checked(group: Mapping[float, float], *, series: str) -> list[tuple[float, float]]:
    if math.inf not in group:
        raise InvalidMetricsError(f'{series} has no bucket le="+Inf"; a relabelling rule drops it. Keep all buckets')
    ordered: list[tuple[float, float]] = []
    below = 0.0
    for edge, count in sorted(group.items()):
        if not math.isfinite(count) or count < 0:
            raise InvalidMetricsError(
                f'{series} grew by {count:g} in bucket le="{edge:g}": its engine or its scraping is broken'
            )
        if count < below * (1 - TOLERANCE):
            raise InvalidMetricsError(
                f'{series} decreases from {below:g} to {count:g} at le="{edge:g}": pods with different edges are '
                "mixed. Keep the pod labels medley.dev/variant and pod-template-hash (docs/metrics.md)"
            )
        below = max(below, count)
        ordered.append((edge, below))
    return ordered


def _at(group: list[tuple[float, float]], edge: float) -> float:
    position = bisect_left(group, edge, key=lambda bucket: bucket[0])
    upper_edge, upper_count = group[position]
    if upper_edge == edge or math.isinf(upper_edge):
        return upper_count
    lower_edge, lower_count = group[position - 1] if position else (0.0, 0.0)
    return lower_count + (upper_count - lower_count) * (edge - lower_edge) / (upper_edge - lower_edge)
