"""Joint sizes from variants, from a gateway and from a tilt: means kept, sources named, too little refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from medley_planner.model import SizeSource
from medley_planner.workload.histogram import BadHistogram, Histogram
from medley_planner.workload.joint import (
    MAX_BUCKETS,
    MAX_VARIANTS,
    Sizes,
    demand_from_cells,
    demand_from_tilt,
    demand_from_variants,
)
from medley_planner.workload.marginal import mean_generation_tokens, mean_product, mean_prompt_tokens

EDGES = (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, math.inf)


def histogram(values: Sequence[float]) -> Histogram:
    return Histogram(tuple((edge, float(sum(v <= edge for v in values))) for edge in EDGES), float(sum(values)))


def sizes(requests: Sequence[tuple[float, float]]) -> Sizes:
    return Sizes(histogram([p for p, _ in requests]), histogram([g for _, g in requests]))


SHORT = [(80.0, 400.0)] * 200 + [(150.0, 600.0)] * 200
LONG = [(1500.0, 60.0)] * 300 + [(3000.0, 40.0)] * 300
TRUE_PRODUCT = sum(p * g for p, g in SHORT + LONG) / 1000


def test_variants_that_see_other_prompts_tell_the_joint_sizes() -> None:
    found = demand_from_variants(5.0, [sizes(SHORT), sizes(LONG)])
    assert found is not None
    assert found.size_source is SizeSource.PER_VARIANT
    assert found.rate_rps == 5.0
    assert sum(found.shares) == pytest.approx(1.0)
    assert mean_prompt_tokens(found) == pytest.approx(sum(p for p, _ in SHORT + LONG) / 1000)
    assert mean_generation_tokens(found) == pytest.approx(sum(g for _, g in SHORT + LONG) / 1000)
    assert mean_product(found) == pytest.approx(TRUE_PRODUCT, rel=0.05)


def test_variants_that_see_the_same_tell_nothing() -> None:
    mixed = SHORT[::2] + LONG[::2]
    assert demand_from_variants(5.0, [sizes(mixed), sizes(mixed)]) is None


@pytest.mark.parametrize(
    "parts", [[], [SHORT], [SHORT, LONG[:199]], [SHORT, *([LONG] * MAX_VARIANTS)]], ids=["none", "one", "few", "many"]
)
def test_too_few_or_too_many_variants(parts: list[list[tuple[float, float]]]) -> None:
    assert demand_from_variants(5.0, [sizes(part) for part in parts]) is None


def test_a_variant_without_requests_does_not_count() -> None:
    assert demand_from_variants(5.0, [sizes(SHORT), sizes(LONG), sizes([])]) is not None


def test_buckets_stay_few() -> None:
    wide = [(float(30 * 2**k), float(20 * 2**k)) for k in range(8)]
    parts = [sizes([(p * 3**n, g) for p, g in wide] * 40) for n in range(5)]
    found = demand_from_variants(5.0, parts)
    assert found is not None
    assert len(found.buckets) <= MAX_BUCKETS


def test_gateway_counts_are_the_joint_sizes_at_the_engines_means() -> None:
    cells = {(100.0, 500.0): 200.0, (200.0, 1000.0): 200.0, (2000.0, 100.0): 300.0, (5000.0, 50.0): 300.0}
    found = demand_from_cells(5.0, cells, prompt_mean=1396.0, generation_mean=230.0)
    assert found is not None
    assert found.size_source is SizeSource.GATEWAY
    assert len(found.buckets) == 4
    assert mean_prompt_tokens(found) == pytest.approx(1396.0)
    assert mean_generation_tokens(found) == pytest.approx(230.0)
    assert mean_product(found) == pytest.approx(TRUE_PRODUCT, rel=0.2)


def test_gateway_cells_are_thinned() -> None:
    cells = {(10.0 * 1.3**i, 10.0 * 1.3**j): 1.0 for i in range(30) for j in range(30)}
    found = demand_from_cells(5.0, cells, prompt_mean=2500.0, generation_mean=2400.0)
    assert found is not None
    assert len(found.buckets) == MAX_BUCKETS
    assert mean_prompt_tokens(found) == pytest.approx(2500.0)


def test_few_gateway_counts_tell_nothing() -> None:
    assert demand_from_cells(5.0, {(100.0, 100.0): 199.0}, prompt_mean=50.0, generation_mean=50.0) is None
    assert demand_from_cells(5.0, {}, prompt_mean=50.0, generation_mean=50.0) is None


@pytest.mark.parametrize(
    "cells", [{(100.0, 100.0): math.nan}, {(0.0, 100.0): 300.0}, {(100.0, 100.0): 400.0, (200.0, 100.0): -50.0}]
)
def test_gateway_nonsense_is_refused(cells: dict[tuple[float, float], float]) -> None:
    with pytest.raises(BadHistogram):
        demand_from_cells(5.0, cells, prompt_mean=50.0, generation_mean=50.0)


def test_a_tilt_comes_near_the_true_product() -> None:
    both = sizes(SHORT + LONG)
    mean = both.prompt.total_tokens * both.generation.total_tokens / 1000**2
    assert mean > 3 * TRUE_PRODUCT
    found = demand_from_tilt(5.0, both, ratio=TRUE_PRODUCT / mean)
    assert found.size_source is SizeSource.TILTED
    assert mean_product(found) == pytest.approx(TRUE_PRODUCT, rel=0.25)
    assert mean_prompt_tokens(found) == pytest.approx(1396.0)


@pytest.mark.parametrize("total", [0.0, math.nan])
def test_empty_or_broken_histograms_are_refused(total: float) -> None:
    empty = Histogram(((100.0, 0.0), (math.inf, 0.0)), total)
    with pytest.raises(BadHistogram):
        demand_from_tilt(5.0, Sizes(empty, empty), ratio=1.0)
