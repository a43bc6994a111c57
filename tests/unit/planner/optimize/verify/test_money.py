"""What a plan costs and charges for starts is counted anew."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.optimize import Rule, verify
from tests.plan_by_hand import plan_of
from tests.unit.planner.optimize.small import service, variant
from tests.unit.planner.optimize.verify.cases import problem_of


def test_switching_cost_is_that_of_new_replicas() -> None:
    started = variant("v", 1.0, 2.0, current_replicas=1, startup_seconds=900.0)
    problem = problem_of(service(3.0, started))
    good = plan_of(problem, [(3,)])
    # Two new ones at 2 x 900 / 3600.
    assert good.switching_cost_per_hour == 1.0
    assert verify(problem, good) == ()
    on_cost_alone = replace(good, lower_bound_per_hour=good.cost_per_hour)
    assert [violation.rule for violation in verify(problem, on_cost_alone)] == [Rule.BOUND]
