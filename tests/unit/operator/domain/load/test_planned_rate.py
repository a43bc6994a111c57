"""A plan is for when its replicas serve: it rises ahead of the load, and falls when the load will not come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.load.figures import load_status
from medley_operator.domain.load.planned_rate import RECONCILE_SECONDS, RateForecasts, forecast_rate
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_planner.workload import Forecast, Forecaster, Method
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import follow, is_quiet, settle

LIVE: dict[str, Any] = {"workload": {"source": "Prometheus"}}
STEP_SECONDS = 120.0


def jumpy(count: int = 200) -> tuple[tuple[float, float], ...]:
    """A rate that swings by a third, up and down in turns of six minutes."""
    return tuple((place * STEP_SECONDS, 10.0 * (1 + (place // 3 % 2) / 3)) for place in range(count))


def forecast(upper_rps: float) -> Forecast:
    return Forecast(upper_rps, 0.0, upper_rps, Method.LAST, 99)


def forecasts(measured: float, at_lead: float | None = None, at_twice: float | None = None) -> RateForecasts:
    return RateForecasts(
        measured_rps=measured,
        usual_rps=measured,
        lead_seconds=150.0,
        at_seconds=0.0,
        forecaster=Forecaster(),
        at_lead=forecast(at_lead) if at_lead is not None else None,
        at_twice=forecast(at_twice) if at_twice is not None else None,
    )


@pytest.mark.parametrize(
    ("seen", "planned", "rate"),
    [
        (forecasts(10.0), None, 10.0),
        (forecasts(10.0), 14.0, 10.0),
        (forecasts(10.0, 12.0, 13.0), None, 12.0),
        (forecasts(10.0, 12.0, 13.0), 11.0, 12.0),
        (forecasts(10.0, 12.0, 13.0), 12.5, 12.5),
        (forecasts(10.0, 12.0, 13.0), 20.0, 13.0),
        (forecasts(10.0, 6.0, 5.0), None, 10.0),
        (forecasts(10.0, 6.0, 5.0), 20.0, 10.0),
        (forecasts(10.0, 8.0, 15.0), 20.0, 15.0),
    ],
)
def test_up_for_the_lead_time_down_below_the_most_of_two(
    seen: RateForecasts, planned: float | None, rate: float
) -> None:
    assert seen.planned_rate(planned, falling_since=-300.0).rate_rps == rate


def test_a_plan_falls_after_two_lead_times_without_a_break() -> None:
    high, low = forecasts(10.0, 12.0, 19.0), forecasts(10.0, 12.0, 13.0)
    since: float | None = None
    rates = []
    for at_seconds, seen in ((0, low), (100, low), (200, high), (300, low), (599, low), (600, low), (601, low)):
        target = replace(seen, at_seconds=float(at_seconds)).planned_rate(20.0, falling_since=since)
        since = target.falling_since
        rates.append(target.rate_rps)
    assert rates == [20.0, 20.0, 19.0, 20.0, 20.0, 13.0, 13.0]
    # Without a forecast what is measured counts at once, as it always did.
    assert forecasts(10.0).planned_rate(20.0, falling_since=None).rate_rps == 10.0


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_never_less_than_measured_and_a_plan_in_between_stays(a: float, b: float, c: float, planned: float) -> None:
    seen = forecasts(a, b, c)
    rate = seen.planned_rate(planned, falling_since=-300.0).rate_rps
    assert a <= seen.needed_rps <= rate <= seen.kept_rps
    assert seen.planned_rate(rate, falling_since=None).rate_rps == rate


def noisy(hours: float, seed: int, *, carry: float = 0.8) -> list[tuple[float, float]]:
    """A reading each half a minute of a level rate of 5 req/s with noise of 10 %; the means of a minute are alike."""
    rng = np.random.default_rng(seed)
    level, made = 0.0, []
    for place in range(round(hours * 120)):
        if place % 2 == 0:
            level = carry * level + np.sqrt(1 - carry**2) * float(rng.standard_normal())
        made.append((place * 30.0, 5.0 * float(np.exp(0.1 * level))))
    return made


def planned(readings: list[tuple[float, float]], **scaling: Any) -> list[float]:
    """The rate that is planned for at each reading, from no history on."""
    service = make.service(spec={"workload": {"source": "Prometheus", "window": "1m"}, "scaling": scaling})
    memory, rates = ServiceMemory(uid=""), list[float]()
    for at_seconds, rate in readings:
        choice = choose_demand(
            service, make.found(rate), memory=memory, has_plan=True, at_seconds=at_seconds, lead_seconds=100.0
        )
        memory = replace(
            memory,
            demand=choice.demand,
            had_metrics=True,
            drifting_since=choice.drifting_since,
            falling_since=choice.falling_since,
            forecaster=choice.forecaster,
        )
        rates.append(choice.demand.rate_rps)
    return rates


@pytest.mark.parametrize("mode", ["Auto", "Off"])
@pytest.mark.parametrize("carry", [0.0, 0.8])
def test_noise_of_ten_percent_moves_no_plan_once_it_is_known(carry: float, mode: str) -> None:
    rates = planned(noisy(5.0, 0, carry=carry), forecast={"mode": mode})
    changes = [place for place in range(1, len(rates)) if rates[place] != rates[place - 1]]
    assert len(changes) <= 8
    assert len([place for place in changes if place > 240]) <= 2
    assert np.mean(rates[240:]) < 5.0 * 1.3


@pytest.mark.parametrize("factor", [1.6, 3.0])
def test_a_real_change_amid_noise_waits_for_no_window(factor: float) -> None:
    level = noisy(2.0, 0)
    risen = [(at + 2 * 3600.0, factor * rate) for at, rate in noisy(0.25, 1)]
    rates = planned([*level, *risen])
    steps = 1 if factor == 3.0 else 6
    assert rates[len(level) + steps] > 0.9 * factor * 5.0


@pytest.mark.parametrize("mode", ["Auto", "Off"])
def test_a_ramp_is_followed_before_there_is_a_forecast(mode: str) -> None:
    """No reading of it differs much from the one before, so that none is a change, and the mean stays behind."""
    readings = [(place * 30.0, 4.0 + 12.0 * place / 80.0) for place in range(81)]
    rates = planned(readings, forecast={"mode": mode})
    short = [rate / reading for rate, (at, reading) in zip(rates, readings, strict=True) if at >= 600.0]
    assert min(short) > 0.8


def test_the_lead_time_holds_one_reconcile() -> None:
    seen = forecast_rate(make.service(), 10.0, forecaster=Forecaster(), lead_seconds=60.0, at_seconds=0.0)
    assert seen.lead_seconds == 60.0 + RECONCILE_SECONDS


def test_rounds_tell_what_was_measured_and_a_steady_load_writes_nothing() -> None:
    snapshot = make.snapshot(make.service(spec=LIVE), observations={"llama": make.found(10.0)})
    at_seconds = jumpy()[-1][0] + STEP_SECONDS
    snapshot = replace(snapshot, histories={ServiceKey(make.NAMESPACE, "llama"): jumpy()}, at_seconds=at_seconds)
    steady = settle(snapshot)
    status = steady.snapshot.services[0].status.load
    assert status is not None
    assert status.measured_requests_per_second == "10"
    assert status.forecast_margin_percent is not None
    assert float(status.requests_per_second) > 12.0
    assert steady.gauge("service_measured_request_rate") == 10.0
    assert (steady.gauge("service_request_rate") or 0.0) > 12.0
    assert (steady.gauge("service_forecast_margin_ratio") or 0.0) > 0.0
    for place, rate in enumerate((10.2, 9.9, 10.4, 9.7, 10.0)):
        steady = follow(
            replace(steady, snapshot=replace(steady.snapshot, at_seconds=at_seconds + 60.0 * place, histories={})),
            observations={"llama": make.found(rate)},
        )
        assert is_quiet(steady.decision), rate
        assert steady.gauge("service_measured_request_rate") == rate


def test_a_burst_of_each_day_is_planned_for_and_the_status_says_so() -> None:
    def rate(at: float, window: float) -> float:
        """The mean of the time before, with a burst from 9 to 10 h."""
        since, hour = (at - window) % 86400.0, 3600.0
        inside = max(min(since + window, 10 * hour) - max(since, 9 * hour), 0.0)
        return 6.0 + 12.0 * inside / window

    now = 4 * 86400.0 + 8.95 * 3600.0
    choice = choose_demand(
        make.service(spec=LIVE),
        make.found(6.0),
        memory=ServiceMemory(uid=""),
        has_plan=True,
        at_seconds=now,
        lead_seconds=600.0,
        history=[(at, rate(at, 300.0)) for at in np.arange(now - 2 * 86400.0, now, STEP_SECONDS).tolist()],
        season=[(at, rate(at, 600.0)) for at in np.arange(0.0, now, 600.0).tolist()],
    )
    assert choice.demand.rate_rps >= 15.0
    assert load_status(choice).season == "Daily"
