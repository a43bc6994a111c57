"""The report on what users saw, from requests written out by hand."""

from __future__ import annotations

import math

import pytest

from e2e.fleet.judge import Targets, report
from e2e.fleet.requests import Failure, Request

TARGETS = Targets(ttft_seconds=1.0, tpot_seconds=0.05)


def done(*, ttft: float, tpot: float, variant: str = "l4", generation: int = 11) -> Request:
    return Request(
        arrival=100.0,
        prompt_tokens=10,
        generation_tokens=generation,
        variant=variant,
        first_token_at=100.0 + ttft,
        finished_at=100.0 + ttft + tpot * (generation - 1),
    )


def waiting(*, arrival: float) -> Request:
    return Request(arrival=arrival, prompt_tokens=10, generation_tokens=10, variant="l4")


def failed(reason: Failure) -> Request:
    lost = Request(arrival=100.0, prompt_tokens=10, generation_tokens=10)
    lost.fail(reason, 100.0)
    return lost


def test_both_targets_must_be_met() -> None:
    requests = [
        done(ttft=0.5, tpot=0.04),
        done(ttft=1.5, tpot=0.04),
        done(ttft=0.5, tpot=0.06),
        done(ttft=0.9, tpot=0.05),
    ]
    found = report(requests, targets=TARGETS, now=200)
    assert (found["judged"], found["met"], found["met_share"]) == (4, 2, 0.5)


def test_failures_and_overdue_requests_are_misses_and_what_is_under_way_is_not_judged() -> None:
    requests = [done(ttft=0.5, tpot=0.04), failed(Failure.NO_BACKEND), waiting(arrival=190), waiting(arrival=199.5)]
    found = report(requests, targets=TARGETS, now=200)
    assert (found["requests"], found["judged"], found["met"]) == (4, 3, 1)
    assert found["failures"] == {"no_backend": 1, "unknown_engine": 0, "aborted": 0}
    assert (found["finished"], found["failed"], found["in_flight"]) == (1, 1, 2)
    assert found["ttft_seconds"]["p99"] == 10


def test_without_targets_only_what_ended_is_judged() -> None:
    found = report([done(ttft=0.5, tpot=9.0), waiting(arrival=0)], targets=Targets(), now=200)
    assert (found["judged"], found["met"]) == (1, 1)


def test_percentiles_are_by_nearest_rank_and_split_by_variant() -> None:
    requests = [done(ttft=n / 100, tpot=0.01, variant="h100" if n % 4 == 0 else "l4") for n in range(1, 101)]
    found = report(requests, targets=TARGETS, now=200)
    assert [found["ttft_seconds"][rank] for rank in ("p50", "p90", "p95", "p99")] == pytest.approx(
        [0.5, 0.9, 0.95, 0.99]
    )
    assert {name: (entry["requests"], entry["share"]) for name, entry in found["variants"].items()} == {
        "h100": (25, 0.25),
        "l4": (75, 0.75),
    }


def test_a_single_token_has_no_tpot() -> None:
    found = report([done(ttft=0.5, tpot=math.nan, generation=1)], targets=TARGETS, now=200)
    assert found["tpot_seconds"] is None
    assert found["met"] == 1


def test_nothing_yet() -> None:
    found = report([], targets=TARGETS, now=200)
    assert (found["requests"], found["met_share"], found["ttft_seconds"], found["variants"]) == (0, None, None, {})
