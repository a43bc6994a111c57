"""The way to the solver: an answer, a proof, or nothing; never what the solver raises when it fails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ortools.linear_solver import pywraplp
from ortools.math_opt.core.python import solver
from ortools.math_opt.python import mathopt

from medley_planner.model import PlanStatus, Pool, Problem
from medley_planner.optimize import plan, verify
from medley_planner.optimize.program.linear_program import Basis, Program, ProgramBuilder, Proof
from medley_planner.optimize.program.mip import solve_integer, solve_linear, solve_relaxed
from tests.unit.planner.optimize.small import service, variant

_FAILURES = (RuntimeError, ValueError, AttributeError, TypeError, OverflowError, MemoryError, KeyError)


def _program(columns: int = 2) -> Program:
    """The least sum of whole numbers of which twice each, added up, is 3 or more."""
    builder = ProgramBuilder()
    made = [builder.column(upper=4.0, integer=True) for _ in range(columns)]
    builder.row(dict.fromkeys(made, 2.0), lower=3.0)
    return builder.minimise(dict.fromkeys(made, 1.0))


def _large() -> Program:
    """So many values that the relaxation is solved by the interface for large programs."""
    return _program(4000)


def _fail(monkeypatch: pytest.MonkeyPatch, raised: type[Exception]) -> None:
    def failing(*_: object, **__: object) -> None:
        raise raised("the solver failed")

    monkeypatch.setattr(mathopt, "solve", failing)
    monkeypatch.setattr(solver, "solve", failing)
    monkeypatch.setattr(pywraplp.Solver, "Solve", failing)


@pytest.mark.parametrize("raised", _FAILURES)
@pytest.mark.parametrize(
    "ask",
    [
        lambda: solve_integer(_program(), seconds=1.0, relative_gap=0.0),
        lambda: solve_linear(_program()),
        lambda: solve_relaxed(_program(), seconds=1.0)[0],
        lambda: solve_relaxed(_large(), seconds=1.0)[0],
    ],
    ids=["integer", "linear", "relaxed", "relaxed large"],
)
def test_a_solver_that_fails_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object], raised: type[Exception]
) -> None:
    assert ask().proof is Proof.OPTIMAL  # type: ignore[attr-defined]
    _fail(monkeypatch, raised)
    assert ask().proof is Proof.NOTHING  # type: ignore[attr-defined]


def test_a_basis_leads_to_the_same_optimum_with_more_columns() -> None:
    """What the first program does not know yet is cheaper, and an old basis is no more than a place to begin."""
    first, _ = solve_relaxed(_large(), seconds=1.0)
    assert first.basis is not None
    builder = ProgramBuilder()
    made = [builder.column(upper=4.0) for _ in range(4001)]
    builder.row(dict.fromkeys(made, 2.0), lower=3.0)
    wider = builder.minimise({column: 1.0 if column < 4000 else 0.5 for column in made})
    basis = Basis(np.append(first.basis.columns, 0), first.basis.rows)
    for start in (None, basis, Basis(np.zeros(4001, np.int64), np.zeros(1, np.int64))):
        found, duals = solve_relaxed(wider, seconds=1.0, start=start)
        assert found.bound == pytest.approx(0.75)
        assert list(duals) == pytest.approx([0.25])
        assert found.values[4000] == pytest.approx(1.5)


@pytest.mark.parametrize("services", [1, 2, 6])
def test_there_is_a_plan_without_any_solver(monkeypatch: pytest.MonkeyPatch, services: int) -> None:
    """Alone, jointly and by columns."""
    _fail(monkeypatch, AttributeError)
    pools = (Pool("small", stock_gpus=2 * services), Pool("large"))
    fleet = tuple(
        service(9.0, variant("small", 4.0, 1.0), variant("large", 20.0, 4.5), name=f"s{number}")
        for number in range(services)
    )
    problem = Problem(fleet, pools)
    found = plan(problem)
    assert verify(problem, found) == ()
    assert found.status in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE)


def test_numbers_that_the_solver_cannot_count_in_are_planned_all_the_same() -> None:
    """At 1e9 requests per second SCIP gives up, and OR-Tools raises what it cannot read of its status."""
    asked = service(
        1e9,
        variant("small", (5.0, 2.0, 2.5, 1.0), 0.81),
        variant("large", (60.0, 40.0, 35.0, 20.0), 6.88),
        prompt_tokens=(1.0, 2.0, 3.0, 4.0),
    )
    problem = Problem((asked,), (Pool("small"), Pool("large")))
    found = plan(problem)
    assert verify(problem, found) == ()
    assert not found.services[0].unserved
    assert found.gap < 1e-3
