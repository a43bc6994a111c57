"""The HPA-like rule of the noisy day: ratio, tolerance and the window before a scale-down."""

from __future__ import annotations

import pytest

from tests.perf.baselines.hpa import HpaState, hpa_step


@pytest.mark.parametrize(("load", "replicas"), [(4.0, 5), (4.39, 5), (3.61, 5), (4.5, 6), (8.0, 10)])
def test_follows_the_load_beyond_a_tenth_of_the_target(load: float, replicas: int) -> None:
    assert hpa_step(HpaState(5), load=load, target=0.8, now_seconds=0.0).replicas == replicas


def test_goes_down_only_when_the_window_holds_no_higher_answer() -> None:
    high = hpa_step(HpaState(10), load=8.0, target=0.8, now_seconds=0.0)
    held = hpa_step(high, load=4.0, target=0.8, now_seconds=200.0)
    still = hpa_step(held, load=4.0, target=0.8, now_seconds=300.0)
    down = hpa_step(still, load=4.0, target=0.8, now_seconds=301.0)
    assert [state.replicas for state in (high, held, still, down)] == [10, 10, 10, 5]


def test_never_goes_below_one_replica() -> None:
    assert hpa_step(HpaState(3), load=0.0, target=0.8, now_seconds=0.0).replicas == 1
