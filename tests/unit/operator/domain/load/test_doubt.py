"""Loads that are not believed at once: while new replicas' first requests are missing, a plan does not shrink."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.load.doubt import have_joined, ready_lately, settled_ready
from medley_operator.domain.values.candidates import DemandChoice
from medley_operator.domain.values.memories import ServiceMemory
from tests.unit.operator import factories as make

WINDOW_SECONDS = 60.0
SERVICE = make.service(spec={"workload": {"window": "1m"}, "scaling": {"forecast": {"mode": "Off"}}})
Look = tuple[float, int, float]
"""When, Ready replicas, and the rate that Prometheus shows."""


def looks(*seen: Look, service: LLMService = SERVICE) -> list[DemandChoice]:
    memory, choices = ServiceMemory(uid=service.metadata.uid, had_metrics=True), []
    for at_seconds, ready, rate in seen:
        choice = choose_demand(
            service, make.found(rate), memory=memory, has_plan=True, at_seconds=at_seconds, ready_replicas=ready
        )
        memory = replace(memory, demand=choice.demand, ready_lately=choice.ready_lately)
        choices.append(choice)
    return choices


def rates(*seen: Look) -> list[float]:
    return [choice.demand.rate_rps for choice in looks(*seen)]


def test_a_load_that_falls_as_new_replicas_become_ready_is_not_followed() -> None:
    # A step from 2 to 8 req/s; six replicas join, whose first requests no growth of a series shows.
    shown = [(0.0, 4, 2.0), (60.0, 4, 8.0), (170.0, 10, 4.3), (200.0, 10, 4.3)]
    assert rates(*shown) == [2.0, 8.0, 8.0, 8.0]
    assert rates(*shown, (230.0, 10, 12.0))[-1] == 12.0, "it may still grow"


def test_a_fall_that_lasts_is_followed_once_the_first_scrapes_have_left_the_window() -> None:
    shown = [(0.0, 4, 8.0), (100.0, 6, 8.0), (130.0, 6, 3.0), (180.0, 6, 3.0), (195.0, 6, 3.0)]
    assert rates(*shown) == [8.0, 8.0, 8.0, 8.0, 3.0]


def test_without_new_replicas_a_fall_is_followed_at_once() -> None:
    assert rates((0.0, 6, 8.0), (100.0, 6, 3.0)) == [8.0, 3.0]
    assert rates((0.0, 6, 8.0), (100.0, 5, 3.0)) == [8.0, 3.0]


def test_after_a_restart_what_is_ready_counts_as_there_before() -> None:
    assert have_joined(((5.0, 7),), at_seconds=5.0, window_seconds=WINDOW_SECONDS) is False


@pytest.mark.parametrize("period", [20.0, 45.0, 80.0])
def test_a_replica_that_comes_and_goes_joins_once(period: float) -> None:
    known = ready_lately((), 99, at_seconds=0.0, window_seconds=WINDOW_SECONDS)
    joined = []
    for turn in range(1, 41):
        at = turn * period
        known = ready_lately(known, 99 + turn % 2, at_seconds=at, window_seconds=WINDOW_SECONDS)
        joined.append(have_joined(known, at_seconds=at, window_seconds=WINDOW_SECONDS))
    assert joined[0]
    assert not any(joined[10:])


def test_the_fewest_ready_are_those_of_the_last_minute_also_where_more_is_remembered() -> None:
    known = ready_lately((), 2, at_seconds=0.0, window_seconds=300.0)
    known = ready_lately(known, 5, at_seconds=100.0, window_seconds=300.0)
    assert settled_ready(known, at_seconds=120.0) == 2
    assert settled_ready(known, at_seconds=170.0) == 5
    known = ready_lately(known, 6, at_seconds=1000.0, window_seconds=300.0)
    assert known == ((100.0, 5), (1000.0, 6))
