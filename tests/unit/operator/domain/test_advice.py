"""A plan that is acted on and one that is not, joined: both where both exist, and one where the other failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.domain.advice import with_advice
from medley_planner.fleet_plan import FleetPlan, PlanFailure
from medley_planner.model import Plan
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import planned

LATE = PlanFailure("SolverTimeout", "late")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planned(make.snapshot(make.service()))


def test_one_alone_is_itself(plan: Plan) -> None:
    assert with_advice(plan, None) is plan
    assert with_advice(None, plan) is plan
    assert with_advice(None, None) is None


def test_where_one_failed_the_other_counts(plan: Plan) -> None:
    assert with_advice(plan, LATE) is plan
    assert with_advice(LATE, plan) is plan
    assert with_advice(None, LATE) is LATE
    assert with_advice(LATE, LATE) is LATE


def test_two_plans_have_the_services_and_the_bounds_of_both(plan: Plan) -> None:
    other = FleetPlan.of(
        replace(plan, services=tuple(replace(each, service="demo/other") for each in plan.services)),
        token_costs={"demo/other": 1.0},
    )
    both = with_advice(plan, other)
    assert isinstance(both, FleetPlan)
    assert [each.service for each in both.services] == ["demo/llama", "demo/other"]
    assert both.cost_per_hour == pytest.approx(2 * plan.cost_per_hour)
    assert both.lower_bound_per_hour == pytest.approx(2 * plan.lower_bound_per_hour)
    assert both.gap == pytest.approx(plan.gap)
    assert both.token_costs == {"demo/other": 1.0}
