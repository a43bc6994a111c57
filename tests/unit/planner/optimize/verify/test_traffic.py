"""What a service's replicas carry, at its edge: load, spare for the loss of one, and how a router may split it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import RoutingMode
from medley_planner.optimize import Rule, verify
from tests.brute_force import Fleet
from tests.plan_by_hand import plan_of
from tests.unit.planner.optimize.small import service, variant
from tests.unit.planner.optimize.verify.cases import CHEAP, broken, problem_of


def test_staffing_asks_for_more_the_fewer_there_are() -> None:
    # 4 + 1 x sqrt(4)
    problem = problem_of(service(4.0, CHEAP, staffing_beta=1.0))
    assert broken(problem, (6,)) == []
    assert broken(problem, (5,)) == [Rule.CAPACITY]


@pytest.mark.parametrize(
    ("routing", "good", "bad"),
    [
        # fast: 2 carry all, slow: 4. By weight 2/2 + 2/4 less 1/2 is 1; 1/2 + 3/4 less 1/2 is not.
        (RoutingMode.HTTP_ROUTE, (2, 2), (1, 3)),
        (RoutingMode.SERVICE, (1, 4), (1, 3)),
        (RoutingMode.PER_BUCKET, (2, 3), (2, 2)),
        (RoutingMode.INFERENCE_POOL, (2, 3), (2, 2)),
    ],
)
def test_what_is_served_survives_the_loss_of_a_replica(routing: RoutingMode, good: Fleet, bad: Fleet) -> None:
    fast, slow = variant("fast", 2.0, 3.0), variant("slow", 1.0, 1.0)
    problem = problem_of(service(4.0, fast, slow, routing=routing, n_plus_one=True))
    assert broken(problem, good) == []
    assert Rule.N_PLUS_ONE in broken(problem, bad)


def test_only_what_is_served_has_to_survive() -> None:
    problem = problem_of(service(4.0, CHEAP, n_plus_one=True))
    assert broken(problem, (3,), served=[0.5]) == []
    assert broken(problem, (3,), served=[0.6]) == [Rule.N_PLUS_ONE]


def test_buckets_of_one_prompt_size_go_alike_behind_an_inference_pool() -> None:
    one, other = variant("one", (9.0, 9.0), 1.0), variant("other", (9.0, 9.0), 1.0)
    by_size = service(2.0, one, other, prompt_tokens=(100.0, 900.0), routing=RoutingMode.INFERENCE_POOL)
    good = plan_of(problem_of(by_size), [(1, 1)])
    parts = good.services[0].variants
    apart = [
        replace(part, bucket_shares=row, share=0.5, load=1 / 9)
        for part, row in zip(parts, ((1.0, 0.0), (0.0, 1.0)), strict=True)
    ]
    split = replace(good, services=(replace(good.services[0], variants=tuple(apart)),))
    assert verify(problem_of(by_size), split) == ()
    alike = service(2.0, one, other, prompt_tokens=(100.0, 100.0), routing=RoutingMode.INFERENCE_POOL)
    assert {violation.rule for violation in verify(problem_of(alike), split)} == {Rule.ROUTING}
