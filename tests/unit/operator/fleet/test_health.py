"""The probes: alive is what progresses, ready is what succeeds, and a follower is ready as one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from medley_operator.fleet.health import LEAST_LIMIT_SECONDS, Heartbeat


@dataclass
class Now:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def heartbeat(now: Now, *, resync_seconds: float = 30.0, longest_step_seconds: float = 0.0) -> Heartbeat:
    return Heartbeat(resync_seconds=resync_seconds, clock=now, longest_step_seconds=longest_step_seconds)


def test_health_goes_when_nothing_goes_on() -> None:
    now = Now()
    one = heartbeat(now, resync_seconds=100.0)
    assert one.healthy().ok
    assert not one.ready().ok
    one.beat()
    assert one.ready().ok
    now.seconds += 299.0
    assert one.healthy().ok
    now.seconds += 2.0
    for probe in (one.healthy(), one.ready()):
        assert not probe.ok
        assert "301 s (limit 300 s)" in probe.message


def test_a_round_that_is_slow_but_goes_on_keeps_the_operator_alive() -> None:
    """Liveness ended an operator whose round wrote 260 objects through a webhook that hangs: 503 after 184 s."""
    now = Now()
    one = heartbeat(now)
    one.beat()
    for _ in range(60):
        now.seconds += 20.0
        one.progress()
        assert one.healthy().ok


def test_a_solver_that_may_take_long_is_waited_for() -> None:
    now = Now()
    one = heartbeat(now, longest_step_seconds=660.0)
    now.seconds = 700.0
    assert one.healthy().ok
    now.seconds = 721.0
    assert not one.healthy().ok


def test_readiness_goes_after_three_failed_rounds_says_why_and_comes_back() -> None:
    one = heartbeat(Now())
    one.beat()
    for _ in range(2):
        one.beat(error="no connection")
        assert one.ready().ok
    one.beat(error="no connection")
    probe = one.ready()
    assert (probe.ok, probe.message) == (
        False,
        "not ready: 3 rounds in a row failed, the last one because no connection",
    )
    assert one.healthy().ok
    one.beat()
    assert one.ready().ok


def test_readiness_goes_where_rounds_fail_for_a_minute_though_few_of_them_ended() -> None:
    now = Now()
    one = heartbeat(now)
    one.beat()
    one.beat(error="late")
    now.seconds = 59.0
    assert one.ready().ok
    now.seconds = 60.0
    assert "late" in one.ready().message
    assert not one.ready().ok


def test_a_follower_is_ready_and_says_who_leads() -> None:
    now = Now()
    one = heartbeat(now)
    one.follow("medley-0_ab")
    for probe in (one.healthy(), one.ready()):
        assert (probe.ok, probe.message) == (True, "follower: medley-0_ab leads")
    now.seconds = LEAST_LIMIT_SECONDS + 1.0
    assert not one.healthy().ok
    assert not one.ready().ok


def test_a_follower_that_cannot_read_the_lease_is_not_ready_and_says_why() -> None:
    one = heartbeat(Now())
    one.follow("", "leases is forbidden")
    assert (one.ready().ok, one.healthy().ok) == (False, True)
    assert "leases is forbidden" in one.ready().message
    one.follow("a")
    assert one.ready().ok


def test_a_replica_that_comes_to_lead_is_ready_after_its_first_round() -> None:
    one = heartbeat(Now())
    one.follow("a")
    one.lead()
    assert "no round has ended yet" in one.ready().message
    one.beat()
    assert one.ready().ok


def test_a_round_that_lacks_a_kind_is_not_ready_and_says_which() -> None:
    one = heartbeat(Now())
    one.beat()
    one.degrade("cannot list nodes")
    assert (one.ready().ok, one.ready().message) == (False, "not ready: cannot list nodes")
    assert one.healthy().ok
    one.degrade("")
    assert one.ready().ok


async def test_a_loop_that_goes_on_does_not_hide_one_that_hangs() -> None:
    """Each request of the actuator was a sign of life of the planner too."""
    now = Now()
    one = heartbeat(now)
    one.lead()

    async def hangs() -> None:
        one.begin("planner")

    async def goes_on() -> None:
        one.begin("actuator")
        for _ in range(4):
            now.seconds += 60.0
            one.progress()

    for work in (hangs, goes_on):
        await asyncio.create_task(work())
    assert not one.healthy().ok
    assert "in the planner for 240 s" in one.healthy().message


async def test_a_loop_that_waits_for_something_to_happen_is_not_stuck() -> None:
    now = Now()
    one = heartbeat(now)
    one.lead()
    one.begin("actuator")
    one.rest()
    now.seconds = 10_000.0
    assert one.healthy().ok
