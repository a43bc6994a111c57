"""Trends of mean sizes: a steady growth is foreseen, and neither noise, a jump nor a fall."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_planner.workload import (
    SizeTrend,
    demand_from_means,
    lengthened,
    mean_generation_tokens,
    mean_prompt_tokens,
)
from medley_planner.workload.size_trend import MOST_GROWTH

WINDOW = 300.0


def trend_of(means: Iterable[tuple[float, float, float]], *, window_seconds: float = WINDOW) -> SizeTrend:
    trend = SizeTrend()
    for at, prompt, generation in means:
        trend = trend.after(at, prompt, generation, window_seconds=window_seconds)
    return trend


def test_a_steady_growth_goes_on() -> None:
    trend = trend_of((30.0 * place, 1000.0 + 5.0 * place, 200.0) for place in range(61))
    # 1,300 tokens now, and 50 more in each of the two windows to come.
    assert trend.growth(2 * WINDOW, window_seconds=WINDOW) == pytest.approx((1400 / 1300, 1.0))


def test_ten_minutes_show_a_growth_and_less_does_not() -> None:
    means = [(30.0 * place, 1000.0 + 100.0 * place, 200.0) for place in range(21)]
    assert trend_of(means[:20]).growth(150.0, window_seconds=WINDOW) == (1.0, 1.0)
    assert trend_of(means).growth(150.0, window_seconds=WINDOW)[0] == pytest.approx(3500 / 3000)


def test_the_least_growth_in_a_row_counts() -> None:
    trend = trend_of([(0.0, 1000.0, 50.0), (300.0, 1100.0, 60.0), (600.0, 1120.0, 70.0), (900.0, 1200.0, 80.0)])
    prompt, generation = trend.growth(600.0, window_seconds=WINDOW)
    # Of three windows in a row. Between readings the means go straight, and of four half windows the least is 10.
    assert prompt == pytest.approx(1 + 2 * 20 / 1200)
    assert generation == pytest.approx(1 + 2 * 10 / 80)


def test_a_fall_is_not_foreseen() -> None:
    trend = trend_of((30.0 * place, 4000.0 - 20.0 * place, 200.0 + place) for place in range(61))
    assert trend.growth(300.0, window_seconds=WINDOW) == pytest.approx((1.0, 1 + 10 / 260))


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=40))
def test_a_wobble_that_falls_back_is_no_growth(levels: list[float]) -> None:
    """Each mean that rises is followed by one that is lower than the one before."""
    means = [1000.0 * part for level in levels for part in (level, level * 1.2, level * 0.99)]
    trend = trend_of((WINDOW / 2 * place, mean, mean) for place, mean in enumerate(means))
    shown = SizeTrend(trend.rows[-6:])
    assert shown.growth(WINDOW, window_seconds=WINDOW) == (1.0, 1.0)


@pytest.mark.parametrize("late_seconds", [0.0, 7.0, 15.0, 29.0])
@pytest.mark.parametrize("factor", [0.25, 1.5, 4.0])
def test_a_jump_is_no_growth_however_a_window_shows_it(late_seconds: float, factor: float) -> None:
    trend = SizeTrend()
    for place in range(150):
        share = min(max((30.0 * place - 1800.0 - late_seconds) / WINDOW, 0.0), 1.0)
        trend = trend.after(30.0 * place, 1000.0 * (1 + (factor - 1) * share), 200.0, window_seconds=WINDOW)
        assert trend.growth(1200.0, window_seconds=WINDOW) == pytest.approx((1.0, 1.0))


def test_a_growth_is_bounded() -> None:
    trend = trend_of((WINDOW * place, 1000.0 * 2.0**place, 200.0) for place in range(7))
    assert trend.growth(3600.0, window_seconds=WINDOW)[0] == MOST_GROWTH


def test_a_growth_that_ended_is_forgotten() -> None:
    grown = [(30.0 * place, 1000.0 + 50.0 * place, 200.0) for place in range(61)]
    level = [(1800.0 + 30.0 * place, 4000.0, 200.0) for place in range(1, 21)]
    assert trend_of([*grown, *level]).growth(300.0, window_seconds=WINDOW) == (1.0, 1.0)


def test_a_clock_that_goes_back_begins_anew() -> None:
    trend = trend_of((WINDOW * place, 1000.0 * 1.1**place, 200.0) for place in range(7))
    again = trend.after(600.0, 3000.0, 200.0, window_seconds=WINDOW)
    assert again.rows == ((600.0, 3000.0, 200.0),)


@pytest.mark.parametrize("window_seconds", [60.0, 300.0, 3600.0])
def test_few_means_are_kept(window_seconds: float) -> None:
    trend = trend_of(((15.0 * place, 1000.0, 200.0) for place in range(4000)), window_seconds=window_seconds)
    assert len(trend.rows) <= 64
    assert trend.rows[-1][0] - trend.rows[0][0] >= 6 * window_seconds
    assert trend.rows[-1][0] == 15.0 * 3999


def test_a_demand_is_lengthened_within_the_longest_sequence() -> None:
    demand = demand_from_means(2.0, prompt_tokens=3000, generation_tokens=500, max_tokens=8192)
    longer = lengthened(demand, prompt=1.5, generation=1.2, max_tokens=8192)
    assert (longer.rate_rps, longer.shares, longer.size_source) == (2.0, demand.shares, demand.size_source)
    assert mean_prompt_tokens(longer) == pytest.approx(4500.0)
    assert mean_generation_tokens(longer) == pytest.approx(600.0)
    assert max(b.prompt_tokens + b.generation_tokens for b in longer.buckets) <= 8192
    assert lengthened(demand, prompt=1.0, generation=1.0, max_tokens=8192) is demand
