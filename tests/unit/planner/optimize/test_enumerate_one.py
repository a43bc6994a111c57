"""A small plain service is planned without the integer program, and as cheaply as with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import NodePrice, Pool, Problem, RoutingMode, Service
from medley_planner.optimize import plan, verify
from medley_planner.optimize.enumerate_one import plain, solve_small
from medley_planner.optimize.program import mip
from medley_planner.optimize.program.solve import solve_tasks
from medley_planner.optimize.task.cost import objective_per_hour
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import Room, shared_room
from medley_planner.optimize.task.task import Task
from tests.generator import few_sizes, running, small_service


def _made(problem: Problem) -> tuple[Task, Room]:
    room = shared_room(problem)
    return prepare(problem.services[0], room).first, room


def _agree(problem: Problem) -> None:
    task, room = _made(problem)
    found = solve_small(task, room)
    wanted = solve_tasks([task], room, seconds_left=lambda: 10.0, relative_gap=1e-9)
    assert found is not None
    assert wanted is not None
    cost = objective_per_hour(task, found.answers[0].replicas)
    assert cost == pytest.approx(objective_per_hour(task, wanted.answers[0].replicas), rel=1e-7)
    assert found.bound == pytest.approx(cost, rel=1e-12)
    assert found.proven


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_costs_what_the_integer_program_says(routing: RoutingMode) -> None:
    for seed in range(40):
        _agree(small_service(seed, routing))


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_weighs_starting_as_the_integer_program_does(routing: RoutingMode) -> None:
    for seed in range(20):
        problem = small_service(seed, routing)
        later = small_service(seed + 1000, routing).services[0].demand.rate_rps
        moved = replace(problem.services[0], demand=replace(problem.services[0].demand, rate_rps=later))
        problem = running(problem, plan(problem), startup_seconds=600.0, stay_seconds=900.0)
        service = replace(problem.services[0], demand=moved.demand)
        _agree(replace(problem, services=(service,)))


def test_needs_no_solver_for_a_few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the integer program was asked")

    monkeypatch.setattr(mip, "_solve", refuse)
    for seed in range(12):
        problem = few_sizes(seed)
        made = plan(problem)
        assert not verify(problem, made)
        assert made.gap == pytest.approx(0.0, abs=1e-12)


def _service(**fields: object) -> Problem:
    problem = small_service(3)
    return replace(problem, services=(replace(problem.services[0], **fields),))  # type: ignore[arg-type]


def _variant(**fields: object) -> Problem:
    problem = small_service(3)
    service: Service = problem.services[0]
    first = replace(service.variants[0], **fields)  # type: ignore[arg-type]
    return replace(problem, services=(replace(service, variants=(first, *service.variants[1:])),))


def _pool(pool: Pool) -> Problem:
    problem = small_service(3)
    return replace(problem, pools=(replace(pool, name=problem.pools[0].name), *problem.pools[1:]))


@pytest.mark.parametrize(
    "problem",
    [
        _service(n_plus_one=True),
        _service(zone_spread=True),
        _service(max_cost_per_hour=1000.0),
        _service(on_demand_min_replicas=1),
        _service(min_replicas=1),
        _service(max_replicas=100),
        _variant(min_replicas=1),
        _variant(max_replicas=100),
        _pool(Pool("", stock_gpus=100)),
        _pool(Pool("", node_gpus=(8, 8))),
        _pool(Pool("", node_price=NodePrice(1, 1.0))),
    ],
)
def test_leaves_rules_and_limits_to_the_integer_program(problem: Problem) -> None:
    assert not plain(*_made(problem))
    assert solve_small(*_made(problem)) is None
