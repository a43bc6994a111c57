"""The policy that knows the whole trace: when its pods start, what they cost, and when it is left out."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.replay.bad_replay import BadReplay, LeftOut
from medley_operator.replay.baselines.clairvoyant import ForeseenFleets, foresee
from medley_operator.replay.outcome import PolicyOutcome
from medley_operator.replay.policies import POLICIES, Replay
from medley_operator.replay.report import summarise
from medley_operator.replay.scenario import Scenario
from medley_operator.replay.settings import WorldSettings
from medley_operator.replay.world import World
from tests.unit.operator import factories as make
from tests.unit.operator.replay.worlds import scenario

EXACT = WorldSettings(startup_seconds=100.0, startup_spread=0.0)
L4 = (make.pool("l4", gpu="L4", price="0.805", nodes=12, gpus_per_node=4),)


def played(name: str, world: Scenario) -> PolicyOutcome:
    return POLICIES[name](Replay(world, {}))


def test_replicas_are_ready_when_the_load_comes_and_end_when_it_goes() -> None:
    known = scenario("steps:3x20m,20x20m,3x20m", own_pools=L4, settings=EXACT)
    foreseen = foresee(known, {}, stretch_seconds=300.0, headroom=False)
    first, middle, last = (sum(foreseen.schedule.fleets[at]) for at in (0, 5, 11))
    assert first == last < middle
    world = World(known)
    fleets = ForeseenFleets(world, foreseen)
    world.routes = lambda key: fleets.route()
    world.run()
    pods = [*world.cluster.gone, *world.cluster.pods.values()]
    started = [pod for pod in pods if pod.created > 0.0]
    assert len(started) == middle - first
    assert all(pod.created == pytest.approx(1100.0) and pod.ready_at == pytest.approx(1200.0) for pod in started)
    ended = [pod.terminating_since for pod in pods if pod.terminating_since is not None]
    assert ended == pytest.approx([2400.0] * (middle - last))


def test_it_costs_as_it_planned_but_for_the_first_start() -> None:
    """The fleet at the start stands, and drains are as long as their requests."""
    known = scenario("ramp:3-20x1h", own_pools=L4, settings=EXACT)
    foreseen = foresee(known, {}, stretch_seconds=300.0, headroom=False)
    outcome = played("clairvoyant", known)
    planned = foreseen.schedule.cost - foreseen.schedule.change_costs[0]
    assert foreseen.schedule.bound == pytest.approx(foreseen.schedule.cost)
    assert outcome.cost == pytest.approx(planned, rel=0.03)
    assert outcome.note == "by 300 s, without headroom"


@pytest.mark.parametrize("mode", ["Service", "HTTPRoute", "InferencePool"])
def test_it_keeps_the_percentile_at_a_lower_cost_than_the_largest_fleet(mode: str) -> None:
    world = scenario("steps:3x20m,14x20m,3x20m", routing={"mode": mode, "gatewayRef": {"name": "inference"}})
    outcome = played("clairvoyant", world)
    assert outcome.worst_hour >= 0.95
    assert outcome.unfinished == 0
    assert outcome.cost < 0.8 * played("static", world).cost


def test_a_step_within_a_stretch_takes_shorter_ones() -> None:
    world = scenario("steps:3x450s,30x450s,3x450s,30x450s,3x450s", own_pools=L4, slo={"ttft": "1s", "tpot": "60ms"})
    outcome = played("clairvoyant", world)
    assert "300 s" not in outcome.note
    assert outcome.worst_hour >= 0.95


def test_load_beyond_the_limits_is_left_out_of_the_plan_alone() -> None:
    world = scenario("steps:3x10m,40x10m,3x10m", own_pools=L4, scaling={"minReplicas": 1, "maxReplicas": 3})
    foreseen = foresee(world, {}, stretch_seconds=300.0, headroom=False)
    assert max(sum(fleet) for fleet in foreseen.schedule.fleets) == 3
    outcome = played("clairvoyant", world)
    assert outcome.requests == len(world.traces[foreseen.key])
    assert outcome.attainment < 0.9


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"names": ("chat", "code")}, "schedules are found for one service, and here are 2"),
        ({"scaling": {"minReplicas": 1, "maxReplicas": 32, "tolerateReplicaLoss": True}}, "ReplicaLoss"),
        ({"workload": {"source": "Static", "static": make.STATIC}}, "spec.workload.source is Static"),
    ],
)
def test_it_is_left_out_with_the_reason(more: dict[str, Any], said: str) -> None:
    with pytest.raises(LeftOut, match=said):
        played("clairvoyant", scenario("constant:4x10m", **more))


def test_a_service_that_nothing_can_run_is_refused() -> None:
    with pytest.raises(BadReplay, match="LLMService demo/llama: nothing can be planned for it"):
        played("clairvoyant", scenario("constant:4x10m", slo={"ttft": "1ms", "tpot": "60ms"}))


def test_a_report_has_each_cost_over_that_of_the_clairvoyant() -> None:
    world = scenario("steps:3x20m,14x20m,3x20m")
    outcomes = [played(name, world) for name in ("static", "clairvoyant")]
    static, best = summarise(world, outcomes)["policies"]
    assert best["over_clairvoyant"] == 1.0
    assert static["over_clairvoyant"] == pytest.approx(outcomes[0].cost / outcomes[1].cost, abs=1e-4)
    (alone,) = summarise(world, outcomes[:1])["policies"]
    assert alone["over_clairvoyant"] is None
