"""More than 2,000 small problems, planned and tried out in full: every routing mode, every feature, and mixes of them.

A plan for each passes the verifier, costs with switching what the best fleet costs, proves no more than that, and is
whole exactly if there is a fleet that serves all. A failure names the seed: `small_problem(features_of(case, seed=s),
routing, seed=s)` draws the problem again.
"""

from __future__ import annotations

import math

import pytest

from medley_planner.model import PlanStatus, Problem, RoutingMode
from medley_planner.optimize import plan, verify
from tests.brute_force import optimum
from tests.small_problems import CASES, Feature, features_of, small_problem

_EACH = 40
_TOLERANCE = 1e-4
"""Relative; what the solver's own gap may leave."""


@pytest.mark.parametrize("routing", list(RoutingMode))
@pytest.mark.parametrize("case", CASES, ids=lambda case: (case or "a mix").replace(" ", "-"))
def test_plans_cost_what_the_best_fleet_costs(case: Feature | None, routing: RoutingMode) -> None:
    wrong = []
    for seed in range(_EACH):
        problem = small_problem(features_of(case, seed=seed), routing, seed=seed)
        try:
            found = _disagreement(problem)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        if found:
            wrong.append(f"seed {seed}: {found}")
    assert not wrong, "\n".join([f"{len(wrong)} of {_EACH} disagree", *wrong[:5]])


def test_there_are_enough_of_them() -> None:
    assert len(CASES) * len(RoutingMode) * _EACH >= 2000


def _disagreement(problem: Problem) -> str:
    """What is wrong with the plan of the problem; empty if nothing is."""
    best = optimum(problem)
    planned = plan(problem)
    violations = verify(problem, planned)
    if violations:
        return f"best {best}, but the plan breaks {violations}"
    whole = planned.status in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE)
    if best is None:
        return "the plan is whole, but no fleet serves all" if whole else ""
    cost = planned.cost_per_hour + planned.switching_cost_per_hour
    told = f"status {planned.status}, cost {cost:.6f}, bound {planned.lower_bound_per_hour:.6f}, best {best:.6f}"
    if planned.status is not PlanStatus.OPTIMAL:
        return told
    if not math.isclose(cost, best, rel_tol=_TOLERANCE, abs_tol=1e-9):
        return told
    return told if planned.lower_bound_per_hour > best * (1 + 1e-6) + 1e-9 else ""
