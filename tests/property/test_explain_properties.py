"""What an explanation says of random small fleets is true: planning again by hand gives the same figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medley_planner.explain import PriceSource, RelaxationKind, RelaxationResult, explain
from medley_planner.model import Plan, Pool, Problem, RoutingMode, Service
from medley_planner.optimize import plan, verify
from tests.unit.planner.explain.small import service, unpriced, variant

_CAPACITY = st.sampled_from((0.5, 1.0, 1.5, 2.0, 3.0))


@st.composite
def fleets(draw: st.DrawFn) -> Problem:
    """One or two services of one size of request on three pools, of which two are scarce."""
    services: list[Service] = []
    for index in range(draw(st.integers(1, 2))):
        variants = tuple(
            variant(name, draw(st.integers(1, 6)) / 2, draw(_CAPACITY), pool=name, gpus=draw(st.sampled_from((1, 2))))
            for name in "abc"
        )
        routing = draw(st.sampled_from((RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE, RoutingMode.PER_BUCKET)))
        services.append(service(*variants, rate=draw(st.integers(1, 12)) / 2, routing=routing, name=f"s{index}"))
    stocks = (draw(st.integers(0, 5)), draw(st.integers(0, 5)), draw(st.none() | st.integers(0, 4)))
    return Problem(tuple(services), tuple(Pool(name, stock) for name, stock in zip("abc", stocks, strict=True)))


def _unmet(planned: Plan) -> float:
    return sum(entry.rate_rps for one in planned.services for entry in one.unserved)


def _with_stock(problem: Problem, name: str, stock: int) -> Problem:
    pools = tuple(replace(pool, stock_gpus=stock) if pool.name == name else pool for pool in problem.pools)
    return replace(problem, pools=pools)


@settings(max_examples=60, deadline=None)
@given(fleets())
def test_figures_are_those_of_planning_again(problem: Problem) -> None:
    planned = plan(problem)
    assert verify(problem, planned) == ()
    told = explain(problem, unpriced(planned), seconds=60.0)
    for limit in told.limits:
        if limit.source is not PriceSource.NEW_PLAN:
            continue
        more = plan(_with_stock(problem, limit.name, round(limit.limit + limit.step)))
        assert limit.step_served_rps == pytest.approx(max(0.0, _unmet(planned) - _unmet(more)), abs=1e-6)
        if limit.step_saving_per_hour is not None:
            assert limit.step_saving_per_hour == pytest.approx(planned.cost_per_hour - more.cost_per_hour, abs=1e-6)
    for one, service_plan in zip(told.services, planned.services, strict=True):
        alone = [fleet.cost_per_hour for fleet in one.singles if fleet.cost_per_hour is not None]
        best = service_plan.best_single
        if service_plan.cost_per_hour > 0 and best is not None:
            assert min(alone) == pytest.approx(best.cost_per_hour)
    for entry in told.relaxations:
        assert entry.outcome is not RelaxationResult.NOT_TRIED
        if entry.kind is not RelaxationKind.STOCK or entry.needed is None:
            continue
        enough = _unmet(plan(_with_stock(problem, entry.name, round(entry.needed))))
        assert enough == pytest.approx(0.0, abs=1e-6)
        assert entry.smallest
        smallest = min(v.gpus_per_replica for one in problem.services for v in one.variants if v.pool == entry.name)
        assert _unmet(plan(_with_stock(problem, entry.name, round(entry.needed) - smallest))) > 1e-6
