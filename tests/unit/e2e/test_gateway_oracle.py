"""What a step of the gateway scenario is judged by."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.gateway.lifecycle import PodState
from e2e.gateway.oracle import LEAST_JUDGED_REQUESTS, Measured, Played, judge, share_error_points
from e2e.gateway.records import Arrival, Sent, read_arrivals, read_sent, writer
from e2e.gateway.report import table

COUNT = LEAST_JUDGED_REQUESTS


def step(weights: dict[str, int] | None = None) -> Played:
    measured = Measured(since=0, until=1000, weights=weights or {"l4": 600, "h100": 400})
    return Played(name="steady", since=0, until=1000, measured=measured, what="l4:3/3 h100:1/1")


def sent(number: int, *, failure: str = "") -> Sent:
    return Sent(id=f"r{number}", at=number / COUNT, ended=number / COUNT + 1, failure=failure)


def arrival(number: int, *, state: PodState = PodState.READY, state_seconds: float = 9.0) -> Arrival:
    variant = "l4" if number % 10 < 6 else "h100"
    return Arrival(
        id=f"r{number}",
        at=number / COUNT,
        pod=f"{variant}-0",
        variant=variant,
        image="i",
        state=state,
        state_seconds=state_seconds,
    )


SENT = [sent(number) for number in range(COUNT)]
ARRIVALS = [arrival(number) for number in range(COUNT)]


def test_a_step_without_fault_has_no_breach() -> None:
    verdict = judge(step(), SENT, ARRIVALS)
    assert verdict.breaches == ()
    assert (verdict.requests, verdict.failed, verdict.judged) == (COUNT, 0, COUNT)
    assert verdict.share_error_points == pytest.approx(0)


def test_one_failed_request_is_a_breach_and_says_why() -> None:
    verdict = judge(step(), [*SENT[:-1], sent(COUNT - 1, failure="Refused: status 503")], ARRIVALS)
    assert verdict.failed == 1
    assert "1 x Refused: status 503" in verdict.breaches[0]


def test_an_answer_that_no_engine_gave_is_a_failure() -> None:
    verdict = judge(step(), [*SENT, sent(COUNT)], ARRIVALS)
    assert dict(verdict.failures) == {"an answer that no engine gave": 1}


@pytest.mark.parametrize(("l4", "breach"), [(619, False), (621, True)])
def test_shares_are_judged_to_two_points(l4: int, breach: bool) -> None:
    verdict = judge(step({"l4": l4, "h100": 1000 - l4}), SENT, ARRIVALS)
    assert bool(verdict.breaches) is breach


def test_shares_need_enough_requests() -> None:
    verdict = judge(step(), SENT[:-1], ARRIVALS[:-1])
    assert "fewer than" in verdict.breaches[0]


def test_requests_to_a_variant_without_weight_are_an_error() -> None:
    assert share_error_points({"l4": 0.9, "old": 0.1}, {"l4": 1000}) == pytest.approx(10)
    assert share_error_points({"l4": 1.0}, {"l4": 500, "h100": 500}) == pytest.approx(50)
    assert share_error_points({}, {}) == 0


def test_requests_to_pods_that_are_not_ready_or_draining_are_counted_apart() -> None:
    arrivals = [
        arrival(0, state=PodState.NOT_READY),
        arrival(1, state=PodState.DRAINING, state_seconds=0.25),
        arrival(2, state=PodState.DRAINING, state_seconds=0.125),
        *ARRIVALS[3:],
    ]
    verdict = judge(step(), SENT, arrivals)
    assert (verdict.to_not_ready, verdict.to_draining, verdict.latest_draining_seconds) == (1, 2, 0.25)
    assert verdict.breaches == ("1 requests reached pods that were not Ready",)


@pytest.mark.parametrize(("seconds", "breaches"), [(1.99, 0), (2.01, 1)])
def test_a_gateway_has_two_seconds_to_hear_of_a_deleted_pod(seconds: float, breaches: int) -> None:
    late = arrival(0, state=PodState.DRAINING, state_seconds=seconds)
    assert len(judge(step(), SENT, [late, *ARRIVALS[1:]]).breaches) == breaches


def test_what_happens_outside_a_step_is_not_its_own() -> None:
    late = Sent(id="late", at=1000, ended=1001, failure="lost")
    assert judge(step(), [*SENT, late], ARRIVALS).failed == 0


def test_only_what_was_measured_has_shares() -> None:
    outside = Arrival(id="r0", at=2000, pod="p", variant="old", image="i", state=PodState.READY, state_seconds=1)
    assert "old" not in judge(step(), SENT, [*ARRIVALS[1:], outside]).shares


def test_the_table_has_a_line_for_each_step_and_each_breach() -> None:
    text = table([judge(step(), SENT, ARRIVALS), judge(step(), [sent(0, failure="lost")], [])])
    lines = text.splitlines()
    assert len(lines) == 3 + 3
    assert "0.00 points" in lines[1]
    assert "steady: 1 of 1 requests failed: 1 x lost" in lines[3]


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "arrivals.jsonl"
    with writer(path) as write:
        write(ARRIVALS[0])
        write(ARRIVALS[1])
    with path.open("a") as handle:
        handle.write('{"id": "half')
    assert read_arrivals(path) == ARRIVALS[:2]
    assert read_sent(tmp_path / "none") == []
