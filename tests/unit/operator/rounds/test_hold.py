"""Lost data never scales anything down; absent data is planned from what the spec says; no traffic is not a loss of
data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_planner.model import Bucket
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, is_quiet, plain, run, settle

LIVE: dict[str, Any] = {"workload": {"source": "Prometheus"}}
LIVE_WITH_STATIC: dict[str, Any] = {"workload": {"source": "Prometheus", "static": make.STATIC}}
LOSSES = [
    MetricsReason.MISSING,
    MetricsReason.STALE,
    MetricsReason.UNAVAILABLE,
    MetricsReason.INVALID,
]
IDLE = Observation(reason=MetricsReason.FOUND, message="no request in the last 300 s")


def live(rate_rps: float = 40.0) -> Round:
    return settle(make.snapshot(make.service(spec=LIVE_WITH_STATIC), observations={"llama": make.found(rate_rps)}))


@pytest.mark.parametrize("forget", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("reason", LOSSES)
def test_a_service_that_had_metrics_is_held(reason: MetricsReason, forget: bool) -> None:
    steady = live()
    before = dict(steady.candidate().last_replicas)
    held = follow(steady, observations={"llama": make.lost(reason)}, forget=forget)
    assert not held.decision.applies
    assert not held.decision.deletes
    assert held.prepared.problem is None
    assert dict(held.candidate().last_replicas) == before
    assert held.condition("PlanReady").reason == "Held"
    assert held.condition("PlanReady").status == "True"
    assert held.condition("MetricsAvailable").reason == reason
    assert held.reasons() == ["PlanHeld"]
    assert held.status()["plan"]["state"] == "Held"
    assert held.status()["load"]["requestsPerSecond"] == "40"
    assert (held.gauge("service_plan_held"), held.gauge("service_request_rate")) == (1.0, 40.0)
    # The age in the message moves each round and must not be written each round.
    again = follow(held, observations={"llama": make.lost(reason, "no sample since 91 s")})
    assert is_quiet(again.decision)
    back = follow(again, observations={"llama": make.found(40.0)})
    assert back.condition("PlanReady").reason == "Optimal"
    assert not back.decision.applies


def test_a_held_service_is_mended_and_its_gpus_are_not_given_away() -> None:
    pools = [make.pool(nodes=2)]
    snapshot = make.snapshot(
        make.service(spec=LIVE), make.service("other"), pools=pools, observations={"llama": make.found(8.0)}
    )
    steady = settle(snapshot)
    replicas = steady.candidate().last_replicas["l4"]
    held = follow(steady, observations={"llama": make.lost()})
    assert held.prepared.problem is not None
    assert [service.name for service in held.prepared.problem.services] == ["demo/other"]
    assert held.prepared.problem.pools[0].stock_gpus == 8 - replicas
    children = {key: value for key, value in held.snapshot.children.items() if plain(key.name) != "llama-l4"}
    mended = run(changed(held.snapshot, children=children), held.memory)
    assert mended.replicas() == {"llama-l4": replicas}


@pytest.mark.parametrize("reason", LOSSES)
def test_before_any_metrics_the_static_workload_counts(reason: MetricsReason) -> None:
    done = run(make.snapshot(make.service(spec=LIVE_WITH_STATIC), observations={"llama": make.lost(reason)}))
    assert done.status()["load"]["source"] == "Static"
    assert done.status()["load"]["requestsPerSecond"] == "4"
    condition = done.condition("MetricsAvailable")
    assert (condition.status, condition.reason) == ("False", reason)
    assert "spec.workload.static" in condition.message
    assert done.condition("PlanReady").reason == "Optimal"


def test_with_nothing_known_the_minimum_runs() -> None:
    spec = {**LIVE, "scaling": {"minReplicas": 2}}
    done = run(make.snapshot(make.service(spec=spec), observations={"llama": make.lost(MetricsReason.MISSING)}))
    assert sum(done.replicas().values()) == 2
    assert done.status()["load"] == {
        "source": "MinReplicas",
        "requestsPerSecond": "0",
        "promptTokens": 0,
        "generationTokens": 0,
        "sizeSource": "",
    }
    assert done.condition("PlanReady").reason == "Optimal"


def test_no_traffic_falls_to_the_minimum_after_two_lead_times() -> None:
    silent = follow(live(), observations={"llama": IDLE})
    assert not silent.decision.applies
    assert silent.condition("MetricsAvailable").message.endswith("no requests for this service now")
    for at_seconds in (120.0, 299.0):
        silent = follow_at(silent, at_seconds)
        assert not silent.decision.applies
    idle = follow_at(silent, 300.0)
    assert sum(idle.replicas().values()) == 1
    assert idle.status()["load"]["source"] == "Prometheus"
    assert idle.status()["load"]["requestsPerSecond"] == "0"
    assert idle.condition("MetricsAvailable").reason == "MetricsFound"


def follow_at(earlier: Round, at_seconds: float) -> Round:
    later = replace(earlier.snapshot, at_seconds=at_seconds, unix_seconds=at_seconds)
    return follow(replace(earlier, snapshot=later))


def test_a_route_still_leads_somewhere_when_there_is_no_traffic() -> None:
    """The last sizes held some that nothing serves; that must not take the weight off the one replica that is left."""
    variants = [{"poolRef": "l4", "tensorParallel": 1}]
    spec = {**LIVE, "routing": {"gatewayRef": {"name": "inference"}}, "variants": variants}
    mixed = make.demand(4.0)
    mixed = replace(mixed, buckets=(*mixed.buckets, Bucket(200000.0, 100.0)), shares=(0.9, 0.1))
    seen = Observation(reason=MetricsReason.FOUND, demand=mixed, samples=1000)
    busy = run(make.snapshot(make.service(spec=spec), observations={"llama": seen}))
    assert busy.condition("PlanReady").reason == "Partial"
    idle = settle(make.carried_out(busy.snapshot, busy.decision), busy.memory)
    idle = follow_at(follow(idle, observations={"llama": IDLE}), 300.0)
    (variant,) = [variant for variant in idle.status()["variants"] if variant["desired"] > 0]
    assert variant["weight"] == 1000
    assert float(variant["capacityRps"]) > 0


def test_the_static_workload_is_kept_until_the_first_request() -> None:
    done = run(make.snapshot(make.service(spec=LIVE_WITH_STATIC), observations={"llama": IDLE}))
    assert done.status()["load"]["source"] == "Static"
    assert done.condition("MetricsAvailable").reason == "MetricsFound"
    traffic = follow(done, observations={"llama": make.found(12.0)})
    assert traffic.status()["load"]["source"] == "Prometheus"


def test_a_held_service_that_never_had_a_plan_has_nothing_to_hold() -> None:
    first = run(
        make.snapshot(
            make.service(spec={**LIVE, "runtime": {"profileRef": "no"}}), observations={"llama": make.found()}
        )
    )
    assert first.condition("PlanReady").reason == "ProfileNotFound"
    fixed = changed(first.snapshot, make.service(spec=LIVE, generation=2), observations={})
    done = run(fixed, first.memory)
    assert done.condition("PlanReady").reason == "Optimal"
    assert done.status()["load"]["source"] == "MinReplicas"
