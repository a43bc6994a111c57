"""Demand from the engine's two histograms of prompt and generation sizes. Pure.

Bucket edges are far from what is in a bucket (planning with upper edges is wrong by +22 to +162 % of load on public
traces), so midpoints are rescaled until the histogram's own sum comes out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.model import Demand, SizeSource
from medley_planner.workload.marginal import MAX_GENERATION_BINS, MAX_PROMPT_BINS, Bin, product, thinned

_ROUNDING = 1e-6
_FEWEST_TOKENS = 1.0
_OPEN_MIDPOINT = 1.5
"""Midpoint of the last, open bucket before rescaling, as a multiple of its lower edge."""
_BISECTIONS = 100
_NEWTON_STEPS = 12
_NEAR = 1e-13
_ROUNDED = 1e-14
"""Relative: many times what adding a few dozen products may cost."""


class HistogramFault(StrEnum):
    """Why a histogram gives no sizes."""

    EMPTY = "Empty"
    NOT_FINITE = "NotFinite"
    NEGATIVE = "Negative"
    DECREASING = "Decreasing"
    BAD_EDGES = "BadEdges"


class BadHistogram(BadInput):
    """A histogram that gives no sizes. `side` is "prompt" or "generation"."""

    def __init__(self, side: str, reason: HistogramFault, field: str, value: object, way_out: str) -> None:
        super().__init__(f"{side} histogram", field, value, way_out)
        self.side = side
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Histogram:
    """A Prometheus histogram over some window: `buckets` of (upper edge, count up to it), the last edge infinite."""

    buckets: tuple[tuple[float, float], ...]
    total_tokens: float


def demand_from_histograms(
    rate_rps: float, *, prompt: Histogram, generation: Histogram, max_tokens: int | None = None
) -> Demand:
    """Demand with independent sizes of the two histograms, at most 96 buckets. Raises BadHistogram.

    Mean sizes are those of the histograms as long as one request of them is not longer than `max_tokens` (`demand_of`).
    """
    return product(
        rate_rps,
        thinned(bins_of("prompt", prompt), max_bins=MAX_PROMPT_BINS),
        thinned(bins_of("generation", generation), max_bins=MAX_GENERATION_BINS),
        size_source=SizeSource.INDEPENDENT,
        max_tokens=max_tokens,
    )


def bins_of(field: str, histogram: Histogram) -> tuple[Bin, ...]:
    """One bin per bucket that holds requests, at its rescaled midpoint, which stays inside the bucket.

    Their mean is the histogram's mean unless its sum lies outside what its buckets allow; then the nearest mean that
    they allow. Raises BadHistogram.
    """
    spans, scale = _spans(field, histogram)
    return tuple(Bin(span.at(scale), span.share) for span in spans)


def mean_square(field: str, histogram: Histogram) -> float:
    """Mean of the squared size, in tokens squared: each bucket spread evenly around its midpoint.

    Spread reaches as far as the nearer edge. Raises BadHistogram.
    """
    spans, scale = _spans(field, histogram)
    return math.fsum(span.share * span.square_at(scale) for span in spans)


@lru_cache(maxsize=64)
def _spans(field: str, histogram: Histogram) -> tuple[tuple[_Span, ...], float]:
    """One histogram is asked for several times in a row: for its bins, its moments, and the tilt."""
    _check(field, histogram)
    total = histogram.buckets[-1][1]
    spans: list[_Span] = []
    lower, below = 0.0, 0.0
    for edge, cumulative in histogram.buckets:
        if cumulative > below:
            spans.append(_Span(max(lower, min(_FEWEST_TOKENS, edge)), edge, (cumulative - below) / total))
        lower, below = edge, max(below, cumulative)
    return tuple(spans), _scale(spans, histogram.total_tokens / total)


@dataclass(frozen=True, slots=True)
class _Span:
    low: float
    high: float
    share: float

    @property
    def middle(self) -> float:
        return _OPEN_MIDPOINT * self.low if math.isinf(self.high) else (self.low + self.high) / 2.0

    def at(self, scale: float) -> float:
        return min(max(scale * self.middle, self.low), self.high)

    def square_at(self, scale: float) -> float:
        """Mean square of sizes spread evenly around the midpoint, as far as the nearer edge."""
        middle = self.at(scale)
        below, above = middle - self.low, self.high - middle
        reach = min(below, above) if math.isfinite(above) else below
        return middle * middle + reach * reach / 3.0


def _scale(spans: Sequence[_Span], mean: float) -> float:
    """The factor on midpoints that gives `mean`, which rises with it: by bisection of its logarithm."""
    # Each round asks for those of thousands of histograms: plain numbers take a third of the time of spans.
    parts = [(span.share, span.middle, span.low, span.high) for span in spans]
    low, high = -40.0, 40.0
    too_small, enough = _sides(parts, mean)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if middle in (low, high) and low != -40.0:
            # No number lies between them any more, and both are known.
            break
        if middle <= too_small or (middle < enough and _mean_at(parts, math.exp(middle)) < mean):
            low = middle
        else:
            high = middle
    return math.exp(high)


_Part = tuple[float, float, float, float]
"""Share, midpoint, lowest and highest size of a span."""


def _mean_at(parts: Sequence[_Part], scale: float) -> float:
    return math.fsum([share * min(max(scale * middle, low), high) for share, middle, low, high in parts])


def _sides(parts: Sequence[_Part], mean: float) -> tuple[float, float]:
    """Logarithms of factors: at the first and below it the mean is too small, at the second and above it is not, both
    by more than rounding. By Newton's method, so that the bisection need only ask between them."""
    scale = mean / math.fsum([share * middle for share, middle, _, _ in parts])
    for _ in range(_NEWTON_STEPS):
        slope = math.fsum([share * middle for share, middle, low, high in parts if low < scale * middle < high])
        if not (slope > 0 and 0 < scale < math.inf):
            return -math.inf, math.inf
        step = (mean - _mean_at(parts, scale)) / slope
        scale += step
        if abs(step) <= _NEAR * scale:
            break
    if not 0 < scale < math.inf:
        return -math.inf, math.inf
    below, above = math.log(scale) - 10 * _NEAR, math.log(scale) + 10 * _NEAR
    surely = (
        _mean_at(parts, math.exp(below))
        < mean * (1 - _ROUNDED)
        <= mean * (1 + _ROUNDED)
        < _mean_at(parts, math.exp(above))
    )
    return (below, above) if surely else (-math.inf, math.inf)


def _check(side: str, histogram: Histogram) -> None:
    edges = [edge for edge, _ in histogram.buckets]
    counts = [count for _, count in histogram.buckets]
    total = histogram.total_tokens
    if not edges or not math.isinf(edges[-1]) or any(not a < b for a, b in pairwise(edges)):
        raise BadHistogram(side, HistogramFault.BAD_EDGES, "edges", edges, "they must rise and end with +Inf")
    if edges[0] <= 0:
        raise BadHistogram(side, HistogramFault.BAD_EDGES, "the first edge", edges[0], "it must be above 0")
    figures = {"counts": counts, "sum": total}
    if not all(map(math.isfinite, (*counts, total))):
        raise BadHistogram(side, HistogramFault.NOT_FINITE, "the histogram", figures, "all must be finite")
    if min(*counts, total) < 0:
        raise BadHistogram(side, HistogramFault.NEGATIVE, "the histogram", figures, "none may be negative")
    if any(b < a * (1 - _ROUNDING) for a, b in pairwise(counts)):
        raise BadHistogram(side, HistogramFault.DECREASING, "counts", counts, "cumulative counts must not decrease")
    if counts[-1] <= 0:
        raise BadHistogram(side, HistogramFault.EMPTY, "", MISSING, "no request has finished in the window")
