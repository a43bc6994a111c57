"""The real planner in the real worker, and what the verifier refuses never gets out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.fleet import planning
from medley_operator.fleet.worker import PlanWorker
from medley_planner.fleet_plan import FleetPlan, PlanFailure
from medley_planner.model import (
    Bucket,
    Demand,
    LimitKind,
    Plan,
    PlanStatus,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.optimize import Rule, Violation

DEMAND = Demand(rate_rps=10.0, buckets=(Bucket(500.0, 150.0),), shares=(1.0,), size_source=SizeSource.STATIC)
VARIANT = Variant("l4", "l4", "L4", 1, 0.8, (3.0,), Provenance.GIVEN)
PROBLEM = Problem(
    services=(Service("demo/chat", DEMAND, (VARIANT,), RoutingMode.SERVICE),), pools=(Pool("l4", stock_gpus=8),)
)


async def test_the_worker_plans_and_verifies() -> None:
    worker = PlanWorker(memory_bytes=1024**3)
    try:
        plan = await worker.solve(PROBLEM, deadline_seconds=10.0)
    finally:
        await worker.close()
    assert isinstance(plan, Plan)
    assert plan.status is PlanStatus.OPTIMAL
    assert plan.services[0].replicas() == {"l4": 4}


def test_what_tokens_cost_and_what_binds_is_found_out_beside_the_plan() -> None:
    idle = Service("demo/idle", replace(DEMAND, rate_rps=0.0), (VARIANT,), RoutingMode.SERVICE)
    narrow = replace(PROBLEM, services=(*PROBLEM.services, idle), pools=(Pool("l4", stock_gpus=4),))
    plan = planning.plan_and_verify(narrow, 10.0, {})
    assert isinstance(plan, FleetPlan)
    # 10 requests/s of 500 + 150 tokens are 23.4 million an hour, for $3.2.
    assert plan.token_costs == {"demo/chat": pytest.approx(3.2 / 23.4)}
    assert [(use.kind, use.name, use.used, use.limit) for use in plan.binding["demo/chat"]] == [
        (LimitKind.STOCK, "l4", 4.0, 4.0)
    ]
    roomy = planning.plan_and_verify(PROBLEM, 10.0, {})
    assert isinstance(roomy, FleetPlan)
    assert roomy.binding == {"demo/chat": ()}


def test_a_plan_that_breaks_a_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    violation = Violation("demo/chat", Rule.CAPACITY, "too full")
    monkeypatch.setattr("medley_planner.planning.verify", lambda *_: (violation,))
    refused = planning.plan_and_verify(PROBLEM, 10.0, {})
    assert isinstance(refused, PlanFailure)
    assert refused.reason == "PlanRejected"
    assert "demo/chat" in refused.message
