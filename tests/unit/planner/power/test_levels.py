"""The level of one domain: up at once, back one at a time after the dwell, blind to the safe level."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.power import CappedDomain, DomainState, LevelReason
from medley_planner.power.levels import START, Pressure, next_state, on_ladder
from tests.unit.planner.power.small import domain

LADDER5 = domain(preset="ladder5")
POLCA_IN_BAND = domain(preset="inband")


def after(
    given: CappedDomain, *readings: tuple[float, float | None], start: DomainState = START, own: float | None = None
) -> DomainState:
    """The state after readings (seconds, pressure). `own`: the pressure on the domain's own budget, if another."""
    state = start
    for now, part in readings:
        pressure = None if part is None else Pressure(part, part if own is None else own)
        state = next_state(given, state, pressure, now)
    return state


@pytest.mark.parametrize(("pressure", "level"), [(0.80, 0), (0.801, 1), (0.88, 2), (0.92, 3), (0.96, 4), (0.99, 5)])
def test_levels_are_jumped_over(pressure: float, level: int) -> None:
    assert after(LADDER5, (0.0, pressure)).level == level


def test_levels_of_equal_entry_are_entered_one_by_one() -> None:
    """The second one only when a reading shows what the first did: after telemetry and actuation, 3 s here."""
    assert after(POLCA_IN_BAND, (0.0, 0.93)).level == 2
    waiting = after(POLCA_IN_BAND, (0.0, 0.93), (2.0, 0.93))
    assert (waiting.level, waiting.reason) == (2, LevelReason.SETTLING)
    assert after(POLCA_IN_BAND, (0.0, 0.93), (3.0, 0.93)).level == 3
    assert after(POLCA_IN_BAND, (0.0, 0.93), (3.0, 0.90), (60.0, 0.90)).level == 2


def test_the_brake_waits_for_nothing() -> None:
    assert after(POLCA_IN_BAND, (0.0, 0.93), (1.0, 0.99)).level == 4


@pytest.mark.parametrize(
    ("seconds", "pressure", "level"), [(60.0, 0.859, 3), (59.0, 0.5, 4), (600.0, 0.9, 4), (60.0, 0.5, 3)]
)
def test_a_level_is_left_below_the_gap_and_after_the_dwell(seconds: float, pressure: float, level: int) -> None:
    """Level 4 is entered at 0.95."""
    assert after(LADDER5, (0.0, 0.96), (seconds, pressure)).level == level


def test_levels_are_left_one_at_a_time() -> None:
    readings = [(float(second), 0.5) for second in range(1, 400)]
    levels = [after(LADDER5, (0.0, 0.96), *readings[:end]).level for end in range(0, 400, 10)]
    assert levels == sorted(levels, reverse=True)
    assert [levels.count(each) for each in (3, 2, 1)] == [6, 6, 6]
    assert levels[-1] == 0


def test_a_blind_domain_goes_to_the_deepest_level_and_is_safe() -> None:
    state = after(LADDER5, (0.0, 0.5), (1.0, None))
    assert (state.level, state.safe, state.reason) == (4, True, LevelReason.BLIND)


def test_a_blind_domain_goes_to_the_safe_level_that_was_chosen_and_never_back() -> None:
    chosen = replace(LADDER5, safe_level=2)
    assert after(chosen, (0.0, 0.5), (1.0, None)).level == 2
    assert after(chosen, (0.0, 0.96), (1.0, None)).level == 4
    assert after(chosen, (0.0, 0.99), (1.0, None)).level == 5


def test_the_dwell_begins_when_a_domain_sees_again() -> None:
    """The safe settings are the first to go, then levels."""
    blind = after(LADDER5, *((float(second), None) for second in range(300)))
    assert after(LADDER5, (300.0, 0.5), (358.0, 0.5), start=blind).safe
    once = after(LADDER5, (359.0, 0.5), start=blind)
    assert (once.level, once.safe, once.reason) == (4, False, LevelReason.LOWERED)
    assert after(LADDER5, (420.0, 0.5), start=once).level == 3


def test_what_is_not_released_yet_stays_safe_when_power_rises_again() -> None:
    blind = after(LADDER5, (0.0, None))
    released = after(LADDER5, (60.0, 0.5), start=blind)
    assert not released.safe
    assert after(LADDER5, (70.0, 0.99), start=released).safe
    assert not after(LADDER5, (95.0, 0.99), start=released).safe  # the ramp is over


def test_a_curtailment_does_not_reach_the_brake() -> None:
    assert after(LADDER5, (0.0, 1.2), own=0.9).level == 4
    assert after(LADDER5, (0.0, 1.2), own=0.99).level == 5


def test_the_brake_is_left_by_the_domains_own_pressure() -> None:
    braked = after(LADDER5, (0.0, 0.99))
    assert after(LADDER5, (60.0, 1.2), start=braked, own=0.9).level == 4
    assert after(LADDER5, (60.0, 1.2), start=braked, own=0.94).level == 5


def test_a_shorter_ladder_takes_the_state_over() -> None:
    braked = after(LADDER5, (0.0, 0.99))
    ladder = domain(preset="polca").ladder
    assert on_ladder(ladder, braked).level == 3
    assert on_ladder(LADDER5.ladder, braked) is braked
