"""A plan is for when its replicas serve: it rises ahead of the load, and falls when the load will not come back."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.load.planned_rate import RECONCILE_SECONDS, Outlook, look_ahead
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation, ServiceMemory
from medley_planner.workload import Forecast, Forecaster, Method
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import follow, is_quiet, settle

LIVE: dict[str, Any] = {"workload": {"source": "Prometheus"}}
OFF: dict[str, Any] = {**LIVE, "scaling": {"forecast": {"mode": "Off"}}}
STEP_SECONDS = 120.0
IDLE = Observation(reason=MetricsReason.FOUND, message="no request in the last 300 s")


def rising(count: int = 60) -> tuple[tuple[float, float], ...]:
    return tuple((place * STEP_SECONDS, 10.0 * 1.02**place) for place in range(count))


def jumpy(count: int = 200) -> tuple[tuple[float, float], ...]:
    """A rate that swings by a third, up and down in turns of six minutes."""
    return tuple((place * STEP_SECONDS, 10.0 * (1 + (place // 3 % 2) / 3)) for place in range(count))


def forecast(upper_rps: float) -> Forecast:
    return Forecast(upper_rps, 0.0, upper_rps, Method.LAST, 99)


def outlook(measured: float, at_lead: float | None = None, at_twice: float | None = None) -> Outlook:
    return Outlook(
        measured_rps=measured,
        lead_seconds=150.0,
        at_seconds=0.0,
        forecaster=Forecaster(),
        at_lead=forecast(at_lead) if at_lead is not None else None,
        at_twice=forecast(at_twice) if at_twice is not None else None,
    )


@pytest.mark.parametrize(
    ("seen", "planned", "rate"),
    [
        (outlook(10.0), None, 10.0),
        (outlook(10.0), 14.0, 10.0),
        (outlook(10.0, 12.0, 13.0), None, 12.0),
        (outlook(10.0, 12.0, 13.0), 11.0, 12.0),
        (outlook(10.0, 12.0, 13.0), 12.5, 12.5),
        (outlook(10.0, 12.0, 13.0), 20.0, 13.0),
        (outlook(10.0, 6.0, 5.0), None, 10.0),
        (outlook(10.0, 6.0, 5.0), 20.0, 10.0),
        (outlook(10.0, 8.0, 15.0), 20.0, 15.0),
    ],
)
def test_up_for_the_lead_time_down_below_the_most_of_two(seen: Outlook, planned: float | None, rate: float) -> None:
    assert seen.target(planned, falling_since=-300.0).rate_rps == rate


def test_a_plan_falls_after_two_lead_times_without_a_break() -> None:
    high, low = outlook(10.0, 12.0, 19.0), outlook(10.0, 12.0, 13.0)
    since: float | None = None
    rates = []
    for at_seconds, seen in ((0, low), (100, low), (200, high), (300, low), (599, low), (600, low), (601, low)):
        target = replace(seen, at_seconds=float(at_seconds)).target(20.0, falling_since=since)
        since = target.falling_since
        rates.append(target.rate_rps)
    assert rates == [20.0, 20.0, 19.0, 20.0, 20.0, 13.0, 13.0]
    # Without a forecast what is measured counts at once, as it always did.
    assert outlook(10.0).target(20.0, falling_since=None).rate_rps == 10.0


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_never_less_than_measured_and_a_plan_in_between_stays(a: float, b: float, c: float, planned: float) -> None:
    seen = outlook(a, b, c)
    rate = seen.target(planned, falling_since=-300.0).rate_rps
    assert a <= seen.needed_rps <= rate <= seen.kept_rps
    assert seen.target(rate, falling_since=None).rate_rps == rate


def choose(history: tuple[tuple[float, float], ...], rate: float, *, lead: float = 120.0, spec: Any = None) -> Any:
    service = make.service(spec=spec or LIVE)
    return choose_demand(
        service,
        make.found(rate),
        memory=ServiceMemory(uid=service.metadata.uid),
        has_plan=True,
        at_seconds=history[-1][0] + STEP_SECONDS,
        lead_seconds=lead,
        history=history,
    )


def test_a_rise_is_planned_for_where_it_will_be() -> None:
    history = rising()
    now = 10.0 * 1.02**60
    choice = choose(history, now)
    assert choice.demand.rate_rps > now * 1.01
    assert choice.basis.measured_rps == now
    later = choose(history, now, lead=900.0)
    assert later.demand.rate_rps > choice.demand.rate_rps


def test_off_and_a_short_history_plan_what_is_measured() -> None:
    assert choose(rising(), 33.0, spec=OFF).demand.rate_rps == 33.0
    short = choose(rising(10), 33.0)
    assert (short.demand.rate_rps, short.basis.forecast_margin) == (33.0, None)


def test_the_quantile_asked_for_decides_the_margin() -> None:
    rates = {
        percent: choose(
            jumpy(), 10.0, spec={**LIVE, "scaling": {"forecast": {"quantilePercent": percent}}}
        ).demand.rate_rps
        for percent in (50, 90, 99)
    }
    assert rates[50] < rates[90] <= rates[99]
    assert rates[99] == pytest.approx(10.0 * 4 / 3, rel=0.01)


def test_the_lead_time_holds_one_reconcile() -> None:
    seen = look_ahead(make.service(), 10.0, forecaster=Forecaster(), lead_seconds=60.0, at_seconds=0.0)
    assert seen.lead_seconds == 60.0 + RECONCILE_SECONDS


def test_swings_within_the_margin_move_no_plan() -> None:
    service = make.service(spec=LIVE)
    memory = ServiceMemory(uid=service.metadata.uid)
    history, planned = jumpy(600), []
    forecaster = Forecaster().with_samples(history[:300])
    memory = replace(memory, forecaster=forecaster, had_metrics=True)
    for at_seconds, rate in history[300:]:
        choice = choose_demand(
            service, make.found(rate), memory=memory, has_plan=True, at_seconds=at_seconds, lead_seconds=240.0
        )
        memory = replace(memory, demand=choice.demand, forecaster=choice.forecaster, basis=choice.basis)
        memory = replace(memory, falling_since=choice.falling_since)
        planned.append(choice.demand.rate_rps)
    # The first swing up finds the plan that a swing down began with.
    assert len(set(planned[5:])) == 1


@pytest.mark.parametrize("rate_rps", [1.0, 5.0, 24.0])
def test_steady_poisson_traffic_is_planned_for_once_or_twice_in_six_hours(rate_rps: float) -> None:
    """Rounds of 30 s over windows of 5 minutes, the forecast taking over after the first hour."""
    rounds, window = 720, 10
    arrivals = np.random.default_rng(1).poisson(rate_rps * 30.0, size=rounds + window)
    service = make.service(spec=LIVE)
    memory, planned = ServiceMemory(uid=service.metadata.uid), []
    for place in range(rounds):
        measured = float(arrivals[place : place + window].sum()) / (30.0 * window)
        choice = choose_demand(
            service, make.found(measured), memory=memory, has_plan=True, at_seconds=30.0 * place, lead_seconds=120.0
        )
        memory = ServiceMemory(
            uid=service.metadata.uid,
            demand=choice.demand,
            had_metrics=True,
            drifting_since=choice.drifting_since,
            falling_since=choice.falling_since,
            forecaster=choice.forecaster,
        )
        planned.append(choice.demand.rate_rps)
    assert choice.now is not None
    assert choice.now.forecast_margin is not None
    assert len(set(planned)) <= 2
    assert planned[-1] == pytest.approx(rate_rps, rel=0.25)


def test_a_short_silence_keeps_the_plan_and_a_long_one_ends_it() -> None:
    service = make.service(spec=LIVE)
    memory = ServiceMemory(
        uid=service.metadata.uid,
        demand=make.demand(12.0),
        had_metrics=True,
        forecaster=Forecaster().with_samples(jumpy()),
    )
    last_at = jumpy()[-1][0]
    for after, rate in ((60.0, 12.0), (299.0, 12.0), (301.0, 0.0)):
        choice = choose_demand(
            service, IDLE, memory=memory, has_plan=True, at_seconds=last_at + after, lead_seconds=120.0
        )
        assert choice.demand.rate_rps == rate, after


@pytest.mark.parametrize("observation", [None, make.lost(), make.found(math.nan)])
def test_rates_that_were_seen_outlive_a_round_without_any(observation: Observation | None) -> None:
    service = make.service(spec=LIVE)
    known = Forecaster().with_samples(jumpy())
    memory = ServiceMemory(uid=service.metadata.uid, demand=make.demand(12.0), had_metrics=True, forecaster=known)
    choice = choose_demand(service, observation, memory=memory, has_plan=True, at_seconds=1e6, lead_seconds=120.0)
    assert choice.forecaster == known


def test_history_that_comes_while_metrics_are_lost_is_kept() -> None:
    service = make.service(spec=LIVE)
    choice = choose_demand(
        service,
        make.lost(),
        memory=ServiceMemory(uid=service.metadata.uid),
        has_plan=True,
        at_seconds=1e6,
        history=jumpy(),
    )
    assert choice.forecaster == Forecaster().with_samples(jumpy())


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
    (gauges,) = steady.decision.gauges
    assert (gauges.measured_rps, gauges.rate_rps > 12.0) == (10.0, True)
    for place, rate in enumerate((10.2, 9.9, 10.4, 9.7, 10.0)):
        steady = follow(
            replace(steady, snapshot=replace(steady.snapshot, at_seconds=at_seconds + 60.0 * place, histories={})),
            observations={"llama": make.found(rate)},
        )
        assert is_quiet(steady.decision), rate
        assert steady.decision.gauges[0].measured_rps == rate
