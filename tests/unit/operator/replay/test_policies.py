"""Whole replays: the operator's own loop and the baselines on the same arrivals, and what they come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from medley_operator.cli.manifests import read_objects
from medley_operator.cli.plan import default_profile
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.arrivals import made_up, rate_curve, request_sizes
from medley_operator.replay.bad_replay import BadReplay
from medley_operator.replay.objects import OwnObjects
from medley_operator.replay.outcome import PolicyOutcome
from medley_operator.replay.policies import POLICIES, Replay
from medley_operator.replay.report import summarise
from medley_operator.replay.scenario import Scenario, with_first_load
from medley_operator.replay.settings import WorldSettings
from tests.unit.operator import factories as make
from tests.unit.operator.replay.worlds import scenario

RAMP = Path(__file__).parents[4] / "examples" / "replay" / "ramp.yaml"


def played(name: str, world: Scenario) -> PolicyOutcome:
    return POLICIES[name](Replay(world, {}))


def of_long_prompts(load: str, *, poisson: bool, noise: float = 0.0) -> Scenario:
    """The service of the public ramp under another load of 4,000 + 1,000 tokens."""
    objects = read_objects([str(RAMP)])
    own = OwnObjects(tuple(objects.services), tuple(objects.pools), (default_profile(),))
    trace = made_up(rate_curve(load), request_sizes("4000x1000"), seed=0, poisson=poisson, noise=noise)
    traces = {ServiceKey.of(own.services[0]): trace}
    return with_first_load(Scenario(own, traces, WorldSettings(startup_seconds=100.0)))


@pytest.fixture(scope="module")
def ramp() -> Scenario:
    """The public ramp of llm-d's autoscaler: 2 to 10 req/s of 4,000 + 1,000 tokens and back, sent evenly."""
    return of_long_prompts("steps:2x330s,4x360s,6x360s,8x360s,10x360s,4x360s,1x300s", poisson=False)


def test_the_control_law_comes_near_its_published_figures_on_the_public_ramp(ramp: Scenario) -> None:
    """llm-d publishes 95.8 % at 5.93 replicas; within 3 points and 0.6 replicas the world is taken for right."""
    law = played("llm-d", ramp)
    assert law.requests == 12480
    assert 100 * law.attainment == pytest.approx(95.8, abs=3.0)
    assert law.mean_replicas == pytest.approx(5.93, abs=0.6)


def test_medley_attains_more_than_the_law_on_the_public_ramp_at_a_lower_cost(ramp: Scenario) -> None:
    medley, law = played("medley", ramp), played("llm-d", ramp)
    assert medley.attainment >= 0.97
    assert medley.mean_replicas <= 5.45
    assert medley.attainment > law.attainment
    assert medley.cost < law.cost


def test_one_jump_and_back_is_not_paid_for_as_if_it_came_again() -> None:
    """A forecast that took the jump for the spread of all rates planned for 23 req/s where 8 arrived: $114.21."""
    outcome = played("medley", of_long_prompts("steps:2x30m,8x30m,2x30m", poisson=True))
    assert outcome.attainment >= 0.9
    assert outcome.cost <= 105.0
    assert outcome.changes <= 16


def test_noise_on_each_reading_moves_few_replicas() -> None:
    """78 changes in a day before the settled rate; the goal of 3 a day is not met while the noise is not known yet."""
    outcome = played("medley", of_long_prompts("constant:5x6h", poisson=True, noise=0.1))
    assert outcome.attainment >= 0.99
    assert outcome.changes <= 10


def test_equal_seeds_replay_equally() -> None:
    one, same = (played("medley", scenario("ramp:2-12x30m")) for _ in range(2))
    assert one == same


def test_a_step_is_answered_and_left_again() -> None:
    outcome = played("medley", scenario("steps:3x15m,10x30m,3x45m"))
    peak = max(sum(point.replicas.values()) for point in outcome.timeline if 1800 <= point.seconds < 2700)
    ready = {point.seconds: point.ready for point in outcome.timeline}
    assert ready[0.0] < peak
    assert ready[5340.0] < peak
    assert outcome.unfinished == 0
    assert outcome.attainment > 0.9


def test_nothing_is_written_and_nothing_changes_under_a_level_load() -> None:
    outcome = played("medley", scenario("constant:6x1h"))
    assert outcome.changes <= 2
    assert outcome.attainment > 0.99


def test_a_static_fleet_is_sized_for_the_peak_and_never_changes() -> None:
    outcome = played("static", scenario("steps:2x20m,14x20m,2x20m"))
    assert outcome.changes == 0
    assert len({tuple(point.replicas.items()) for point in outcome.timeline}) == 1
    assert outcome.attainment > 0.99


def test_an_hpa_keeps_the_percentile_by_the_best_of_its_targets() -> None:
    world = scenario("ramp:2-12x40m")
    outcome = played("hpa", world)
    assert outcome.attainment >= 0.95
    assert outcome.cost < played("static", world).cost
    assert "requests per pod" in outcome.note


def test_the_slice_program_is_run_again_every_five_minutes() -> None:
    outcome = played("slices", scenario("ramp:2-14x40m"))
    assert 6 <= outcome.plans <= 9
    assert outcome.changes > 0
    assert outcome.attainment > 0.9


def test_several_services_share_pools() -> None:
    world = scenario("ramp:2-8x20m", names=("chat", "code"))
    outcome = played("medley", world)
    assert {hour.service for hour in outcome.hours} == {"demo/chat", "demo/code"}
    assert outcome.attainment > 0.95


def test_the_bill_is_that_of_the_timeline() -> None:
    """Both count GPUs from when they are held to the end of their replica; the timeline looks once a minute."""
    outcome = played("medley", scenario("ramp:2-14x1h"))
    looked = sum(point.cost_per_hour for point in outcome.timeline) * outcome.step_seconds / 3600
    assert outcome.cost == pytest.approx(looked, rel=0.05)


@pytest.mark.parametrize("mode", ["Service", "HTTPRoute", "InferencePool"])
def test_each_routing_mode_has_its_data_path(mode: str) -> None:
    routing = {"mode": mode, "gatewayRef": {"name": "inference"}}
    outcome = played("medley", scenario("constant:6x20m", routing=routing))
    assert outcome.unfinished == 0
    assert outcome.attainment > 0.95


def test_a_report_has_the_figures_of_each_policy_and_minute() -> None:
    world = scenario("constant:4x10m")
    report = summarise(world, [played(name, world) for name in ("medley", "static")])
    first, second = report["policies"]
    assert (first["name"], second["name"]) == ("medley", "static")
    keys = {"name", "cost", "attainment_percent", "mean_replicas", "changes", "worst_hour_percent"}
    assert keys <= first.keys()
    minutes = [point for point in report["timeline"] if point["policy"] == "medley"]
    arrived = sum(point["arrivals_rps"] * 60 for point in minutes)
    assert arrived == pytest.approx(report["requests"], abs=1)


def test_a_load_that_no_type_serves_alone_has_no_static_fleet() -> None:
    small = [make.pool("l4", gpu="L4", nodes=1, gpus_per_node=1)]
    with pytest.raises(BadReplay, match="no single GPU type serves all of its load"):
        played("static", scenario("constant:30x10m", own_pools=small))
