"""Margins in rounds: where they begin, what bounds them, what they do to plans, and what a restart knows of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from medley_operator.api.v1alpha1 import LLMService, MedleyPolicy
from medley_operator.domain.margins.told import remembered_margins
from medley_operator.domain.values.margins import LatencyCounts
from medley_operator.domain.values.memories import FleetMemory
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, run

WINDOW_SECONDS = 60.0
FIXED = 1.1 * 1.1 / 0.75 - 1.0
"""Headroom, that of sizes which are taken as independent, and the derating of a data sheet."""


def llama(margins: str = "Learned") -> LLMService:
    return make.service(
        spec={"workload": {"window": "1m"}, "scaling": {"margins": margins}, "slo": {"ttft": "1s", "tpot": "50ms"}}
    )


def counts(kept: float, requests: float = 2000.0) -> LatencyCounts:
    buckets = ((0.05, kept * requests), (0.06, requests), (math.inf, requests))
    return LatencyCounts(((1.0, requests), (math.inf, requests)), buckets)


def play(
    kept: float,
    windows: int,
    *,
    service: LLMService | None = None,
    before: Round | None = None,
    forget: bool = False,
    policies: tuple[MedleyPolicy, ...] = (),
    rate_rps: float = 40.0,
) -> Round:
    """So many windows in which that share of the requests was within both targets."""
    done = before or run(
        make.snapshot(service or llama(), policies=policies, observations={"llama": make.found(rate_rps)})
    )
    memory = FleetMemory() if forget else done.memory
    start = done.snapshot.at_seconds
    for number in range(1, windows + 1):
        seen = make.carried_out(done.snapshot, done.decision)
        variants = {row.name: counts(kept) for row in seen.services[0].status.variants}
        at = start + number * WINDOW_SECONDS
        key = next(iter(seen.observations))
        seen = replace(
            seen,
            observations={key: replace(make.found(rate_rps), latencies=variants)},
            at_seconds=at,
            unix_seconds=1e9 + at,
        )
        done = run(seen, memory, steps=done.steps, at_seconds=at)
        memory = done.memory
    return done


def shares(done: Round) -> dict[str, float]:
    (memory,) = done.memory.services.values()
    return {name: margin.share for name, margin in memory.margins.items()}


def capacity(done: Round) -> float:
    """Of the running variant, for one replica."""
    (name,) = shares(done)
    known = done.candidate().variant(name)
    assert known is not None
    return known.variant.capacity_rps[0]


def test_it_begins_at_headroom_and_derating_and_changes_no_plan_by_that() -> None:
    learned, fixed = play(1.0, 1), play(1.0, 1, service=llama("Fixed"))
    assert list(shares(learned).values()) == pytest.approx([FIXED], abs=1e-4)
    assert not shares(fixed)
    assert learned.prepared.problem == fixed.prepared.problem


def test_what_is_attained_makes_replicas_serve_more_and_costs_less() -> None:
    first, later = play(1.0, 1), play(1.0, 120)
    assert list(shares(later).values()) < list(shares(first).values())
    (planned,) = (done.prepared.problem for done in (later,))
    assert planned is not None
    assert capacity(later) > 1.2 * capacity(first)


def test_a_slower_engine_is_seen_within_two_windows() -> None:
    first, later = play(1.0, 1), play(0.3, 2)
    assert capacity(later) < capacity(first) / 1.15


def test_a_policy_bounds_it() -> None:
    policies = (make.policy(minMarginPercent=40, maxMarginPercent=50),)
    assert list(shares(play(1.0, 1, policies=policies)).values()) == [0.5]
    assert list(shares(play(1.0, 60, policies=policies)).values()) == [0.4]


@pytest.mark.parametrize("headroom", [0, 100, 200])
def test_without_a_policy_it_begins_at_any_headroom(headroom: int) -> None:
    learned, fixed = (
        run(make.snapshot(make.service(spec={"scaling": {"margins": mode, "headroomPercent": headroom}})))
        for mode in ("Learned", "Fixed")
    )
    assert learned.prepared.problem == fixed.prepared.problem


def test_the_status_tells_it_and_a_restart_goes_on_with_it() -> None:
    done = play(1.0, 40)
    service = make.carried_out(done.snapshot, done.decision).services[0]
    told = service.status.margin
    assert told is not None
    (row,) = told.variants
    (share,) = shares(done).values()
    assert row.percent == f"{100 * share:.2f}"
    assert (told.requests, told.window) == (10_000, "1m")
    assert told.since is not None
    costs = [variant.cost_per_hour_usd for variant in service.status.variants]
    assert float(told.cost_per_hour) == pytest.approx(sum(costs) * share / (1 + share), abs=0.01)
    assert [margin.share for margin in remembered_margins(service.status).values()] == [share]
    again = play(1.0, 1, before=done, forget=True)
    assert shares(again) == shares(done)
    assert capacity(again) == capacity(done)


def test_windows_that_move_nothing_write_nothing() -> None:
    settled = play(0.96, 3)
    for _ in range(3):
        settled = play(0.96, 1, before=settled)
        assert not settled.decision.statuses


@pytest.mark.parametrize("percent", ["", "nan", "-3", "1e99", "much"])
def test_a_row_that_makes_no_sense_is_learned_anew(percent: str) -> None:
    done = play(1.0, 8)
    status = make.carried_out(done.snapshot, done.decision).services[0].status
    assert status.margin is not None
    row = status.margin.variants[0].model_copy(update={"percent": percent})
    broken = status.model_copy(update={"margin": status.margin.model_copy(update={"variants": [row]})})
    assert remembered_margins(broken) == {}
