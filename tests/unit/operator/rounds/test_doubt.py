"""Never worse on doubt: a load that is seen in part, or that jumps, or that a restarted operator sees low for a moment,
takes no capacity away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medley_operator.domain.values.memories import FleetMemory, ServiceMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_planner.model import Demand
from tests.unit.operator import factories as make
from tests.unit.operator.domain.load.test_planned_rate import LIVE, STEP_SECONDS, jumpy
from tests.unit.operator.rounds.play import Round, changed, follow, is_quiet, run, settle
from tests.unit.operator.rounds.test_hold import IDLE

WINDOW_SECONDS = 300.0


def live(rate_rps: float, name: str = "llama", **spec: Any) -> Round:
    return settle(make.snapshot(make.service(name, spec={**LIVE, **spec}), observations={name: make.found(rate_rps)}))


def later(earlier: Round, seconds: float, seen: Observation | None = None, *, forget: bool = False) -> Round:
    """The round that many seconds later, on both clocks; a restarted operator's monotonic clock begins anew."""
    at_seconds = earlier.snapshot.at_seconds + seconds
    unix_seconds = earlier.snapshot.unix_seconds + seconds
    if forget:
        histories = {
            key: tuple((at - at_seconds + 5.0, rate) for at, rate in rates_of(memory))
            for key, memory in earlier.memory.services.items()
        }
        snapshot = replace(earlier.snapshot, at_seconds=5.0, unix_seconds=unix_seconds, histories=histories)
    else:
        snapshot = replace(earlier.snapshot, at_seconds=at_seconds, unix_seconds=unix_seconds)
    return follow(replace(earlier, snapshot=snapshot), observations={"llama": seen} if seen else None, forget=forget)


def rates_of(memory: ServiceMemory) -> list[tuple[float, float]]:
    """As Prometheus has them too."""
    return [(at, rate) for at, rate, *_ in np.frombuffer(memory.forecaster.rows, dtype="<f8").reshape(-1, 6).tolist()]


def replicas(played: Round, name: str = "llama") -> int:
    return sum(played.candidate(name).last_replicas.values())


def planned(played: Round) -> Demand:
    """The load that the round plans for."""
    choice = played.candidate().choice
    assert choice is not None
    return choice.demand


def partial(rate_rps: float, pods: int) -> Observation:
    return replace(make.found(rate_rps), pods=pods)


@pytest.mark.parametrize("forget", [False, True], ids=["running", "restarted"])
def test_pods_that_prometheus_does_not_see_take_no_replica_away(forget: bool) -> None:
    steady = later(live(40.0), 120.0)
    ready = replicas(steady)
    assert ready > 1
    seen = later(steady, 30.0, partial(40.0 / ready, 1), forget=forget)
    assert not seen.decision.applies
    assert seen.status()["load"]["requestsPerSecond"] == "40"
    condition = seen.condition("MetricsAvailable")
    assert (condition.status, condition.reason) == ("False", "MetricsPartial")
    assert f"has the load of 1 pods of this service, but {ready} are Ready" in condition.message
    assert seen.reasons() == ["MetricsPartial"]
    for _ in range(30):
        seen = later(seen, 30.0)
        assert is_quiet(seen.decision)
    back = later(seen, 30.0, replace(make.found(20.0), pods=ready))
    assert back.condition("MetricsAvailable").reason == "MetricsFound"
    assert back.status()["load"]["requestsPerSecond"] == "20"


def test_silence_of_the_pods_that_are_seen_is_no_silence() -> None:
    steady = later(live(40.0), 120.0)
    seen = later(steady, 30.0, replace(IDLE, pods=1))
    seen = later(later(seen, 400.0), 400.0)
    assert seen.status()["load"]["requestsPerSecond"] == "40" if seen.decision.statuses else True
    assert not seen.decision.applies


def test_a_part_of_the_load_may_raise_the_plan() -> None:
    steady = later(live(40.0), 120.0)
    seen = later(steady, 30.0, partial(80.0, 1))
    assert seen.status()["load"]["requestsPerSecond"] == "80"
    assert sum(seen.replicas().values()) > replicas(steady)


def test_a_pod_that_just_became_ready_is_not_told_as_missing_and_nothing_shrinks_meanwhile() -> None:
    steady = later(live(40.0), 120.0)
    ready = replicas(steady)
    grown = later(steady, 30.0, partial(80.0, ready))
    now_ready = later(grown, 30.0, partial(60.0, ready))
    assert now_ready.condition("MetricsAvailable").reason == "MetricsFound"
    assert not now_ready.decision.applies
    told = later(later(now_ready, 59.0), 2.0)
    assert told.condition("MetricsAvailable").reason == "MetricsPartial"


def test_a_jump_is_followed_a_step_far_until_it_was_seen_for_a_window() -> None:
    spec = {"priority": "High"}
    services = make.service(spec={**LIVE, **spec}), make.service("other")
    both = {"llama": make.found(5.0)}
    steady = later(settle(make.snapshot(*services, pools=[make.pool(nodes=8)], observations=both)), 120.0)
    before = replicas(steady, "other")
    jumped = later(steady, 30.0, make.found(500.0))
    assert jumped.status()["load"]["requestsPerSecond"] == "15"
    assert replicas(jumped, "other") == before
    assert "llama-other" not in jumped.replicas()
    condition = jumped.condition("MetricsAvailable")
    assert (condition.status, condition.reason) == ("False", "MetricsJump")
    assert "shows 500 req/s" in condition.message
    assert "MetricsJump" in jumped.reasons()
    for _ in range(9):
        jumped = later(jumped, 30.0)
        assert planned(jumped).rate_rps == 15.0
    restarted = later(jumped, 29.0, forget=True)
    assert planned(restarted).rate_rps == 15.0
    believed = later(restarted, 2.0)
    assert planned(believed).rate_rps == 500.0
    assert believed.condition("MetricsAvailable").reason == "MetricsFound"


def test_one_window_at_a_hundred_times_the_load_ends_as_it_began() -> None:
    steady = later(live(5.0), 120.0)
    jumped = later(steady, 30.0, make.found(500.0))
    back = later(jumped, 120.0, make.found(5.0))
    assert back.status()["load"]["requestsPerSecond"] == "5"
    assert "jumpingSince" not in back.status()["memory"]


def test_a_service_that_wakes_up_is_followed_at_once_to_ten_requests_per_second() -> None:
    steady = later(live(0.05), 120.0)
    assert later(steady, 30.0, make.found(9.0)).status()["load"]["requestsPerSecond"] == "9"


def forecast() -> Round:
    """A steady live load with a history, so that a forecast is made."""
    snapshot = make.snapshot(
        make.service(spec=LIVE), pools=[make.pool(nodes=16)], observations={"llama": make.found(10.0)}
    )
    at_seconds = jumpy()[-1][0] + STEP_SECONDS
    snapshot = replace(
        snapshot,
        histories={ServiceKey(make.NAMESPACE, "llama"): jumpy()},
        at_seconds=at_seconds,
        unix_seconds=1.8e9,
    )
    return later(settle(snapshot), 120.0)


@pytest.mark.parametrize("forget", [False, True], ids=["running", "restarted"])
def test_restart_hysteresis_one_low_window_writes_nothing(forget: bool) -> None:
    steady = forecast()
    low = later(steady, 30.0, make.found(4.0), forget=forget)
    assert is_quiet(low.decision)
    assert dict(low.candidate().last_replicas) == dict(steady.candidate().last_replicas)


def test_a_restarted_operator_makes_the_same_plan_of_the_same_load() -> None:
    steady = forecast()
    restarted = later(steady, 30.0, forget=True)
    running = later(steady, 30.0)
    assert is_quiet(running.decision)
    assert is_quiet(restarted.decision)
    assert planned(restarted) == planned(running)
    plans = [each.memory.services[ServiceKey(make.NAMESPACE, "llama")].plan for each in (running, restarted)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].replicas() == plans[1].replicas()


def test_a_fall_goes_on_where_it_was_after_a_restart() -> None:
    """The lead time is 150 s here: a plan that was too large for 300 s falls, whoever looked."""
    steady = forecast()
    falling = later(steady, 30.0, make.found(2.0))
    for _ in range(4):
        falling = later(falling, 60.0)
        assert planned(falling) == planned(steady)
    restarted = later(falling, 30.0, forget=True)
    assert planned(restarted) == planned(steady)
    # The forecast takes in a sample every two minutes: the fall began at the second of these rounds.
    fallen = later(restarted, 151.0)
    assert planned(fallen).rate_rps < 10.0


def test_what_was_remembered_outlives_a_round_without_metrics_after_the_restart() -> None:
    steady = forecast()
    lost = later(steady, 30.0, make.lost(), forget=True)
    low = later(lost, 30.0, make.found(4.0))
    assert planned(low) == planned(steady)


@pytest.mark.parametrize(
    "memory",
    [
        {"requestsPerSecond": "NaN", "sizes": ["500/150:1"], "sizeSource": "Independent"},
        {"requestsPerSecond": "4", "sizes": ["500/150:7"], "sizeSource": "Independent"},
        {"requestsPerSecond": "4", "sizes": ["500"], "sizeSource": "Independent"},
        {"requestsPerSecond": "4", "sizes": [], "sizeSource": "Independent"},
        {"requestsPerSecond": "4", "sizes": ["500/150:1"], "sizeSource": "Guessed"},
    ],
)
def test_a_memory_that_makes_no_sense_is_none(memory: dict[str, Any]) -> None:
    steady = live(40.0)
    (service,) = steady.snapshot.services
    status = {**service.status.model_dump(by_alias=True), "memory": memory}
    edited = type(service).model_validate({**service.model_dump(by_alias=True, exclude_none=True), "status": status})
    done = run(replace(changed(steady.snapshot), services=(edited,)), FleetMemory())
    assert planned(done) == make.demand(40.0)


def test_the_message_is_the_current_cause_whatever_came_first() -> None:
    """401, then a redirect, then an HTML page: the first text stayed, in the held plan's condition too."""
    current = later(live(40.0), 120.0)
    for cause in ("HTTP 401 Unauthorized: no", "HTTP 302 Found: no", "an HTML page", "not within 8 s"):
        current = later(current, 30.0, make.lost(MetricsReason.UNAVAILABLE, f"Prometheus answered {cause}"))
        assert cause in current.condition("MetricsAvailable").message
        assert cause in current.condition("PlanReady").message
    moved = later(current, 30.0, make.lost(MetricsReason.UNAVAILABLE, "Prometheus answered not within 9 s"))
    assert is_quiet(moved.decision)
