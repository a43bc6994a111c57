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
from medley_planner.workload.marginal import demand_of


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


@given(st.floats(1, 1e5), st.floats(1, 1e4), st.floats(0.05, 2.0), st.floats(1.0, 20.0))
def test_means_are_kept_where_sizes_are_cut(prompt: float, generation: float, variation: float, room: float) -> None:
    longest = math.ceil(room * (prompt + generation))
    demand = demand_from_means(
        1.0, prompt_tokens=prompt, generation_tokens=generation, variation=variation, max_tokens=longest
    )
    assert max(b.prompt_tokens + b.generation_tokens for b in demand.buckets) <= longest
    assert min(min(b.prompt_tokens, b.generation_tokens) for b in demand.buckets) > 0
    assert math.fsum(demand.shares) == pytest.approx(1.0)
    assert mean_prompt_tokens(demand) == pytest.approx(prompt, rel=1e-6)
    assert mean_generation_tokens(demand) == pytest.approx(generation, rel=1e-6)


def test_what_is_cut_off_long_sizes_fills_the_same_part_of_the_room_of_the_others() -> None:
    cells = [(Bucket(3000.0, 1000.0), 1.0), (Bucket(500.0, 500.0), 2.0), (Bucket(900.0, 100.0), 1.0)]
    demand = demand_of(1.0, cells, size_source=SizeSource.STATIC, max_tokens=2000)
    # Of each request on average, 500 and so 375 + 125 tokens are cut off; the others have 750 of room on average.
    found = [(b.prompt_tokens, b.generation_tokens) for b in demand.buckets]
    rows = [(1500.0, 500.0), (500 + 1000 * 0.5, 500 + 1000 / 6), (900 + 1000 * 0.5, 100 + 1000 / 6)]
    for (prompt, generation), (prompt_expected, generation_expected) in zip(found, rows, strict=True):
        assert prompt == pytest.approx(prompt_expected)
        assert generation == pytest.approx(generation_expected)
    assert mean_prompt_tokens(demand) == pytest.approx(1225.0)
    assert mean_generation_tokens(demand) == pytest.approx(525.0)


def test_means_too_long_for_any_request_are_those_of_the_longest() -> None:
    cells = [(Bucket(3000.0, 1000.0), 1.0), (Bucket(1000.0, 500.0), 1.0)]
    demand = demand_of(1.0, cells, size_source=SizeSource.INDEPENDENT, max_tokens=2000)
    assert [b.prompt_tokens + b.generation_tokens for b in demand.buckets] == pytest.approx([2000.0, 2000.0])


def test_bad_means_are_refused_by_field() -> None:
    with pytest.raises(ValueError, match="requestsPerSecond 0"):
        demand_from_means(0, prompt_tokens=10, generation_tokens=10)
    with pytest.raises(ValueError, match=r"16384 tokens; lower them or raise spec\.model\.maxModelLen"):
        demand_from_means(1, prompt_tokens=16000, generation_tokens=1000, max_tokens=16384)
    with pytest.raises(ValueError, match="variation -1"):
        demand_from_means(1, prompt_tokens=10, generation_tokens=10, variation=-1)


def test_the_standard_grid_has_sixty_buckets() -> None:
    assert len(set(standard_buckets())) == 60
