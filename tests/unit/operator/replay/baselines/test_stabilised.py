"""Windows of stabilisation and steps per period, as a HorizontalPodAutoscaler keeps them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from medley_operator.replay.baselines.scalers import HPA_PACE, LAW_PACE
from medley_operator.replay.baselines.stabilised import Pace, Stabilised

FREE = Pace(up_window=0, down_window=0, up_share=10, up_pods=100, up_seconds=15, down_pods=None, down_seconds=15)


def course(pace: Pace, wanted: list[int], *, start: int, every: float = 15.0) -> list[int]:
    held, current, found = Stabilised(pace), start, []
    for at, count in enumerate(wanted):
        current = held.step(at * every, current, count)
        found.append(current)
    return found


def test_without_windows_it_is_what_is_wanted() -> None:
    assert course(FREE, [3, 9, 1], start=2) == [3, 9, 1]


def test_down_waits_until_nothing_within_the_window_wanted_more() -> None:
    found = course(replace(FREE, down_window=60), [5, 2, 2, 2, 2, 2], start=5)
    assert found == [5, 5, 5, 5, 2, 2]


def test_up_waits_until_everything_within_the_window_wanted_more() -> None:
    assert course(replace(FREE, up_window=30), [2, 5, 4, 6], start=2) == [2, 2, 4, 4]


def test_up_takes_so_many_a_period() -> None:
    assert course(replace(FREE, up_share=1.0, up_pods=4, up_seconds=60), [50] * 6, start=2) == [6, 6, 6, 6, 12, 12]


def test_down_takes_so_many_a_period() -> None:
    found = course(replace(FREE, down_pods=1, down_seconds=30), [1] * 6, start=4)
    assert found == [3, 3, 2, 2, 1, 1]


def test_the_default_hpa_falls_only_after_five_minutes() -> None:
    found = course(HPA_PACE, [4] + [1] * 30, start=4)
    assert found.index(1) * 15 == 300


def test_the_law_takes_one_replica_in_two_minutes() -> None:
    found = course(LAW_PACE, [8] + [3] * 40, start=8)
    falls = [at * 15 for at in range(1, len(found)) if found[at] < found[at - 1]]
    assert falls[0] == 180
    assert [later - earlier for earlier, later in pairwise(falls)] == [120] * (len(falls) - 1)
