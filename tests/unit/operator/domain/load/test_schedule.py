"""Known events: which is in force when, what a rate is without them, and a plan that is there when one begins."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.load.planned_rate import RECONCILE_SECONDS
from medley_operator.domain.load.schedule import LATE_SECONDS, LoadSchedule
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.memories import ServiceMemory
from tests.unit.operator import factories as make

NOON = unix_seconds("2026-11-30T12:00:00Z") or 0.0
HOUR, DAY = 3600.0, 86400.0
SALE = {"name": "sale", "start": "2026-11-30T12:00:00Z", "end": "2026-11-30T14:00:00Z", "factor": "3"}
NIGHT = {"start": "2026-11-23T22:00:00Z", "end": "2026-11-24T04:00:00Z", "factor": "0.5", "repeat": "Daily"}
MONDAY = {"start": "2026-11-16T15:00:00Z", "end": "2026-11-16T16:00:00Z", "factor": "2", "repeat": "Weekly"}
LEAD = 270.0
STEP = 30.0


def schedule(*events: dict[str, str], at_seconds: float = NOON) -> LoadSchedule:
    """With a clock that shows `at_seconds` at noon."""
    spec = {"workload": {"schedule": list(events)}}
    return LoadSchedule.of(make.service(spec=spec), at_seconds=at_seconds, unix_seconds=NOON)


def test_factors_of_events_that_come_once_each_day_and_each_week() -> None:
    known = schedule(SALE, NIGHT, MONDAY)
    hours = {-1.0: 1.0, 0.0: 3.0, 1.9: 3.0, 2.0: 1.0, 3.0: 2.0, 4.0: 1.0, 10.0: 0.5, 15.9: 0.5, 16.0: 1.0, 34.0: 0.5}
    assert {hour: known.factor_at(NOON + hour * HOUR) for hour in hours} == hours
    assert known.factor_at(NOON + 7 * DAY) == 1.0
    assert known.factor_at(NOON + 7 * DAY + 3 * HOUR) == 2.0
    assert known.factor_at(NOON - 15 * DAY) == 1.0  # before the first ones


def test_the_most_factor_of_a_time_counts_every_part_of_it() -> None:
    known = schedule(SALE, NIGHT)
    assert known.most_factor(NOON - HOUR, NOON - 1.0) == 1.0
    assert known.most_factor(NOON - HOUR, NOON) == 3.0
    assert known.most_factor(NOON + HOUR, NOON + 5 * HOUR) == 3.0
    assert known.most_factor(NOON + 11 * HOUR, NOON + 12 * HOUR) == 0.5
    assert known.most_factor(NOON + 11 * HOUR, NOON + 17 * HOUR) == 1.0


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (SALE, {**SALE, "start": "2026-11-30T14:00:00Z", "end": "2026-11-30T15:00:00Z"}, False),
        (SALE, {**SALE, "start": "2026-11-30T13:59:59Z", "end": "2026-11-30T15:00:00Z"}, True),
        (SALE, NIGHT, False),
        (NIGHT, {**SALE, "end": "2026-11-30T22:00:00Z"}, False),
        (NIGHT, {**SALE, "end": "2026-11-30T22:00:01Z"}, True),
        (NIGHT, {**SALE, "start": "2026-11-23T02:00:00Z", "end": "2026-11-23T03:00:00Z"}, False),  # before the first
        (NIGHT, {**SALE, "start": "2026-11-30T03:00:00Z", "end": "2026-11-30T05:00:00Z"}, True),
        (NIGHT, MONDAY, False),
        (NIGHT, {**MONDAY, "end": "2026-11-16T22:00:01Z"}, True),
        (NIGHT, {**MONDAY, "end": "2026-11-18T15:00:00Z"}, True),
        (MONDAY, {**MONDAY, "start": "2026-11-17T15:00:00Z", "end": "2026-11-17T16:00:00Z"}, False),
        (MONDAY, {**MONDAY, "start": "2027-01-11T15:30:00Z", "end": "2027-01-11T16:30:00Z"}, True),
    ],
)
def test_events_that_meet_contradict_each_other(one: dict[str, str], other: dict[str, str], meet: bool) -> None:
    assert (schedule(one, other).contradiction() == (0, 1)) is meet
    assert (schedule(other, one).contradiction() == (0, 1)) is meet


@given(st.floats(-30 * DAY, 30 * DAY), st.floats(1.0, 3 * DAY))
def test_edges_are_where_the_factor_changes(start: float, seconds: float) -> None:
    known = schedule(SALE, NIGHT, MONDAY, at_seconds=0.0)
    times = (start, *known._edges(start, start + seconds), start + seconds)
    for a, b in pairwise(times):
        middle = (a + b) / 2
        assert known.factor_at(middle) == known.factor_at(a) or b - a < 1e-6


def test_a_rate_is_known_without_an_event_but_near_its_edges() -> None:
    known = schedule(SALE, at_seconds=0.0)

    def usual(at: float, kept_at: float | None = None) -> float:
        return known.usual_rps(12.0, at, window_seconds=300.0, kept_at=at if kept_at is None else kept_at)

    near = [at for at in range(-3600, 4 * 3600, 60) if usual(at) != usual(at)]
    assert near == [*range(-600, 900, 60), *range(6600, 8100, 60)]
    assert usual(-601.0) == 12.0
    assert usual(901.0) == 4.0
    # What was kept long ago does not count: then the window's part in the event is taken out.
    assert usual(100.0, kept_at=-4000.0) == pytest.approx(12.0 * 300 / (200 + 3 * 100))


def test_the_status_says_what_is_in_force_and_what_comes_next() -> None:
    known = schedule(SALE, MONDAY, at_seconds=0.0)
    before, within = known.status(-60.0), known.status(60.0)
    assert before is not None
    assert within is not None
    assert (before.event, before.next_event, before.next_factor) == (None, "sale", "3")
    assert before.next_at == "2026-11-30T12:00:00Z"
    assert (within.event, within.factor, within.until) == ("sale", "3", "2026-11-30T14:00:00Z")
    assert (within.next_event, within.next_at) == ("schedule[1]", "2026-11-30T15:00:00Z")
    assert schedule(SALE).status(NOON + 3 * HOUR) is None
    assert schedule().status(NOON) is None


def planned(rates: dict[float, float], known: LoadSchedule, **spec: Any) -> dict[float, float]:
    """The rate planned for at each time, where `rates` has the measured rate from each time on."""
    workload = {"source": "Prometheus", "window": "5m"}
    service = make.service(spec={"workload": workload, **spec})
    memory, found = ServiceMemory(uid=""), dict[float, float]()
    times = sorted(rates)
    at_seconds = times[0]
    while at_seconds <= times[-1]:
        rate = rates[max(at for at in times if at <= at_seconds)]
        choice = choose_demand(
            service,
            make.found(rate),
            memory=memory,
            has_plan=True,
            at_seconds=at_seconds,
            lead_seconds=LEAD,
            schedule=known,
        )
        memory = replace(
            memory,
            demand=choice.demand,
            had_metrics=True,
            drifting_since=choice.drifting_since,
            falling_since=choice.falling_since,
            forecaster=choice.forecaster,
        )
        found[at_seconds] = choice.demand.rate_rps
        at_seconds += STEP
    return found


AHEAD = LEAD + RECONCILE_SECONDS


@pytest.mark.parametrize("mode", ["Auto", "Off"])
def test_the_plan_has_an_event_a_lead_time_before_it_begins_and_leaves_it_when_it_is_over(mode: str) -> None:
    rates = {-3 * HOUR: 4.0, 0.0: 12.0, 2 * HOUR: 4.0, 4 * HOUR: 4.0}
    found = planned(rates, schedule(SALE, at_seconds=0.0), scaling={"forecast": {"mode": mode}})
    usual = found[-AHEAD - STEP]
    assert 4.0 <= usual < 5.0
    assert found[-AHEAD] == pytest.approx(3 * usual)
    assert min(rate for at, rate in found.items() if -AHEAD <= at < 2 * HOUR) >= 12.0
    assert max(found.values()) == pytest.approx(3 * usual, rel=0.1)
    assert found[2 * HOUR + 4 * AHEAD] == pytest.approx(usual, rel=0.1)


def test_an_event_that_is_a_little_late_keeps_its_plan_and_one_that_does_not_come_loses_it() -> None:
    known = schedule(SALE, at_seconds=0.0)
    late = planned({-3 * HOUR: 4.0, LATE_SECONDS: 12.0, HOUR: 12.0}, known)
    assert min(rate for at, rate in late.items() if at >= -AHEAD) >= 12.0
    never = planned({-3 * HOUR: 4.0, 4 * HOUR: 4.0}, known)
    assert never[LATE_SECONDS] >= 12.0
    assert max(rate for at, rate in never.items() if at > HOUR) < 6.0


def test_an_event_that_begins_early_does_not_count_twice() -> None:
    early = planned({-3 * HOUR: 4.0, -LATE_SECONDS + STEP: 12.0, 2 * HOUR: 12.0}, schedule(SALE, at_seconds=0.0))
    assert max(early.values()) < 16.0


def test_an_event_leaves_no_jump_in_the_history() -> None:
    daily = {**SALE, "start": "2026-11-28T12:00:00Z", "end": "2026-11-28T14:00:00Z", "repeat": "Daily"}
    known = schedule(daily, at_seconds=0.0)
    history = [(at, 4.0 * known.factor_at(at - 150.0)) for at in range(-40 * 3600, -3600, 120)]

    usual = known.usual_history(history, window_seconds=300.0)
    assert {rate for _, rate in usual} == {4.0}
    assert len(history) - len(usual) == 2 * 13  # 1,500 s at each edge
    assert {rate for _, rate in history} == {4.0, 12.0}
    choice = choose_demand(
        make.service(spec={"workload": {"source": "Prometheus"}}),
        make.found(4.0),
        memory=ServiceMemory(uid=""),
        has_plan=False,
        at_seconds=-3600.0,
        lead_seconds=LEAD,
        history=history,
        schedule=known,
    )
    assert len(choice.forecaster) == len(usual) + 1
    assert choice.demand.rate_rps == pytest.approx(4.0)


def test_a_static_load_has_events_too_and_a_load_of_nothing_has_none() -> None:
    def rate(at: float, **workload: Any) -> float:
        return choose_demand(
            make.service(spec={"workload": workload}),
            None,
            memory=ServiceMemory(uid=""),
            has_plan=False,
            at_seconds=at,
            lead_seconds=LEAD,
            schedule=schedule(SALE, at_seconds=0.0),
        ).demand.rate_rps

    static = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "2"}}
    assert [rate(at, **static) for at in (-AHEAD - 1, -AHEAD, 0.0, 2 * HOUR)] == [2.0, 6.0, 6.0, 2.0]
    assert rate(0.0) == 0.0
