"""Demand from histograms: the sum is met, sizes stay in their buckets, bad input is told apart."""

from __future__ import annotations

import csv
import itertools
import math
import os
import random
from bisect import bisect_left
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_planner.model import SizeSource
from medley_planner.workload import (
    BadHistogram,
    Histogram,
    HistogramFault,
    demand_from_histograms,
    mean_generation_tokens,
    mean_prompt_tokens,
)
from medley_planner.workload import histogram as program
from medley_planner.workload.histogram import bins_of

EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, math.inf)
SHARED = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).resolve().parents[5] / "shared" / "data"))
TRACE = SHARED / "AzureLLMInferenceTrace_conv.csv"


def histogram(sizes: list[float]) -> Histogram:
    counts = [0] * len(EDGES)
    for size in sizes:
        counts[bisect_left(EDGES, size)] += 1
    cumulative, buckets = 0, []
    for edge, count in zip(EDGES, counts, strict=True):
        cumulative += count
        buckets.append((float(edge), float(cumulative)))
    return Histogram(tuple(buckets), float(sum(sizes)))


sizes = st.lists(st.integers(1, 30000).map(float), min_size=1, max_size=60)


@given(sizes)
def test_bins_keep_sum_and_buckets(values: list[float]) -> None:
    bins = bins_of("prompt", histogram(values))
    assert math.fsum(b.share for b in bins) == pytest.approx(1.0)
    assert math.fsum(b.share * b.tokens for b in bins) == pytest.approx(sum(values) / len(values), rel=1e-6)
    spans = sorted({bisect_left(EDGES, value) for value in values})
    assert len(bins) == len(spans)
    for b, span in zip(bins, spans, strict=True):
        assert (EDGES[span - 1] if span else 0) <= b.tokens <= EDGES[span]


@given(sizes, sizes)
def test_demand_keeps_means_and_is_small(prompts: list[float], generations: list[float]) -> None:
    demand = demand_from_histograms(2.0, prompt=histogram(prompts), generation=histogram(generations))
    assert demand.size_source is SizeSource.INDEPENDENT
    assert 1 <= len(demand.buckets) <= 96
    assert math.fsum(demand.shares) == pytest.approx(1.0)
    assert min(demand.shares) > 0
    assert mean_prompt_tokens(demand) == pytest.approx(sum(prompts) / len(prompts), rel=1e-6)
    assert mean_generation_tokens(demand) == pytest.approx(sum(generations) / len(generations), rel=1e-6)


def test_no_bucket_is_longer_than_the_longest_sequence() -> None:
    values = [100.0, 3000.0, 15000.0]
    demand = demand_from_histograms(1.0, prompt=histogram(values), generation=histogram(values), max_tokens=16384)
    assert max(b.prompt_tokens + b.generation_tokens for b in demand.buckets) <= 16384


def test_a_sum_that_the_buckets_cannot_give_is_met_as_nearly_as_they_allow() -> None:
    bins = bins_of("prompt", Histogram(((10, 0), (20, 4), (math.inf, 4)), 1000.0))
    assert [b.tokens for b in bins] == [20]


@pytest.mark.parametrize(
    ("buckets", "total", "reason"),
    [
        ((), 1.0, HistogramFault.BAD_EDGES),
        (((10.0, 1.0),), 1.0, HistogramFault.BAD_EDGES),
        (((10.0, 1.0), (10.0, 2.0), (math.inf, 3.0)), 1.0, HistogramFault.BAD_EDGES),
        (((0.0, 0.0), (math.inf, 3.0)), 1.0, HistogramFault.BAD_EDGES),
        (((10.0, math.nan), (math.inf, 3.0)), 1.0, HistogramFault.NOT_FINITE),
        (((10.0, 1.0), (math.inf, 3.0)), math.nan, HistogramFault.NOT_FINITE),
        (((10.0, -1.0), (math.inf, 3.0)), 1.0, HistogramFault.NEGATIVE),
        (((10.0, 1.0), (math.inf, 3.0)), -1.0, HistogramFault.NEGATIVE),
        (((10.0, 5.0), (math.inf, 3.0)), 1.0, HistogramFault.DECREASING),
        (((10.0, 0.0), (math.inf, 0.0)), 0.0, HistogramFault.EMPTY),
    ],
)
def test_bad_histograms_are_told_apart(
    buckets: tuple[tuple[float, float], ...], total: float, reason: HistogramFault
) -> None:
    good = histogram([100.0])
    with pytest.raises(BadHistogram, match=r"^generation histogram: ") as caught:
        demand_from_histograms(1.0, prompt=good, generation=Histogram(buckets, total))
    assert (caught.value.side, caught.value.reason) == ("generation", reason)


@pytest.mark.skipif(not TRACE.exists(), reason=f"no trace at {TRACE}")
def test_a_real_trace_becomes_few_buckets_with_its_means() -> None:
    with TRACE.open() as file:
        rows = [(float(r["ContextTokens"]), float(r["GeneratedTokens"])) for r in csv.DictReader(file)]
    prompts, generations = ([r[i] for r in rows if r[i] > 0] for i in (0, 1))
    demand = demand_from_histograms(5.5, prompt=histogram(prompts), generation=histogram(generations))
    assert len(demand.buckets) <= 96
    assert mean_prompt_tokens(demand) == pytest.approx(sum(prompts) / len(prompts))
    assert mean_generation_tokens(demand) == pytest.approx(sum(generations) / len(generations))


@pytest.mark.parametrize("seed", range(40))
def test_the_scale_is_that_of_the_whole_bisection(seed: int) -> None:
    """What Newton's method leaves out of it is decided the same, to the last bit."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    lows = [0.5, 1.0, 2.0, 5.0, 10.0, 100.0, 1000.0]
    spans = [
        program._Span(low, high, draw.uniform(0.01, 1.0))
        for low, high in itertools.pairwise((*lows, math.inf))
        if draw.random() < 0.7
    ] or [program._Span(1.0, math.inf, 1.0)]
    mean = draw.choice([0.0, 1e-9, draw.uniform(0.1, 3000.0), 1e12, 0.5, 1000.0])
    low, high = -40.0, 40.0
    for _ in range(100):
        middle = (low + high) / 2.0
        small = math.fsum(span.share * span.at(math.exp(middle)) for span in spans) < mean
        low, high = (middle, high) if small else (low, middle)
    assert program._scale(spans, mean) == math.exp(high)
