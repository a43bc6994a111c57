"""A cumulative histogram with fixed edges, as Prometheus counts, and the edges that vLLM uses.

Cheaper than a client library's: an observation may carry a weight, since one engine step gives one inter-token latency
to every sequence in the batch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

TTFT_SECONDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
TOKEN_SECONDS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
REQUEST_SECONDS = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
STEP_TOKENS = (1.0, *(float(2**power) for power in range(3, 15)))
PARAMETER_N = (1.0, 2.0, 5.0, 10.0, 20.0)
PREEMPTIONS = (1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0)
"""Edges in a scrape of vLLM 0.32."""


def token_edges(max_model_len: int) -> tuple[float, ...]:
    """1, 2, 5, 10, 20, 50, ... up to the largest that is not above `max_model_len`: vLLM's rule for token counts."""
    edges: list[float] = []
    decade = 1
    while True:
        for digit in (1, 2, 5):
            if digit * decade > max_model_len:
                return tuple(edges)
            edges.append(float(digit * decade))
        decade *= 10


class Histogram:
    """Counts by bucket, sum of values, number of values. An edge belongs to the bucket below it."""

    __slots__ = ("buckets", "count", "edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = tuple(edges)
        self.buckets = [0] * (len(self.edges) + 1)
        self.count = 0
        self.total = 0.0

    def observe(self, value: float, weight: int = 1) -> None:
        self.buckets[bisect_left(self.edges, value)] += weight
        self.count += weight
        self.total += value * weight
