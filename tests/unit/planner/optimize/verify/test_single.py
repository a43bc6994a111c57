"""The fleet of one GPU type beside a plan keeps the plan's limits, and costs no more than the plan claims."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.model import Plan, Pool, SingleType
from medley_planner.optimize import Rule, verify
from tests.plan_by_hand import plan_of
from tests.unit.planner.optimize.small import service, variant
from tests.unit.planner.optimize.verify.cases import CHEAP, DEAR, problem_of


def _with_single(plan: Plan, single: SingleType) -> Plan:
    return replace(plan, services=(replace(plan.services[0], best_single=single), *plan.services[1:]))


def test_a_single_type_must_keep_the_limits_that_the_plan_keeps() -> None:
    single = SingleType("cheap", 4, 4.0)
    spot = problem_of(service(4.0, CHEAP, DEAR, spot_max_share=0.5), cheap=Pool("cheap", spot=True))
    violations = verify(spot, _with_single(plan_of(spot, [(2, 2)]), single))
    assert [violation.rule for violation in violations] == [Rule.BEST_SINGLE]
    assert "spot" in violations[0].message
    short = problem_of(service(4.0, CHEAP, DEAR), cheap=Pool("cheap", 3))
    assert Rule.BEST_SINGLE in {v.rule for v in verify(short, _with_single(plan_of(short, [(3, 1)]), single))}


def test_a_cheaper_single_type_is_no_fault_where_switching_to_it_is_dearer() -> None:
    runs = variant("runs", 1.0, 1.2, current_replicas=4)
    new = variant("new", 1.0, 1.0, startup_seconds=1800.0)
    problem = problem_of(service(4.0, runs, new))
    single = SingleType("new", 4, 4.0)
    assert verify(problem, _with_single(plan_of(problem, [(4, 0)]), single)) == ()
    idle = problem_of(service(4.0, replace(runs, current_replicas=0), replace(new, startup_seconds=0.0)))
    assert Rule.BEST_SINGLE in {v.rule for v in verify(idle, _with_single(plan_of(idle, [(4, 0)]), single))}
