"""What comes again is the growth that two days, or two weeks, agree on; it is followed where it erred clearly less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medley_planner.workload.forecast import Forecaster
from medley_planner.workload.past_errors import Method
from medley_planner.workload.season import DAY_SECONDS, ONCE_ALLOWANCE, STEP_SECONDS, Season

DAY_BINS = 144
LEAD_SECONDS = 900.0
BURST = range(54, 60)
"""Steps of a day, from 9:00 to 10:00."""
Rates = np.ndarray[tuple[int], np.dtype[np.float64]]


def made(days: float, *, seed: int = 0, every_days: int = 1, factor: float = 3.0) -> Rates:
    """A level rate with noise of 5 % and a burst at the same hour of each day, or of each week."""
    steps = np.arange(round(days * DAY_BINS))
    noise = np.exp(0.05 * np.random.default_rng(seed).standard_normal(len(steps)))
    inside = np.isin(steps % DAY_BINS, BURST) & (steps // DAY_BINS % every_days == 0)
    return np.asarray(6.0 * noise * np.where(inside, factor, 1.0))


def season_of(rates: Rates) -> Season:
    found = Season.of([(place * STEP_SECONDS, float(rate)) for place, rate in enumerate(rates)])
    assert found is not None
    return found


def forecaster(rates: Rates, *, season: Season | None) -> Forecaster:
    samples = ((place * STEP_SECONDS, float(rate)) for place, rate in enumerate(rates))
    return replace(Forecaster(max_samples=2 * DAY_BINS).with_samples(samples), season=season)


def growth(season: Season, at: float, ahead: float) -> float:
    return float(season.growth(np.array([at]), np.array([ahead]), period_seconds=DAY_SECONDS)[0])


def test_growth_is_what_two_days_agree_on() -> None:
    rates = np.full(3 * DAY_BINS, 10.0)
    rates[60:66] = 40.0
    at = 2 * DAY_SECONDS + 59 * STEP_SECONDS
    assert growth(season_of(rates), at, STEP_SECONDS) == 0.0  # in one day of two
    rates[DAY_BINS + 60 : DAY_BINS + 66] = 30.0
    mean = rates.mean()
    both = season_of(rates)
    assert growth(both, at, STEP_SECONDS) == pytest.approx(np.log((30 + 0.1 * mean) / (10 + 0.1 * mean)))
    assert growth(both, at + 6 * STEP_SECONDS, STEP_SECONDS) == pytest.approx(
        -np.log((30 + 0.1 * mean) / (10 + 0.1 * mean))
    )
    assert growth(both, at + 7 * STEP_SECONDS, STEP_SECONDS) == 0.0
    rates[DAY_BINS + 60 : DAY_BINS + 66] = 1.0
    assert growth(season_of(rates), at, STEP_SECONDS) == 0.0  # they do not go the same way


def test_what_rests_on_a_gap_is_not_known() -> None:
    rates = made(3.0)
    rates[DAY_BINS + 70] = np.nan
    season = season_of(rates)
    two_days = 2 * DAY_SECONDS
    assert np.isnan(growth(season, two_days + 69.5 * STEP_SECONDS, STEP_SECONDS))
    assert np.isfinite(growth(season, two_days + 71.0 * STEP_SECONDS, STEP_SECONDS))
    assert np.isnan(growth(season, DAY_SECONDS - 1.0, STEP_SECONDS))  # before the first
    assert np.isnan(growth(season, 4 * DAY_SECONDS, STEP_SECONDS))  # after the last
    assert Season.of([]) is None
    assert Season.of([(0.0, 0.0), (600.0, np.nan), (1200.0, -1.0)]) is None


def test_what_was_seen_once_counts_beyond_noise() -> None:
    rates = np.full(DAY_BINS + 100, 10.0)
    rates[60:66] = 40.0
    rates[80:82] = 11.0
    season, mean = season_of(rates), rates.mean()
    risen = np.log((40 + 0.1 * mean) / (10 + 0.1 * mean)) - ONCE_ALLOWANCE
    assert growth(season, DAY_SECONDS + 59 * STEP_SECONDS, STEP_SECONDS) == pytest.approx(risen)
    assert growth(season, DAY_SECONDS + 79 * STEP_SECONDS, STEP_SECONDS) == 0.0


@pytest.mark.parametrize(
    ("every_days", "days", "method"),
    [(1, 2.0, Method.DAILY), (1, 4.0, Method.DAILY), (7, 14.0, Method.WEEKLY), (7, 21.0, Method.WEEKLY)],
)
def test_a_burst_that_comes_again_is_there_before_it_begins(every_days: int, days: float, method: Method) -> None:
    rates = made(days + 54 / DAY_BINS, every_days=every_days)  # at 8:50
    known = forecaster(rates, season=season_of(rates))
    found, without = (each.forecast(LEAD_SECONDS, quantile=0.9) for each in (known, replace(known, season=None)))
    assert found is not None
    assert without is not None
    assert found.method is method
    assert found.mean_rps == pytest.approx(18.0, rel=0.25)
    assert without.mean_rps == pytest.approx(6.0, rel=0.15)


def test_a_burst_is_over_when_it_was_over_before() -> None:
    rates = made(4.0 + 60 / DAY_BINS)  # at 9:50
    found = forecaster(rates, season=season_of(rates)).forecast(LEAD_SECONDS, quantile=0.9)
    assert found is not None
    assert found.mean_rps == pytest.approx(6.0, rel=0.25)


@pytest.mark.parametrize("days", [1.0, 1.8])
def test_less_than_two_days_are_no_season(days: float) -> None:
    rates = made(days)
    with_season = forecaster(rates, season=season_of(rates)).forecast(LEAD_SECONDS, quantile=0.9)
    assert with_season == forecaster(rates, season=None).forecast(LEAD_SECONDS, quantile=0.9)


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_is_no_season(seed: int) -> None:
    walk = np.exp(np.cumsum(0.05 * np.random.default_rng(seed).standard_normal(6 * DAY_BINS)))
    for rates in (made(6.0, seed=seed, factor=1.0), np.asarray(5.0 * walk)):
        with_season = forecaster(rates, season=season_of(rates)).forecast(LEAD_SECONDS, quantile=0.9)
        assert with_season == forecaster(rates, season=None).forecast(LEAD_SECONDS, quantile=0.9)


def test_where_the_season_has_a_gap_now_another_method_counts() -> None:
    rates = made(4.0 + 54 / DAY_BINS)
    holed = rates.copy()
    holed[3 * DAY_BINS + 52 : 3 * DAY_BINS + 57] = np.nan
    found = forecaster(rates, season=season_of(holed)).forecast(LEAD_SECONDS, quantile=0.9)
    assert found is not None
    assert found.method in (Method.LAST, Method.TREND, Method.SETTLED)
    assert found.mean_rps == pytest.approx(6.0, rel=0.15)
