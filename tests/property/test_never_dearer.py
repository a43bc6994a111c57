"""A plan is never dearer than the published slice program at any slice factor, than rounding, than one type alone.

On drawn services whose router sees sizes, headroom and limits off, which is what those plan. The slice program is
solved by CBC and its answer summed anew in our own terms before it is compared. Costs are compared to the relative gap
that a plan proves by default.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from medley_planner.model import PlanStatus, Problem
from medley_planner.optimize import plan, verify
from tests.generator import eight_pools, few_sizes, small_service, thirty_variants
from tests.perf.baselines.simple import cheapest_single, rounded_relaxation
from tests.perf.baselines.slice_ilp import cost_of, solve_slices

_GAP = 1e-5
_FACTORS = (1, 4, 8)
_LIMIT_CPU_SECONDS = 10.0


def _cost(problem: Problem) -> float:
    planned = plan(problem)
    assert verify(problem, planned) == ()
    assert planned.status is PlanStatus.OPTIMAL
    return planned.cost_per_hour


@pytest.mark.parametrize("seed", range(40))
def test_no_slice_factor_gives_a_cheaper_fleet(seed: int) -> None:
    problem = small_service(seed)
    cost = _cost(problem)
    sliced = [
        solve_slices(problem.services[0], slice_factor=factor, limit_cpu_seconds=_LIMIT_CPU_SECONDS)
        for factor in _FACTORS
    ]
    assert all(answer.proven for answer in sliced)
    for answer in sliced:
        assert cost <= answer.cost_per_hour * (1 + _GAP)
    coarse, middle, fine = (answer.cost_per_hour for answer in sliced)
    assert fine <= middle * (1 + _GAP)
    assert middle <= coarse * (1 + _GAP)


def test_slices_are_dearer_often_enough_for_the_comparison_to_mean_something() -> None:
    dearer = 0
    for seed in range(40):
        problem = small_service(seed)
        answer = solve_slices(problem.services[0], slice_factor=1, limit_cpu_seconds=_LIMIT_CPU_SECONDS)
        dearer += answer.cost_per_hour > _cost(problem) * (1 + 1e-3)
    assert dearer >= 3


@pytest.mark.parametrize("make", [small_service, few_sizes, eight_pools])
def test_neither_rounding_nor_one_type_alone_is_cheaper(make: Callable[[int], Problem]) -> None:
    alone = rounded = 0
    for seed in range(30):
        problem = make(seed)
        (service,) = problem.services
        cost = _cost(problem)
        single, each = cheapest_single(service), rounded_relaxation(service)
        if single is not None:
            alone += 1
            assert cost <= cost_of(service, single) * (1 + _GAP)
        if each is not None:
            rounded += 1
            assert cost <= cost_of(service, each) * (1 + _GAP)
    assert alone >= 20
    assert rounded == 30


def test_thirty_variants_are_never_dearer_than_the_best_of_them_alone() -> None:
    for seed in range(6):
        problem = thirty_variants(seed)
        single = cheapest_single(problem.services[0])
        assert single is not None
        assert _cost(problem) <= cost_of(problem.services[0], single) * (1 + _GAP)
