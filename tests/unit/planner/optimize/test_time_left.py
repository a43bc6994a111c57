"""What steps keep back of the deadline for those after them."""

from __future__ import annotations

import pytest

from medley_planner.optimize.time_left import keeping


def test_seconds_are_kept_back_far_from_the_deadline_and_half_of_the_rest_near_it() -> None:
    left = 10.0
    long, short = keeping(lambda: left, 2.0), keeping(lambda: left, 8.0)
    assert (long(), short()) == pytest.approx((8.0, 5.0))
    left = 4.0
    assert (long(), short()) == pytest.approx((2.0, -1.0))
