"""The forecaster: what it must never do on any input, and what it must do on inputs whose future is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medley_planner.workload.conformal import MAX_SCORE
from medley_planner.workload.forecast import Forecaster, SampleFault
from medley_planner.workload.holt import MAX_GROWTH
from medley_planner.workload.past_errors import Method

MINUTE = 60.0
LEADS = st.floats(0.0, 3600.0)
QUANTILES = st.floats(0.0, 1.0)
GAPS = st.floats(1.0, 4000.0)
RATES = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
SERIES = st.lists(st.tuples(GAPS, RATES), min_size=40, max_size=120)


def forecaster_of(series: list[tuple[float, float]]) -> Forecaster:
    at, samples = 0.0, []
    for gap, rate in series:
        at += gap
        samples.append((at, rate))
    return Forecaster().with_samples(samples)


def regular(rates: list[float], *, spacing_seconds: float = 120.0) -> Forecaster:
    return Forecaster().with_samples((place * spacing_seconds, rate) for place, rate in enumerate(rates))


@given(SERIES, LEADS, QUANTILES)
@settings(deadline=None)
def test_every_forecast_is_finite_and_within_what_was_seen(
    series: list[tuple[float, float]], lead: float, quantile: float
) -> None:
    made = forecaster_of(series).forecast(lead, quantile=quantile)
    if made is None:
        return
    highest = max(rate for _, rate in series)
    assert 0 <= made.mean_rps <= (1 + highest) * MAX_GROWTH * (1 + 1e-9)
    assert 0 <= made.upper_rps <= made.mean_rps + MAX_SCORE * (made.mean_rps + 0.1 * highest) * (1 + 1e-9)
    assert math.isfinite(made.margin)
    assert made.margin >= -1


@given(SERIES, LEADS, QUANTILES, QUANTILES)
@settings(deadline=None)
def test_a_higher_quantile_never_asks_for_less(
    series: list[tuple[float, float]], lead: float, one: float, other: float
) -> None:
    forecaster = forecaster_of(series)
    low = forecaster.forecast(lead, quantile=min(one, other))
    high = forecaster.forecast(lead, quantile=max(one, other))
    assert (low is None) == (high is None)
    if low is not None and high is not None:
        assert low.upper_rps <= high.upper_rps


@given(st.floats(1e-3, 1e6), LEADS, QUANTILES)
@settings(deadline=None)
def test_a_constant_rate_is_forecast_as_itself(rate: float, lead: float, quantile: float) -> None:
    made = regular([rate] * 60).forecast(lead, quantile=quantile)
    assert made is not None
    assert made.mean_rps == pytest.approx(rate, rel=1e-9)
    assert made.upper_rps == pytest.approx(rate, rel=1e-9)


@given(st.lists(st.one_of(st.floats(allow_nan=True, allow_infinity=True)), max_size=40))
@settings(deadline=None)
def test_no_sample_breaks_it(rates: list[float]) -> None:
    forecaster = regular([4.0] * 40)
    at = 40 * 120.0
    for rate in rates:
        fault, before = forecaster.fault(at, rate), forecaster
        forecaster = forecaster.update(at, rate)
        assert (forecaster is before) == (fault is not None)
        at += 120.0
    made = forecaster.forecast(300, quantile=0.9)
    assert made is not None
    assert math.isfinite(made.upper_rps)


@given(
    st.lists(
        st.tuples(st.sampled_from([-500.0, -10.0, 30.0, 120.0, 600.0]), st.sampled_from([0.0, 2.0, 9.0, math.nan]))
    ),
    st.sampled_from([1, 3, 1440]),
)
@settings(deadline=None)
def test_samples_count_alike_one_by_one_and_together(steps: list[tuple[float, float]], most: int) -> None:
    at, samples = 0.0, []
    for step, rate in steps:
        at += step
        samples.append((at, rate))
    one_by_one = empty = Forecaster(max_samples=most)
    for sample in samples:
        one_by_one = one_by_one.update(*sample)
    assert empty.with_samples(samples) == one_by_one


@pytest.mark.parametrize(
    ("at", "rate", "fault"),
    [
        (1320.0, 5.0, None),
        (1320.0, math.nan, SampleFault.NOT_FINITE),
        (math.inf, 5.0, SampleFault.NOT_FINITE),
        (1320.0, 1e13, SampleFault.NOT_FINITE),
        (1320.0, -1.0, SampleFault.NEGATIVE),
        (1320.0, 0.0, SampleFault.SILENT),
        (1250.0, 5.0, SampleFault.TOO_SOON),
        (1150.0, 5.0, SampleFault.TOO_SOON),
        (1000.0, 5.0, SampleFault.CLOCK_WENT_BACK),
    ],
)
def test_bad_samples_are_named(at: float, rate: float, fault: SampleFault | None) -> None:
    assert regular([4.0] * 11).fault(at, rate) is fault


def test_a_clock_that_went_back_starts_the_history_anew() -> None:
    forecaster = regular([4.0] * 40).update(100.0, 9.0)
    assert (len(forecaster), forecaster.last_at) == (1, 100.0)
    assert forecaster.forecast(300, quantile=0.9) is None


def test_too_little_past_gives_no_forecast() -> None:
    assert Forecaster().forecast(300, quantile=0.9) is None
    made = [regular([4.0] * count).forecast(240, quantile=0.9) is not None for count in range(1, 40)]
    # Twenty scores, and half an hour of them: at a lead of 240 s the third sample has the first.
    assert made.index(True) + 1 == 20 + 2
    assert made == sorted(made)


def test_history_is_bounded_and_old_samples_go_first() -> None:
    forecaster = Forecaster(max_samples=50).with_samples((place * 120.0, place + 1.0) for place in range(80))
    assert len(forecaster) == 50
    assert forecaster == Forecaster(max_samples=50, rows=forecaster.rows, settled=forecaster.settled)


def test_a_silence_is_neither_a_trend_nor_a_surprise() -> None:
    forecaster = regular([10.0] * 40)
    for place in range(60):
        forecaster = forecaster.update((40 + place) * 120.0, 0.0)
    assert forecaster.last_at == 39 * 120.0
    woken = forecaster.update(100 * 120.0, 10.0)
    made = woken.forecast(300, quantile=1.0)
    assert made is not None
    assert made.upper_rps == pytest.approx(10.0)


def test_a_steady_rise_is_followed_ahead_and_a_random_walk_is_not() -> None:
    rise = regular([10.0 * 1.02**place for place in range(120)])
    made = rise.forecast(600, quantile=0.5)
    assert made is not None
    assert made.method is Method.TREND
    last = 10.0 * 1.02**119
    assert last < made.mean_rps <= last * 1.02**5
    flat = rise.forecast(600, quantile=0.5, method=Method.LAST)
    assert flat is not None
    assert flat.mean_rps == last
    draw = random.Random(3)  # noqa: S311 - a seeded series
    level, walk = 0.0, []
    for _ in range(400):
        level += draw.gauss(0, 0.05)
        walk.append(100.0 * math.exp(level))
    wandering = regular(walk).forecast(120, quantile=0.5)
    assert wandering is not None
    assert (wandering.method, wandering.mean_rps) == (Method.LAST, walk[-1])


def test_the_margin_covers_what_it_promises_on_noise_it_has_not_seen() -> None:
    draw = random.Random(11)  # noqa: S311 - a seeded series
    series = [100.0 * math.exp(draw.gauss(0, 0.15)) for _ in range(1500)]
    forecaster, hits, asked = Forecaster(), 0, 0
    for place, rate in enumerate(series[:-3]):
        forecaster = forecaster.update(place * 120.0, rate)
        made = forecaster.forecast(360, quantile=0.9) if place >= 300 else None
        if made is not None:
            asked += 1
            hits += series[place + 3] <= made.upper_rps
    assert asked > 1000
    assert 0.86 <= hits / asked <= 0.94


def test_time_since_the_last_sample_counts_as_lead() -> None:
    rise = regular([10.0 * 1.02**place for place in range(120)])
    now = rise.forecast(600, quantile=0.9)
    later = rise.forecast(480, quantile=0.9, at_seconds=119 * 120.0 + 120.0)
    assert now == later


@pytest.mark.parametrize(("lead", "quantile"), [(-1.0, 0.9), (math.nan, 0.9), (300.0, 1.1), (300.0, math.nan)])
def test_a_question_that_is_none_is_refused(lead: float, quantile: float) -> None:
    with pytest.raises(ValueError, match="give a"):
        regular([4.0] * 40).forecast(lead, quantile=quantile)
