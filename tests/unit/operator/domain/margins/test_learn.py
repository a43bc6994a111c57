"""How margins move: slowly down on evidence, at once up, within bounds, and not by noise."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.domain.margins.learn import (
    MOST_GROWTH,
    QUEUE_GROWTH,
    REMEMBERED_SECONDS,
    SHRINK,
    SHRINK_WINDOWS,
    WindowFacts,
    after_window,
)
from medley_operator.domain.values.margins import LatencyCounts, Margin
from medley_planner.capacity import LatencyTargets

TARGETS = LatencyTargets(1.0, 0.05, 95.0)
START = Margin(0.3, "calibrated")
LEAST, MOST = 0.05, 1.0


def counts(kept: float, requests: float = 300.0, *, tpot: bool = True) -> LatencyCounts:
    """That share of the requests met both targets; the others missed that of TPOT by 20 %, or of TTFT."""
    good = kept * requests
    short = ((0.05, good), (0.06, requests), (math.inf, requests))
    first = ((1.0, good), (2.5, requests), (math.inf, requests))
    whole = ((0.05, requests), (math.inf, requests))
    return LatencyCounts(((1.0, requests), (math.inf, requests)), short) if tpot else LatencyCounts(first, whole)


def facts(window: int, *, loaded: bool = True, served: bool = True) -> WindowFacts:
    at = 60.0 * window
    return WindowFacts(at, 1e9 + at, 60.0, 120.0, loaded, served)


def after(shares: list[float], margin: Margin = START, *, first: int = 1, **known: bool) -> Margin:
    for number, share in enumerate(shares, start=first):
        margin = after_window(margin, counts(share), TARGETS, facts(number, **known), least=LEAST, most=MOST)
    return margin


def test_it_shrinks_by_one_step_once_several_windows_say_so() -> None:
    assert after([1.0] * (SHRINK_WINDOWS - 1)).share == START.share
    once = after([1.0] * SHRINK_WINDOWS)
    assert once.share == pytest.approx(1.3 / SHRINK - 1.0, abs=1e-4)
    assert (once.rests_on, once.since) == (300.0 * SHRINK_WINDOWS, 1e9)


def test_it_shrinks_no_further_than_the_platform_lets_it() -> None:
    assert after([1.0] * 500).share == LEAST


def test_idle_replicas_prove_nothing() -> None:
    assert after([1.0] * 100, loaded=False).share == START.share


def test_attaining_just_what_was_asked_does_not_shrink_it() -> None:
    assert after([0.955] * 100).share == START.share


def test_it_grows_in_the_first_window_that_falls_short_by_how_much() -> None:
    short = after([0.2])
    assert short.share == pytest.approx(1.3 * 1.2 - 1.0, abs=0.02)
    queued = after_window(START, counts(0.2, tpot=False), TARGETS, facts(1), least=LEAST, most=MOST)
    assert queued.share == pytest.approx(1.3 * QUEUE_GROWTH - 1.0, abs=1e-4)


def test_few_requests_of_two_windows_count_together() -> None:
    few = counts(0.7, 16.0)
    once = after_window(START, few, TARGETS, facts(1), least=LEAST, most=MOST)
    assert once.share == START.share
    assert after_window(once, few, TARGETS, facts(2), least=LEAST, most=MOST).share > START.share


def test_it_waits_for_new_replicas_before_it_grows_again() -> None:
    once = after([0.2])
    assert after([0.2] * 3, once, first=2).share == once.share
    assert after([0.2], once, first=6).share > once.share


def test_a_load_that_outgrows_its_replicas_is_not_the_margins_fault() -> None:
    assert after([0.0] * 10, served=False).share == START.share


def test_it_does_not_go_back_to_where_it_fell_short_for_hours() -> None:
    low = replace(START, share=0.10)
    grown = after([0.7], low)
    windows = int(REMEMBERED_SECONDS / 60) - 10
    kept = after([1.0] * windows, grown, first=2)
    assert kept.share > 0.10
    assert after([1.0] * 60, kept, first=2 + windows).share <= 0.10


@given(
    shares=st.lists(st.floats(0.0, 1.0), max_size=40),
    requests=st.floats(0.0, 2000.0),
    start=st.floats(LEAST, MOST),
    served=st.booleans(),
)
def test_it_stays_within_bounds_and_moves_by_bounded_steps(
    shares: list[float], requests: float, start: float, served: bool
) -> None:
    margin = replace(START, share=round(start, 4))
    for number, share in enumerate(shares, start=1):
        moved = after_window(
            margin, counts(share, requests), TARGETS, facts(number, served=served), least=LEAST, most=MOST
        )
        assert LEAST - 1e-9 <= moved.share <= MOST + 1e-9
        assert 1.0 / SHRINK - 1e-3 <= (1.0 + moved.share) / (1.0 + margin.share) <= MOST_GROWTH + 1e-3
        margin = moved


@pytest.mark.parametrize("seed", range(5))
def test_noise_round_what_was_asked_moves_nothing(seed: int) -> None:
    """Batches of four requests meet their targets together, at the share that was asked for and a little more."""
    draw = Random(seed)  # noqa: S311
    margin, moves = START, 0
    for number in range(1, 500):
        kept = sum(draw.random() < 0.96 for _ in range(75)) / 75.0
        moved = after_window(margin, counts(kept), TARGETS, facts(number), least=LEAST, most=MOST)
        moves += moved.share != margin.share
        margin = moved
    assert moves <= 3
    assert abs(margin.share - START.share) < 0.2
