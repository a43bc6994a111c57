"""Power in a replayed world: energy by what engines do, and the controller's own policy on what domains draw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
from medley_operator.replay.operator_loop import OperatorLoop
from medley_operator.replay.outcome import Latencies, PolicyOutcome, outcome_of
from medley_operator.replay.policies import POLICIES, Replay
from medley_operator.replay.report import summarise
from medley_operator.replay.world import World
from medley_planner.capacity.watts import idle_watts
from tests.unit.operator import factories as make
from tests.unit.operator.replay.worlds import scenario

L4_WATTS = 72.0
POOL = [make.pool("l4", gpu="L4", nodes=1, gpus_per_node=4)]


def played(
    load: str, *objects: PowerDomain | PowerEvent, own_pools: Any = None, **spec: Any
) -> tuple[World, PolicyOutcome]:
    found = scenario(load, own_pools=own_pools or POOL, **spec)
    domains = tuple(each for each in objects if isinstance(each, PowerDomain))
    events = tuple(each for each in objects if isinstance(each, PowerEvent))
    world = World(replace(found, own=replace(found.own, power_domains=domains, power_events=events)))
    loop = OperatorLoop(world, {})
    loop.begin()
    return world, outcome_of("medley", world, end=world.run(), plans=loop.plans)


def rack(watts: int, **spec: Any) -> PowerDomain:
    return make.power_domain("rack", watts, nodeSelector={"gpu": "l4"}, nonGpuWatts=0, **spec)


def test_energy_is_between_idle_and_busy_and_rises_with_the_load() -> None:
    light, heavy = (played(load)[1] for load in ("constant:0.02x20m", "constant:1x20m"))
    drawn = []
    for outcome in (light, heavy):
        hours = outcome.mean_replicas * outcome.seconds / 3600.0
        drawn.append(1000 * outcome.energy_kwh / hours)
    assert idle_watts(L4_WATTS) < drawn[0] < 0.8 * drawn[1] < 0.8 * L4_WATTS
    assert (light.kwh_per_million_tokens or 0.0) > (heavy.kwh_per_million_tokens or 9.0)
    assert light.capped_gpu_hours == heavy.capped_gpu_hours == 0.0
    assert light.most_pressure == {}


def test_a_domain_that_is_not_short_changes_nothing_but_what_is_read() -> None:
    _, free = played("constant:3x20m")
    world, fed = played("constant:3x20m", rack(5000))
    assert (fed.attainment, fed.mean_replicas, fed.capped_gpu_hours) == (free.attainment, free.mean_replicas, 0.0)
    assert fed.energy_kwh == pytest.approx(free.energy_kwh, rel=0.01)
    assert 0.0 < fed.most_pressure["rack"] < 0.1
    status = world.power.domains["rack"].status
    assert (status.level, status.watts is not None) == (0, True)


def test_a_short_domain_caps_and_slows_engines_without_restarting_any() -> None:
    """The plan may put more on it than it feeds at once, and the caps hold what it draws."""
    fleet = {"scaling": {"minReplicas": 4, "maxReplicas": 4}, "priority": "Low"}
    short = rack(150, planOversubscription="2.5", preset="ladder5")
    (alone, free), (world, held) = played("constant:3x30m", **fleet), played("constant:3x30m", short, **fleet)
    assert held.capped_gpu_hours > 0.0
    assert held.energy_kwh < free.energy_kwh
    assert (held.starts, held.stops) == (free.starts, free.stops), "no cap restarts a pod"
    slow, fast = (mean_tpot(each) for each in (world, alone))
    assert slow > 1.02 * fast


def mean_tpot(world: World) -> float:
    (traffic,) = world.traffic.values()
    seen = Latencies.of(traffic)
    return float(seen.tpot[seen.finished].mean())


def test_an_event_is_accepted_counts_and_ends() -> None:
    event = make.power_event("rack", start="2026-01-05T00:10:00Z", end="2026-01-05T00:20:00Z", targetWatts=120)
    world, _ = played("constant:3x30m", rack(400), event)
    status = world.power.events["less-rack"].status
    assert (status.phase, status.target_watts) == ("Ended", 120)


def test_the_report_has_energy_for_people_and_machines() -> None:
    found = scenario("constant:1x10m", own_pools=POOL)
    report = summarise(found, [POLICIES["static"](Replay(found, {}))])
    (policy,) = report["policies"]
    assert policy["energy_kwh"] > 0.0
    assert policy["kwh_per_million_tokens"] == pytest.approx(1e6 * policy["energy_kwh"] / (600 * 650), rel=0.1)
