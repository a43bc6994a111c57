"""The demand of a service round after round: forecast, kept through noise and silence, never lost with the metrics."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_planner.workload import Forecaster
from tests.unit.operator import factories as make
from tests.unit.operator.domain.load.test_planned_rate import LIVE, STEP_SECONDS, jumpy

OFF: dict[str, Any] = {**LIVE, "scaling": {"forecast": {"mode": "Off"}}}


IDLE = Observation(reason=MetricsReason.FOUND, message="no request in the last 300 s")


def rising(count: int = 60) -> tuple[tuple[float, float], ...]:
    return tuple((place * STEP_SECONDS, 10.0 * 1.02**place) for place in range(count))


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
    assert rates[99] >= 10.0 * 4 / 3


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


def test_a_small_change_that_stays_is_followed_after_two_windows_and_a_short_one_is_not() -> None:
    service = make.service(spec={"workload": {"source": "Prometheus", "window": "60s"}})
    memory = ServiceMemory(uid=service.metadata.uid, demand=make.demand(0.5), had_metrics=True)
    followed = []
    # 0.6 requests/s over 60 s are 36 requests: 20 % more is well within their noise.
    for at_seconds, rate_rps in ((0.0, 0.6), (60.0, 0.5), (90.0, 0.6), (150.0, 0.6), (209.0, 0.6), (210.0, 0.6)):
        choice = choose_demand(service, make.found(rate_rps), memory=memory, has_plan=True, at_seconds=at_seconds)
        followed.append(choice.demand.rate_rps)
        memory = replace(memory, demand=choice.demand, drifting_since=choice.drifting_since)
    assert followed == [0.5, 0.5, 0.5, 0.5, 0.5, 0.6]
