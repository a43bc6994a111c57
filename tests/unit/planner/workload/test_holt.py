"""The damped trend goes no further than its bound."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from medley_planner.workload.holt import MAX_GROWTH, Trend, damped_units

MINUTE = 60.0


def test_damping_bounds_the_trend() -> None:
    reach = [damped_units(minutes * MINUTE) for minutes in range(0, 600, 10)]
    assert all(a <= b for a, b in pairwise(reach))
    assert reach[1] == pytest.approx(0.8)
    assert reach[-1] <= 4.0
    assert Trend(math.log1p(9.0), slope=50.0).rate_in(3600.0) == pytest.approx(10 * MAX_GROWTH - 1)
