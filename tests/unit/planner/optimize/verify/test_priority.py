"""A service of higher priority is not left short by what one of lower priority uses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import PlanStatus, Pool, Priority, RoutingMode, Unserved, UnservedReason
from medley_planner.optimize import Rule, verify
from tests.plan_by_hand import plan_of
from tests.unit.planner.optimize.small import service, variant
from tests.unit.planner.optimize.verify.cases import CHEAP, broken, problem_of


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_the_higher_priority_gets_a_replica_that_the_lower_one_uses(routing: RoutingMode) -> None:
    high = service(4.0, CHEAP, routing=routing, name="high", priority=Priority.HIGH)
    low = service(4.0, CHEAP, name="low", priority=Priority.LOW)
    problem = problem_of(high, low, cheap=Pool("cheap", 5))
    assert broken(problem, (4,), (1,), served=[1.0, 0.25]) == []
    violations = verify(problem, plan_of(problem, [(3,), (2,)], [0.75, 0.5]))
    assert [(violation.service, violation.rule) for violation in violations] == [("high", Rule.PRIORITY)]
    assert "1 req/s more" in violations[0].message


@pytest.mark.parametrize("routing", [RoutingMode.PER_BUCKET, RoutingMode.INFERENCE_POOL])
def test_an_exchange_that_does_not_help_the_unserved_size_is_not_claimed(routing: RoutingMode) -> None:
    short, long = variant("short", (1.0, 0.0), 1.0), variant("long", (0.0, 1.0), 1.0)
    high = service(2.0, short, long, prompt_tokens=(1.0, 9.0), routing=routing, name="high", priority=Priority.HIGH)
    low = service(1.0, variant("short", 1.0, 1.0), name="low", priority=Priority.LOW)
    problem = problem_of(high, low, short=Pool("short", 2), long=Pool("long", 0))
    made = plan_of(problem, [(1, 0), (1,)])
    short_part, long_part = made.services[0].variants
    partial = replace(
        made.services[0],
        status=PlanStatus.PARTIAL,
        variants=(short_part, replace(long_part, share=0.0, bucket_shares=(0.0, 0.0), load=0.0)),
        unserved=(Unserved(1, 1.0, UnservedReason.STOCK, ("long",)),),
    )
    plan = replace(made, status=PlanStatus.PARTIAL, services=(partial, made.services[1]))
    assert verify(problem, plan) == (), "of what is missing, the short one can serve nothing"
