"""The load of the simulated row: its size, its day, its mix, and that a seed gives the same requests again."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.model import Priority
from medley_planner.power.simulate.requests import DAY_SECONDS, draw_requests, prompt_seconds, work_by_priority

WEEK = draw_requests(40, days=7, seed=1)


def test_prompts_take_what_was_measured() -> None:
    """BLOOM-176B on eight A100, as public data have it."""
    assert prompt_seconds(np.array([2048.0, 4096.0, 8192.0])) == pytest.approx([0.54, 1.35, 3.6], rel=0.02)


def test_the_load_is_40_to_70_percent_and_less_at_the_weekend() -> None:
    work = sum(work_by_priority().values())
    hour = (WEEK.arrival_seconds // 3600).astype(int)
    load = np.bincount(hour, minlength=7 * 24) / 3600.0 * work / 40.0
    weekdays, weekend = load[: 5 * 24], load[5 * 24 :]
    assert weekdays.max() == pytest.approx(0.70, abs=0.05)
    assert weekdays.min() == pytest.approx(0.40, abs=0.05)
    assert weekend.mean() == pytest.approx(0.9 * weekdays.mean(), rel=0.02)
    assert int(weekdays[:24].argmax()) in range(11, 18)


def test_half_of_the_requests_are_of_high_priority_and_bring_most_of_the_work() -> None:
    assert WEEK.high.mean() == pytest.approx(0.5, abs=0.01)
    work = work_by_priority()
    assert work[Priority.HIGH] / sum(work.values()) == pytest.approx(0.615, abs=0.005)
    mine = WEEK.prompt_seconds + WEEK.decode_seconds / 4
    assert (mine[WEEK.high].sum() / mine.sum()) == pytest.approx(0.615, abs=0.01)


def test_requests_are_in_order_within_the_days_and_equal_for_a_seed() -> None:
    assert np.all(np.diff(WEEK.arrival_seconds) >= 0)
    assert WEEK.arrival_seconds[0] >= 0
    assert WEEK.arrival_seconds[-1] < 7 * DAY_SECONDS
    again, other = draw_requests(40, days=7, seed=1), draw_requests(40, days=7, seed=2)
    assert np.array_equal(again.decode_seconds, WEEK.decode_seconds)
    assert len(other) != len(WEEK)


def test_arrivals_are_burstier_than_poisson() -> None:
    night = WEEK.arrival_seconds[(WEEK.arrival_seconds > 3600) & (WEEK.arrival_seconds < 4 * 3600)]
    counts = np.bincount((night - 3600).astype(int), minlength=3 * 3600)
    assert counts.var() / counts.mean() > 1.3
