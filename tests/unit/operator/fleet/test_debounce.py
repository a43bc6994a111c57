"""When a round starts: after the events pause, never long after the first, and at the latest at the resync."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.fleet.backoff import LONGEST_SECONDS, delay_seconds
from medley_operator.fleet.debounce import Batch, Debounce


def make(started_at: float = 100.0) -> Debounce:
    return Debounce(idle_seconds=0.25, max_seconds=1.0, resync_seconds=30.0, started_at=started_at)


def test_first_round_is_due_at_once() -> None:
    debounce = make()
    assert debounce.seconds_until_due(100.0) == 0.0
    assert debounce.take(100.0) == Batch(reasons={"resync": 1}, first_event_at=None)


def test_without_events_only_the_resync_is_due() -> None:
    debounce = make()
    debounce.take(100.0)
    assert debounce.seconds_until_due(110.0) == 20.0
    assert debounce.seconds_until_due(131.0) == 0.0


def test_a_lone_event_waits_for_the_idle_time() -> None:
    debounce = make()
    debounce.take(100.0)
    debounce.mark("Node", now=105.0)
    assert debounce.seconds_until_due(105.0) == pytest.approx(0.25)
    assert debounce.seconds_until_due(105.25) == 0.0
    assert debounce.take(105.3) == Batch(reasons={"Node": 1}, first_event_at=105.0)


def test_a_stream_of_events_cannot_delay_a_round_beyond_the_maximum() -> None:
    debounce = make()
    debounce.take(100.0)
    for tenth in range(10):
        debounce.mark("Deployment", now=105.0 + tenth / 10)
    assert debounce.seconds_until_due(105.9) == pytest.approx(0.1)
    assert debounce.take(106.0).reasons == {"Deployment": 10}


def test_an_event_that_is_told_late_keeps_its_own_time() -> None:
    debounce = make()
    debounce.take(100.0)
    debounce.mark("Node", now=105.0)
    debounce.mark("Node", now=104.9)
    assert debounce.seconds_until_due(105.0) == pytest.approx(0.25)


def test_a_retry_is_due_before_the_resync_and_only_once() -> None:
    debounce = make()
    debounce.take(100.0)
    debounce.retry_in(2.0, now=100.5)
    assert debounce.seconds_until_due(100.5) == 2.0
    assert debounce.take(102.5) == Batch(reasons={"retry": 1}, first_event_at=None)
    assert debounce.seconds_until_due(102.5) == 30.0


@given(st.lists(st.floats(min_value=0.0, max_value=5.0), min_size=1, max_size=30))
def test_no_event_waits_longer_than_the_maximum(gaps: list[float]) -> None:
    debounce = make(started_at=0.0)
    debounce.take(0.0)
    now, first = 0.0, None
    for gap in gaps:
        now += gap
        if first is not None and debounce.seconds_until_due(now) == 0.0:
            debounce.take(now)
            first = None
        debounce.mark("x", now=now)
        first = now if first is None else first
        assert now + debounce.seconds_until_due(now) <= max(now, first + 1.0) + 1e-9


def test_delays_double_up_to_a_bound() -> None:
    assert [delay_seconds(failures) for failures in (0, 1, 2, 3, 4, 5, 6, 1000)] == [1, 1, 2, 4, 8, 16, 30, 30]
    assert LONGEST_SECONDS == 30.0
