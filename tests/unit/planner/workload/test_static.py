"""Demand that the user writes: means are kept, spread is as asked, impossible figures are refused by field."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_planner.model import Bucket, SizeSource
from medley_planner.workload import (
    demand_from_means,
    mean_generation_tokens,
    mean_prompt_tokens,
    standard_buckets,
)


@given(st.floats(1, 1e6), st.floats(1, 1e5), st.floats(0.05, 2.0))
def test_means_are_kept(prompt: float, generation: float, variation: float) -> None:
    demand = demand_from_means(3.0, prompt_tokens=prompt, generation_tokens=generation, variation=variation)
    assert demand.rate_rps == 3.0
    assert demand.size_source is SizeSource.STATIC
    assert 1 <= len(demand.buckets) <= 96
    assert math.fsum(demand.shares) == pytest.approx(1.0)
    assert mean_prompt_tokens(demand) == pytest.approx(prompt, rel=1e-6)
    assert mean_generation_tokens(demand) == pytest.approx(generation, rel=1e-6)


def test_no_variation_is_one_bucket() -> None:
    demand = demand_from_means(1.0, prompt_tokens=1000, generation_tokens=200, variation=0)
    assert demand.buckets == (Bucket(1000, 200),)


def test_the_spread_is_about_what_was_asked() -> None:
    demand = demand_from_means(1.0, prompt_tokens=1000, generation_tokens=200, variation=1.0)
    square = sum(s * b.prompt_tokens**2 for s, b in zip(demand.shares, demand.buckets, strict=True))
    assert 0.75 < math.sqrt(square / 1000**2 - 1) <= 1.0


def test_sizes_end_at_the_longest_sequence() -> None:
    demand = demand_from_means(1.0, prompt_tokens=8000, generation_tokens=1000, max_tokens=16384)
    assert max(b.prompt_tokens + b.generation_tokens for b in demand.buckets) <= 16384
    assert mean_prompt_tokens(demand) == pytest.approx(8000, rel=0.15)


def test_bad_means_are_refused_by_field() -> None:
    with pytest.raises(ValueError, match="requestsPerSecond 0"):
        demand_from_means(0, prompt_tokens=10, generation_tokens=10)
    with pytest.raises(ValueError, match=r"16384 tokens; lower them or raise spec\.model\.maxModelLen"):
        demand_from_means(1, prompt_tokens=16000, generation_tokens=1000, max_tokens=16384)
    with pytest.raises(ValueError, match="variation -1"):
        demand_from_means(1, prompt_tokens=10, generation_tokens=10, variation=-1)


def test_the_standard_grid_has_sixty_buckets() -> None:
    assert len(set(standard_buckets())) == 60
