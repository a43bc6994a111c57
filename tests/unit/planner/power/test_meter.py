"""Which answers of a meter count, what is held and why, and what the history of rises derives."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from medley_planner.power import MeterAnswer, MeterState, RiseHistory, derived_entry, entry_warning
from medley_planner.power.meter import read, stale
from tests.unit.planner.power.small import domain

ROW = domain()
BOUNDS = (5040.0, 7600.0)


def after(*answers: tuple[float, MeterAnswer | None], start: MeterState | None = None) -> MeterState:
    state = start
    for now, answer in answers:
        state = read(ROW, BOUNDS, state, answer, now)
    assert state is not None
    return state


def watts(value: float, at: float) -> tuple[float, MeterAnswer]:
    return at, MeterAnswer((value,), at)


def test_a_good_reading_counts_and_lasts_its_time() -> None:
    state = after(watts(6000.0, 1.0))
    assert (state.watts, state.at_seconds, state.held) == (6000.0, 1.0, None)
    assert not stale(ROW, state, 11.0)
    assert stale(ROW, state, 11.5)


def test_a_meter_that_never_answered_has_its_time_too() -> None:
    state = after((100.0, None))
    assert math.isnan(state.watts)
    assert not stale(ROW, state, 110.0)
    assert stale(ROW, state, 111.0)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (MeterAnswer((), 2.0), "MeterEmpty", "spec.meter.query is 0"),
        (MeterAnswer((3000.0, 3000.0), 2.0), "MeterAmbiguous", "answers 2 series"),
        (MeterAnswer((60000.0,), 2.0), "MeterImplausible", "60000"),
        (MeterAnswer((600.0,), 2.0), "MeterImplausible", "1260 to 9500 W"),
        (MeterAnswer((6.0,), 2.0), "MeterImplausible", "watts of this domain"),
        (MeterAnswer((math.nan,), 2.0), "MeterImplausible", "NaN"),
        (MeterAnswer((-6000.0,), 2.0), "MeterImplausible", "-6000"),
        (MeterAnswer((6000.0,), 60.0), "MeterAhead", "clock"),
        (MeterAnswer((6000.0,), math.nan), "MeterAhead", "NaN"),
    ],
)
def test_what_cannot_be_believed_is_held_with_its_reason(answer: MeterAnswer, reason: str, words: str) -> None:
    state = after(watts(6000.0, 1.0), (2.0, answer))
    assert (state.watts, state.at_seconds) == (6000.0, 1.0)
    assert state.held is not None
    assert state.held.reason == reason
    assert state.held.message.startswith("power domain row: ")
    assert words in state.held.message
    assert after(watts(6100.0, 3.0), start=state) == MeterState(6100.0, 3.0)


def test_a_fall_by_more_than_half_counts_when_three_readings_agree() -> None:
    state = after(watts(6000.0, 1.0), watts(2500.0, 2.0), watts(2550.0, 3.0))
    assert state.held is not None
    assert state.held.reason == "MeterFell"
    assert state.watts == 6000.0
    assert after(watts(2500.0, 4.0), start=state).watts == 2500.0
    assert after(watts(5900.0, 4.0), start=state) == MeterState(5900.0, 4.0)


def test_one_reading_seen_three_times_confirms_nothing() -> None:
    again = MeterAnswer((2500.0,), 2.0)
    assert after(watts(6000.0, 1.0), (2.0, again), (3.0, again), (4.0, again)).watts == 6000.0


def test_readings_after_a_fall_that_disagree_start_again() -> None:
    state = after(watts(6000.0, 1.0), watts(2900.0, 2.0), watts(1500.0, 3.0), watts(2900.0, 4.0), watts(2900.0, 5.0))
    assert state.watts == 6000.0


def test_an_older_reading_changes_nothing() -> None:
    state = after(watts(6000.0, 5.0))
    assert after((6.0, MeterAnswer((7000.0,), 4.0)), start=state) == state


def history(values: list[float], *, span: float = 3.0, every: float = 1.0) -> RiseHistory:
    found = RiseHistory(span)
    for index, value in enumerate(values):
        found = found.observe(value, index * every)
    return found


def test_the_largest_rise_is_that_of_any_pair_within_the_span() -> None:
    values = list(np.random.default_rng(1).uniform(0.5, 0.9, size=500))
    slow = max(b - a for i, a in enumerate(values) for b in values[i : i + 4])
    assert history(values).rise == pytest.approx(slow)
    assert history([0.9, 0.8, 0.7]).rise == 0.0
    assert history([0.6, 0.7, 0.7, 0.7, 0.75], span=3.0).rise == pytest.approx(0.10)


def test_a_rise_is_forgotten_after_seven_days() -> None:
    found = history([0.5, 0.7]).observe(0.6, 6 * 86400.0)
    assert found.rise == pytest.approx(0.2)
    assert found.observe(0.6, 7 * 86400.0).rise == 0.0
    assert len(found.largest) == 2


def test_t2_is_derived_and_a_later_one_warned_of() -> None:
    found = history([0.6, 0.72])
    inband = domain(preset="inband")
    assert derived_entry(inband, found) == pytest.approx(0.88)
    assert derived_entry(replace(inband, meter_error=0.05), found) == pytest.approx(0.83)
    warning = entry_warning(inband, found)
    assert warning is not None
    assert "0.91" in warning
    assert "0.88" in warning
    assert entry_warning(domain(preset="ladder5"), found) is None
