"""The tilt keeps both margins and reaches the mean that it is asked for, or says that it did not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medley_planner.workload.marginal import Bin
from medley_planner.workload.tilt import MAX_TILT, tilted
from tests.reference_tilt import plainly_tilted

MARGIN_TOLERANCE = 1e-4
"""Prompt shares are exact; generation shares converge slowly where the tilt is strong."""
PROMPT = (Bin(50, 0.2), Bin(400, 0.5), Bin(3000, 0.3))
GENERATION = (Bin(10, 0.4), Bin(200, 0.6))


@st.composite
def margins(draw: st.DrawFn) -> tuple[Bin, ...]:
    weights = draw(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=8))
    sizes = draw(st.lists(st.floats(1.0, 1e5), min_size=len(weights), max_size=len(weights), unique=True))
    total = math.fsum(weights)
    return tuple(Bin(size, weight / total) for size, weight in zip(sorted(sizes), weights, strict=True))


@settings(max_examples=60, deadline=None)
@given(prompt=margins(), generation=margins(), ratio=st.floats(0.05, 20.0))
def test_margins_hold_and_the_ratio_never_overshoots(
    prompt: tuple[Bin, ...], generation: tuple[Bin, ...], ratio: float
) -> None:
    found = tilted(prompt, generation, ratio=ratio)
    assert all(share >= 0 for row in found.shares for share in row)
    assert [math.fsum(row) for row in found.shares] == pytest.approx([b.share for b in prompt], abs=1e-9)
    columns = [math.fsum(column) for column in zip(*found.shares, strict=True)]
    assert columns == pytest.approx([b.share for b in generation], abs=MARGIN_TOLERANCE)
    assert abs(found.theta) <= MAX_TILT
    assert min(1.0, ratio) - 1e-3 <= found.ratio <= max(1.0, ratio) + 1e-3


@settings(max_examples=150, deadline=None)
@given(prompt=margins(), generation=margins(), ratio=st.floats(0.3, 4.0))
def test_it_is_that_of_plain_bisection_to_the_last_bit(
    prompt: tuple[Bin, ...], generation: tuple[Bin, ...], ratio: float
) -> None:
    """What need not be worked out is left out, and changes nothing."""
    assert tilted(prompt, generation, ratio=ratio) == plainly_tilted(prompt, generation, ratio=ratio)


def test_figures_that_come_again_are_not_worked_out_again() -> None:
    assert tilted(list(PROMPT), list(GENERATION), ratio=1.21) is tilted(PROMPT, GENERATION, ratio=1.21)


@pytest.mark.parametrize("ratio", [0.7, 0.9, 1.1, 1.3])
def test_a_reachable_ratio_is_reached(ratio: float) -> None:
    found = tilted(PROMPT, GENERATION, ratio=ratio)
    assert not found.clamped
    assert found.ratio == pytest.approx(ratio, abs=1e-6)
    assert math.copysign(1.0, found.theta) == math.copysign(1.0, ratio - 1.0)


@pytest.mark.parametrize(("ratio", "theta"), [(50.0, MAX_TILT), (0.001, -MAX_TILT)])
def test_more_than_is_plausible_is_clamped(ratio: float, theta: float) -> None:
    found = tilted(PROMPT, GENERATION, ratio=ratio)
    assert found.clamped
    assert found.theta == theta


def test_a_margin_of_one_size_leaves_nothing_to_tilt() -> None:
    found = tilted((Bin(100, 1.0),), GENERATION, ratio=2.0)
    assert found.clamped
    assert found.shares[0] == pytest.approx((0.4, 0.6))


def test_near_independence_is_the_product() -> None:
    found = tilted(PROMPT, GENERATION, ratio=1.02)
    assert found.shares[1] == pytest.approx((0.2, 0.3))
    assert not found.clamped


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan, math.inf])
def test_a_ratio_that_is_none(ratio: float) -> None:
    with pytest.raises(ValueError, match="ratio"):
        tilted(PROMPT, GENERATION, ratio=ratio)
