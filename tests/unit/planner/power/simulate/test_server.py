"""The simulated server: its watts in each phase, and what a lock or a cap does to them and to its speed."""

from __future__ import annotations

import pytest

from medley_planner.power import GpuSetting
from medley_planner.power.simulate.requests import SLOTS
from medley_planner.power.simulate.server import BOARDS, pace


def test_watts_uncapped() -> None:
    free = pace(GpuSetting())
    assert free.prompt_watts == pytest.approx(2200 + 1.02 * 3200)
    assert free.decode_watts[0] == 1500 + 640
    assert free.decode_watts[SLOTS] == pytest.approx(2200 + 0.6 * 3200)
    assert list(free.decode_watts) == sorted(free.decode_watts)
    assert (free.prompt_speed, free.decode_speed) == (1.0, 1.0)


def test_a_lock_costs_prompts_most_of_its_clock_and_decoding_little() -> None:
    locked = pace(GpuSetting(0.787))
    assert locked.prompt_speed == pytest.approx(1 / (0.1 + 0.9 / 0.787))
    assert locked.decode_speed == pytest.approx(1 / (0.82 + 0.18 / 0.787))
    server = pace(GpuSetting()).decode_watts[SLOTS]
    assert locked.decode_watts[SLOTS] / server == pytest.approx(1 - 0.078, abs=0.01)  # as the study's table has it


def test_a_cap_cuts_the_spike_of_a_prompt_and_leaves_decoding_alone() -> None:
    capped = pace(GpuSetting(1.0, 2000.0))
    assert capped.prompt_watts == pytest.approx(2200 + 2000.0)
    assert capped.prompt_speed < 0.7
    assert capped.decode_watts == pace(GpuSetting()).decode_watts
    assert capped.decode_speed == 1.0


def test_no_setting_exceeds_its_cap() -> None:
    for cap in range(800, 3200, 100):
        found = pace(GpuSetting(1.0, float(cap)))
        assert found.prompt_watts <= 2200 + cap + 1e-6
        assert found.decode_watts[SLOTS] <= 2200 + cap + 1e-6
    assert BOARDS.idle_watts < BOARDS.min_cap_watts
