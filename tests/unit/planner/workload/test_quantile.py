"""The rate at a quantile of a forecast: between what is given, never beyond it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_planner.workload.quantile import rate_at_quantile

_FORECAST = {0.9: 15.0, 0.5: 12.0, 0.99: 24.0}


@pytest.mark.parametrize(
    ("at", "rate_rps"),
    [(0.5, 12.0), (0.9, 15.0), (0.99, 24.0), (0.7, 13.5), (0.945, 19.5), (0.0, 12.0), (0.1, 12.0), (1.0, 24.0)],
)
def test_linear_between_and_clamped_at_the_ends(at: float, rate_rps: float) -> None:
    assert rate_at_quantile(_FORECAST, at=at) == pytest.approx(rate_rps)


def test_one_quantile_is_the_rate_everywhere() -> None:
    assert [rate_at_quantile({0.5: 3.0}, at=at) for at in (0.0, 0.5, 1.0)] == [3.0, 3.0, 3.0]


@given(
    st.dictionaries(st.floats(0, 1), st.floats(0, 1e6), min_size=1, max_size=6),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_rises_with_the_quantile_and_stays_within_what_is_given(
    drawn: dict[float, float], one: float, other: float
) -> None:
    rates = dict(zip(sorted(drawn), sorted(drawn.values()), strict=True))
    low, high = (rate_at_quantile(rates, at=at) for at in sorted((one, other)))
    slack = 1e-9 * max(rates.values())
    assert min(rates.values()) - slack <= low <= high + slack <= max(rates.values()) + 2 * slack


@pytest.mark.parametrize(
    ("rates_rps", "at", "words"),
    [
        ({}, 0.9, "no quantile is given"),
        ({0.5: 1.0}, 1.5, "the quantile to plan for is 1.5; give a number from 0 to 1"),
        ({0.5: 1.0}, math.nan, "the quantile to plan for is nan"),
        ({-0.1: 1.0}, 0.5, "a quantile is -0.1"),
        ({0.5: -1.0}, 0.5, "the rate at quantile 0.5 is -1; give a finite number, 0 or more"),
        ({0.5: math.inf}, 0.5, "the rate at quantile 0.5 is inf"),
        ({0.5: 2.0, 0.9: 1.0}, 0.5, "the rate falls from 2 at quantile 0.5 to 1 at 0.9"),
    ],
)
def test_what_is_no_forecast_is_named(rates_rps: dict[float, float], at: float, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        rate_at_quantile(rates_rps, at=at)
