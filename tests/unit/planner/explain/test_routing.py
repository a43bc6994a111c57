"""The saving of one service with the next better router, all others as they are planned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.explain import routing_saving, routing_savings
from medley_planner.fleet_plan import RoutingSaving
from medley_planner.model import PlanStatus, RoutingMode
from tests.unit.planner.explain.small import about, planned, problem, service, variant

FAST = variant("fast", 3.0, 4.0)
SLOW = variant("slow", 1.0, 1.0)


def test_weights_save_what_equal_shares_waste() -> None:
    asked = problem(service(FAST, SLOW, rate=5.0, routing=RoutingMode.SERVICE))
    plan = planned(asked)
    # By pod five slow ones ($5) are best; by weight one fast takes 4 of 5 requests/s and one slow the fifth ($4).
    assert plan.cost_per_hour == about(5.0)
    saving = routing_saving(asked, plan, "chat", seconds=5.0)
    assert saving == RoutingSaving(
        "chat",
        RoutingMode.SERVICE,
        RoutingMode.HTTP_ROUTE,
        about(1.0),
        0.0,
    )


def test_it_is_nothing_on_what_the_others_leave() -> None:
    mine = service(FAST, SLOW, rate=5.0, routing=RoutingMode.SERVICE, name="mine")
    other = service(FAST, rate=4.0, routing=RoutingMode.PER_BUCKET, name="other")
    asked = problem(mine, other, fast=1)
    plan = planned(asked)
    assert plan.services[1].replicas() == {"fast": 1}
    saving = routing_saving(asked, plan, "mine", seconds=5.0)
    assert saving is not None
    assert (saving.saving_per_hour, saving.more_served_rps) == (0.0, 0.0)


def test_a_better_router_may_serve_more() -> None:
    # By pod each of the two pods must carry half, which the slow one cannot; by weight it carries a fifth.
    asked = problem(service(FAST, SLOW, rate=5.0, routing=RoutingMode.SERVICE), fast=1, slow=1)
    plan = planned(asked)
    unmet = sum(entry.rate_rps for entry in plan.services[0].unserved)
    assert unmet > 0
    saving = routing_saving(asked, plan, "chat", seconds=5.0)
    assert saving is not None
    assert (saving.saving_per_hour, saving.more_served_rps) == (0.0, about(unmet))


def test_all_services_and_none_without_better_mode_or_time() -> None:
    by_pod = service(FAST, SLOW, rate=5.0, routing=RoutingMode.SERVICE, name="pod")
    by_size = service(FAST, SLOW, rate=5.0, routing=RoutingMode.PER_BUCKET, name="size")
    idle = service(FAST, rate=0.0, routing=RoutingMode.SERVICE, name="idle")
    asked = problem(by_pod, by_size, idle)
    plan = planned(asked)
    savings = routing_savings(asked, plan, seconds=5.0)
    assert savings["pod"] is not None
    assert savings["pod"].saving_per_hour == about(1.0)
    assert savings["size"] is None
    assert savings["idle"] is not None
    assert savings["idle"].saving_per_hour == 0.0
    assert routing_savings(asked, plan, seconds=0)["pod"] is None
    assert routing_saving(asked, plan, "pod", seconds=0) is None


def test_a_name_that_is_not_there() -> None:
    asked = problem(service(FAST, rate=1.0))
    with pytest.raises(KeyError):
        routing_saving(asked, planned(asked), "other", seconds=1.0)


def test_a_plan_that_was_not_brought_to_its_end_is_planned_again_first() -> None:
    """A saving must not be what the plan itself had missed."""
    asked = problem(service(FAST, SLOW, rate=5.0, routing=RoutingMode.SERVICE))
    plan = planned(asked)
    (one,) = plan.services
    dear = tuple(replace(part, replicas=2 if part.variant == "fast" else 0) for part in one.variants)
    # Two fast ones for $6, where five slow ones for $5 would do.
    poor = replace(plan, status=PlanStatus.FEASIBLE, cost_per_hour=6.0, gap=1 / 6)
    poor = replace(poor, services=(replace(one, status=PlanStatus.FEASIBLE, variants=dear, cost_per_hour=6.0),))
    saving = routing_saving(asked, poor, "chat", seconds=5.0)
    assert saving is not None
    assert saving.saving_per_hour == about(1.0)
