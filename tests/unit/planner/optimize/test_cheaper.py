"""The fleet that a plan leaves aside for what its start costs: the cheapest of a plan that knows nothing of starts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import NodePrice, Plan, Pool, Problem, RoutingMode
from medley_planner.optimize import plan, verify
from tests.generator import changed, fleet, running, small_service

STARTUP_SECONDS = 900.0


def moved(problem: Problem, *, stay_seconds: float) -> Problem:
    """The replicas of the problem's plan run, and the load is another."""
    dear = running(problem, plan(problem), startup_seconds=STARTUP_SECONDS, stay_seconds=stay_seconds)
    later = small_service(int(problem.services[0].name.removeprefix("small-")) + 1000).services[0].demand.rate_rps
    services = (replace(dear.services[0], demand=replace(dear.services[0].demand, rate_rps=later)),)
    return replace(dear, services=services)


def unbound(problem: Problem) -> Plan:
    """The plan that is made where starts cost nothing."""
    services = tuple(
        replace(each, variants=tuple(replace(one, startup_seconds=0.0, current_replicas=0) for one in each.variants))
        for each in problem.services
    )
    return plan(replace(problem, services=services))


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_it_is_what_a_plan_without_charges_takes(routing: RoutingMode) -> None:
    named = 0
    for seed in range(25):
        problem = moved(small_service(seed, routing), stay_seconds=600.0)
        made, best = plan(problem), unbound(problem)
        assert verify(problem, made) == ()
        cheaper = made.services[0].cheaper
        saving = made.cost_per_hour - best.cost_per_hour
        if cheaper is None:
            assert saving <= made.cost_per_hour * problem.steady_within + 1e-9
            continue
        named += 1
        assert cheaper.saving_per_hour == pytest.approx(saving, rel=1e-3)
        assert cheaper.leaving_cost > 0
    assert named >= 3


def test_none_is_named_where_nothing_runs_or_starts_are_free() -> None:
    problem = small_service(3, RoutingMode.HTTP_ROUTE)
    assert plan(problem).services[0].cheaper is None
    assert plan(moved(problem, stay_seconds=float("inf"))).services[0].cheaper is None


@pytest.mark.parametrize("stock", [None, 0.7])
def test_many_services_are_priced_in_one_pass(stock: float | None) -> None:
    before = fleet(20, seed=5, stock_fraction=stock)
    first = plan(before)
    problem = running(changed(before, seed=5), first, startup_seconds=STARTUP_SECONDS, stay_seconds=1.0)
    # Nothing is kept running for the sake of few changes, so that all that the plan costs more is for starts.
    problem = replace(problem, steady_within=0.0)
    made = plan(problem, last=first)
    assert verify(problem, made) == ()
    named = [each.cheaper for each in made.services if each.cheaper is not None]
    assert named
    saved = sum(each.saving_per_hour for each in named)
    if stock is None:
        # Nothing is shared that could run out, so what all of them save is what the fleet would.
        assert saved == pytest.approx(made.cost_per_hour - unbound(problem).cost_per_hour, rel=1e-3)


def test_idle_parts_of_whole_nodes_count() -> None:
    problem = small_service(1, RoutingMode.HTTP_ROUTE)
    service = problem.services[0]
    first, second = (replace(each, capacity_rps=(1.0,) * len(each.capacity_rps)) for each in service.variants[:2])
    old = replace(first, cost_per_hour=2.0, current_replicas=1, startup_seconds=600.0)
    new = replace(second, cost_per_hour=1.5, startup_seconds=600.0)
    asked = replace(service, demand=replace(service.demand, rate_rps=1.0), variants=(old, new), stay_seconds=60.0)
    pools = (Pool(old.pool), Pool(new.pool, node_price=NodePrice(4, 6.0)))
    (alone,) = plan(Problem((asked,), pools)).services
    assert alone.cheaper is None, "a node of four for one replica costs 6"
    (made,) = plan(Problem((asked,), (Pool(old.pool), Pool(new.pool)))).services
    assert made.cheaper is not None
    assert made.cheaper.replicas == (0, 1)
    figures = (made.cheaper.saving_per_hour, made.cheaper.leaving_cost)
    assert figures == pytest.approx((0.5, 1.5 * 600 / 3600))
