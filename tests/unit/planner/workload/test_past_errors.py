"""Which method earlier samples speak for, and the margin: of noise whole, of one change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.workload.forecast import Forecaster
from medley_planner.workload.past_errors import Method

STEP_SECONDS = 120.0
LEAD_SECONDS = 250.0


def forecaster_of(rates: list[float]) -> Forecaster:
    return Forecaster().with_samples((place * STEP_SECONDS, rate) for place, rate in enumerate(rates))


def wobbling(count: int, rate_rps: float, seed: int = 0) -> list[float]:
    noise = np.random.default_rng(seed).standard_normal(count)
    return [rate_rps * float(np.exp(0.05 * each)) for each in noise]


@pytest.mark.parametrize("before", [15, 20, 60])
def test_one_jump_leaves_the_margin_that_noise_needs(before: int) -> None:
    level = forecaster_of(wobbling(60, 8.0)).forecast(LEAD_SECONDS, quantile=0.9)
    jumped = forecaster_of([*wobbling(before, 2.0), *wobbling(15, 8.0, 1)]).forecast(LEAD_SECONDS, quantile=0.9)
    back = forecaster_of([*wobbling(before, 2.0), *wobbling(15, 8.0, 1), *wobbling(15, 2.0, 2)])
    returned = back.forecast(LEAD_SECONDS, quantile=0.9)
    assert level is not None
    assert jumped is not None
    assert returned is not None
    assert max(level.margin, jumped.margin, returned.margin) < 0.2
    assert jumped.mean_rps == pytest.approx(8.0, rel=0.1)
    assert returned.mean_rps == pytest.approx(2.0, rel=0.1)


def test_jumps_that_come_again_and_again_are_covered_and_no_rate_above_the_highest() -> None:
    rates = [rate for place in range(30) for rate in wobbling(4, 8.0 if place % 2 else 2.0, place)]
    for last in (len(rates), len(rates) - 4):
        made = forecaster_of(rates[:last]).forecast(LEAD_SECONDS, quantile=0.9)
        assert made is not None
        assert made.upper_rps <= 1.2 * max(rates)


def test_noise_is_forecast_by_its_mean_and_a_walk_by_its_last_rate() -> None:
    noise = forecaster_of(wobbling(300, 5.0)).forecast(LEAD_SECONDS, quantile=0.9)
    steps = 0.04 * np.random.default_rng(0).standard_normal(300)
    walk = forecaster_of((5.0 * np.exp(np.cumsum(steps))).tolist()).forecast(LEAD_SECONDS, quantile=0.9)
    assert noise is not None
    assert walk is not None
    assert (noise.method, walk.method) == (Method.SETTLED, Method.LAST)
    assert noise.mean_rps == pytest.approx(5.0, rel=0.03)


def test_a_reading_between_samples_counts_only_where_it_shows_a_change() -> None:
    steady = forecaster_of(wobbling(100, 5.0))
    last = steady.last_at or 0.0
    assert steady.seeing(last + 30.0, 5.5) is steady
    seen = steady.seeing(last + 30.0, 10.0)
    assert seen.usual_rps(last + 30.0, 10.0, lead_seconds=LEAD_SECONDS) == 10.0
    assert steady.usual_rps(last + 30.0, 5.5, lead_seconds=LEAD_SECONDS) == pytest.approx(5.0, rel=0.03)
