"""What one replica attains, and by how much a capacity was wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from medley_planner.check import FLOOR, ReplicaLoad, attained, capacity_factor, routed_fleet, served_loads
from medley_planner.check.attain import spec_of
from medley_planner.check.spread import SizePart, parts_of, ranked
from medley_planner.engine import Balance, ReplicaGroup, Routing, SimulatedFleet, Trace, poisson_arrivals, simulate
from medley_planner.model import Bucket, PlanStatus, RoutingMode, ServicePlan, VariantPlan
from tests.unit.planner.check.small import MIX, TARGETS, problem_of


def exact(buckets: Sequence[Bucket], shares: Sequence[float]) -> tuple[SizePart, ...]:
    """Buckets that stand for their means alone."""
    return tuple(
        SizePart(b, share, (b.prompt_tokens,) * 2, (b.generation_tokens,) * 2)
        for b, share in zip(buckets, shares, strict=True)
    )


_, SUBJECTS = problem_of()
SUBJECT = SUBJECTS["chat"]
A100 = dict(SUBJECT.replicas)["a100-80"]
H100 = dict(SUBJECT.replicas)["h100"]
SIZES = ReplicaLoad(2.0, exact(MIX.buckets, MIX.shares))


def part(name: str, replicas: int, shares: tuple[float, ...], share: float) -> VariantPlan:
    return VariantPlan(name, name, replicas, 1.0, share, shares, 0.5)


def plan_of(*variants: VariantPlan, routing: RoutingMode = RoutingMode.HTTP_ROUTE) -> ServicePlan:
    return ServicePlan("chat", PlanStatus.OPTIMAL, routing, variants, 1.0, (), None, ())


def test_attainment_falls_from_all_to_nearly_none_as_the_rate_rises() -> None:
    figures = [attained(A100, replace(SIZES, rate_rps=rate), TARGETS).attainment for rate in (0.5, 3.0, 6.0, 12.0, 40)]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 0.99
    assert figures[-1] < 0.2


def test_what_prefix_caches_save_is_no_prefill_of_the_check() -> None:
    busy = replace(SIZES, rate_rps=7.0)
    spared = replace(busy, prefix_hit_rate=0.6)
    assert attained(A100, spared, TARGETS).tpot_seconds < 0.5 * attained(A100, busy, TARGETS).tpot_seconds
    assert attained(A100, spared, TARGETS).attainment > attained(A100, busy, TARGETS).attainment


def test_one_replica_attains_what_each_of_many_does_behind_a_random_router() -> None:
    served = replace(SIZES, rate_rps=5.5)
    alone = attained(A100, served, TARGETS)
    rng = np.random.default_rng(3)
    count = 24_000
    which = rng.choice(len(MIX.buckets), size=count, p=MIX.shares)
    prompt = np.asarray([int(bucket.prompt_tokens) for bucket in MIX.buckets])[which]
    generation = np.asarray([int(bucket.generation_tokens) for bucket in MIX.buckets])[which]
    trace = Trace(poisson_arrivals(5.5 * 8, count=count, seed=4), prompt, generation)
    fleet = SimulatedFleet((ReplicaGroup("a100", spec_of(A100), 8),))
    outcome = simulate(trace, fleet, Routing(Balance.RANDOM), seed=5).only(np.arange(count) >= count // 10)
    whole = outcome.attainment(ttft_seconds=TARGETS.ttft_seconds, tpot_seconds=TARGETS.tpot_seconds)
    assert alone.attainment == pytest.approx(whole, abs=0.03)
    assert 0.02 < whole < 0.999


def test_a_replica_that_attains_keeps_its_capacity() -> None:
    assert capacity_factor(A100, replace(SIZES, rate_rps=1.0), TARGETS, load=0.9) == 1.0


def test_the_factor_leads_to_the_load_that_attains() -> None:
    served = replace(SIZES, rate_rps=12.0)
    factor = capacity_factor(A100, served, TARGETS, load=1.0)
    assert FLOOR < factor < 1.0
    assert attained(A100, replace(served, rate_rps=12.0 * factor), TARGETS).attainment >= 0.95
    assert attained(A100, replace(served, rate_rps=12.0 * factor * 1.1), TARGETS).attainment < 0.95
    # A table that promised twice as much as was asked of it is twice as wrong.
    assert capacity_factor(A100, served, TARGETS, load=0.5) == pytest.approx(max(factor / 2, FLOOR), abs=0.002)


def test_what_no_load_can_cure_is_not_paid_for() -> None:
    # A tenth of the prompts take longer than the target even alone.
    slow = ReplicaLoad(0.05, exact((Bucket(300.0, 50.0), Bucket(16000.0, 50.0)), (0.9, 0.1)))
    assert attained(A100, slow, TARGETS).attainment < 0.95
    assert capacity_factor(A100, slow, TARGETS, load=0.9) == 1.0


def test_a_bucket_stands_for_the_sizes_between_its_neighbours_and_keeps_its_mean() -> None:
    parts = parts_of((Bucket(100.0, 50.0), Bucket(400.0, 50.0), Bucket(400.0, 200.0)), (0.5, 0.3, 0.2))
    assert [each.prompts for each in parts] == [(50.0, 200.0), (200.0, 800.0), (200.0, 800.0)]
    assert [each.generations for each in parts] == [(50.0, 50.0), (25.0, 100.0), (100.0, 400.0)]
    for each in parts:
        sizes = ranked(each.bucket.prompt_tokens, each.prompts, 1000)
        assert sizes.mean() == pytest.approx(each.bucket.prompt_tokens, rel=0.002)
        assert each.prompts[0] <= sizes[0] < sizes[-1] <= each.prompts[1]
        assert sizes.std() > 0.1 * each.bucket.prompt_tokens
    assert ranked(50.0, (50.0, 50.0), 3).tolist() == [50.0] * 3
    # Sizes far apart are what a user listed, and stand for themselves.
    assert [each.prompts for each in parts_of((Bucket(300.0, 1.0), Bucket(9000.0, 1.0)), (0.5, 0.5))] == [
        (300.0, 300.0),
        (9000.0, 9000.0),
    ]


def test_each_replica_gets_its_part_of_what_the_variant_is_sent() -> None:
    plan = plan_of(part("a100-80", 2, (1.0, 1.0, 0.0, 0.0), 0.7), part("h100", 4, (0.0, 0.0, 1.0, 0.5), 0.25))
    loads = served_loads(plan, MIX)
    assert loads["a100-80"].rate_rps == pytest.approx(8.0 * 0.7 / 2)
    assert [each.share for each in loads["a100-80"].parts] == pytest.approx([4 / 7, 3 / 7])
    assert loads["h100"].rate_rps == pytest.approx(8.0 * 0.25 / 4)
    assert [each.bucket for each in loads["h100"].parts] == list(MIX.buckets[2:])
    assert [each.share for each in loads["h100"].parts] == pytest.approx([0.8, 0.2])
    # What a bucket stands for ends where its neighbours in the whole demand begin, whoever gets those.
    assert loads["h100"].parts[0].generations == pytest.approx((150**2 / math.sqrt(150 * 400), math.sqrt(150 * 400)))


def test_the_router_of_a_plan_is_that_of_its_mode() -> None:
    whole = (0.25,) * 4, (0.75,) * 4
    weighted = plan_of(part("a100-80", 1, whole[0], 0.25), part("h100", 3, whole[1], 0.75))
    fleet, routing = routed_fleet(weighted, MIX, SUBJECT)
    assert [(group.name, group.count) for group in fleet.groups] == [("a100-80", 1), ("h100", 3)]
    assert [entry.weights for entry in routing.ranges] == [(0.25, 0.75)]
    _, blind = routed_fleet(replace(weighted, routing=RoutingMode.SERVICE), MIX, SUBJECT)
    assert blind.ranges == ()
    split = plan_of(
        part("a100-80", 1, (1.0, 1.0, 0.0, 0.0), 0.7),
        part("h100", 1, (0.0, 0.0, 1.0, 1.0), 0.3),
        routing=RoutingMode.INFERENCE_POOL,
    )
    _, ranged = routed_fleet(split, MIX, SUBJECT, edges=(200.0, 1000.0, 2000.0))
    assert [entry.up_to_tokens for entry in ranged.ranges] == [1000.0, math.inf]
    assert [tuple(weight > 0 for weight in entry.weights) for entry in ranged.ranges] == [(True, False), (False, True)]
    with pytest.raises(ValueError, match="PerBucket"):
        routed_fleet(replace(split, routing=RoutingMode.PER_BUCKET), MIX, SUBJECT)
