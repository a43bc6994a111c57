"""The presets have the published figures; deeper means at least as deep in both the clock and the cap."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import Priority
from medley_planner.power import DEFAULT_PRESET, PRESETS, GpuSetting, Ladder, level_of_clocks

FIGURES = {
    "polca": ((0.80, 0.904, 1.0), (0.89, 0.787, 1.0), (0.89, 0.787, 0.926)),
    "inband": ((0.84, 0.904, 1.0), (0.91, 0.787, 1.0), (0.91, 0.787, 0.926)),
    "ladder5": ((0.80, 0.904, 1.0), (0.87, 0.787, 0.926), (0.91, 0.638, 0.851), (0.95, 0.50, 0.787)),
    "lp-deep": ((0.82, 0.904, 1.0), (0.88, 0.713, 1.0), (0.92, 0.50, 0.926), (0.96, 0.426, 0.787)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_presets_have_these_figures(name: str) -> None:
    levels = PRESETS[name].levels
    assert tuple((each.enter, each.low.clock_fraction, each.high.clock_fraction) for each in levels) == FIGURES[name]


def test_there_are_no_other_presets_and_one_is_the_default() -> None:
    assert PRESETS.keys() == FIGURES.keys()
    assert DEFAULT_PRESET == "inband"


def test_normal_priority_is_half_way() -> None:
    assert PRESETS["lp-deep"].levels[2].setting(Priority.NORMAL) == GpuSetting((0.50 + 0.926) / 2)


def test_the_brake_is_the_last_rung_and_below_the_facilitys() -> None:
    for ladder in PRESETS.values():
        if ladder.brake is not None:
            assert ladder.rungs[-1] is ladder.brake
            assert ladder.levels[-1].enter < ladder.brake.enter < 1.0
            assert ladder.deepest == len(ladder.rungs) - 1


def test_level_0_is_uncapped() -> None:
    assert PRESETS["inband"].setting(0, Priority.LOW) == GpuSetting()


@pytest.mark.parametrize(
    ("one", "other", "deeper"),
    [
        (GpuSetting(0.8), GpuSetting(0.9), GpuSetting(0.8)),
        (GpuSetting(0.8), GpuSetting(0.9, 300.0), GpuSetting(0.8, 300.0)),
        (GpuSetting(1.0, 250.0), GpuSetting(0.5, 300.0), GpuSetting(0.5, 250.0)),
    ],
)
def test_deeper_keeps_both(one: GpuSetting, other: GpuSetting, deeper: GpuSetting) -> None:
    assert one.deeper(other) == other.deeper(one) == deeper
    assert deeper.within(one)
    assert deeper.within(other)


def test_within_is_not_met_by_half() -> None:
    assert not GpuSetting(0.8).within(GpuSetting(0.9, 300.0))
    assert not GpuSetting(1.0, 250.0).within(GpuSetting(0.9, 300.0))


def test_a_cap_stays_at_deeper_levels_that_do_not_repeat_it() -> None:
    levels = (replace(level_of_clocks(0.8, 0.9, 1.0), low=GpuSetting(0.9, 300.0)), level_of_clocks(0.9, 0.7, 1.0))
    ladder = Ladder("own", levels, brake=level_of_clocks(0.98, 0.4, 0.4))
    assert [ladder.setting(level, Priority.LOW) for level in (1, 2, 3)] == [
        GpuSetting(0.9, 300.0),
        GpuSetting(0.7, 300.0),
        GpuSetting(0.4, 300.0),
    ]
    assert ladder.setting(3, Priority.HIGH) == GpuSetting(0.4)
