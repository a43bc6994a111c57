"""Talks to the solver: OR-Tools with SCIP for integer programs (MathOpt) and GLOP for linear ones.

SCIP rather than HiGHS: on one service of 8 variants x 60 buckets both take some 30 to 40 ms, but HiGHS through MathOpt
takes no thread count and writes to standard output. One thread and a fixed seed make equal input give equal output as
long as the time limit does not bind. No other module imports OR-Tools (an import
contract), which is imported on first use: it takes half a second, which a command that only refuses its input should
not pay.

A solver that fails must not fail the plan, since every caller has a fallback that needs none. OR-Tools lets it be known
by whatever its layers raise (a status as RuntimeError or ValueError, AttributeError where it cannot read its own
status, TypeError for a figure that no message holds), so each way in answers `Proof.NOTHING` to any exception.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from medley_planner.optimize.program.linear_program import Basis, Ints, Program, Proof, SolveResult

T = TypeVar("T")

_SEED = 20260101
_NOTHING = SolveResult(Proof.NOTHING)
_NO_DUALS: tuple[SolveResult, tuple[float, ...]] = (_NOTHING, ())
_LINEAR_SECONDS = 10.0
"""For SCIP, where GLOP gives up on a small program."""
_LINEAR_WORK, _MOST_PIVOTS = "max_deterministic_time: 10", 100_000
"""GLOP's limits of work where no time is given: small programs need a thousandth of it."""
_FEW_VALUES = 3_000
"""Values other than 0 up to which the older interface to GLOP is the quicker one."""
_FEASIBILITY_TOLERANCE = 1e-9
"""Tighter than SCIP's 1e-6: a replica count of 1e-7 must not carry load while it counts as zero."""


def solve_integer(
    program: Program,
    *,
    seconds: float,
    relative_gap: float,
    hint: Mapping[int, float] | None = None,
    cuts: bool = False,
    node_limit: int | None = None,
) -> SolveResult:
    """Solves to `relative_gap` or until `seconds` have passed; `hint` is a part of a solution to begin with.

    `cuts`: cutting planes and full presolve. Measured: on one service of 8 x 60 they make the slowest of 60 solves ten
    times slower (median 53 against 33 ms); for services coupled by stock they make the difference between a proof in
    seconds and none.
    """
    from ortools.math_opt.python import mathopt
    from ortools.math_opt.solvers.gscip import gscip_pb2

    settings = gscip_pb2.GScipParameters()
    settings.real_params["numerics/feastol"] = _FEASIBILITY_TOLERANCE
    parameters = mathopt.SolveParameters(
        time_limit=datetime.timedelta(seconds=max(seconds, 0.001)),
        relative_gap_tolerance=relative_gap,
        threads=1,
        random_seed=_SEED,
        cuts=mathopt.Emphasis.MEDIUM if cuts else mathopt.Emphasis.OFF,
        presolve=mathopt.Emphasis.MEDIUM if cuts else mathopt.Emphasis.LOW,
        node_limit=node_limit,
        gscip=settings,
    )
    return _unless_it_fails(lambda: _solve(program, mathopt.SolverType.GSCIP, parameters, hint or {}), _NOTHING)


def solve_linear(program: Program) -> SolveResult:
    """Solves a program without integer columns; small ones only, so in effect without a time limit."""
    outcome, _ = _unless_it_fails(lambda: _solve_by_glop(program, seconds=None), _NO_DUALS)
    if outcome.proof is Proof.NOTHING:
        # GLOP gives up as "imprecise" on some badly scaled programs that SCIP solves, if more slowly.
        outcome = solve_integer(program, seconds=_LINEAR_SECONDS, relative_gap=0.0)
    return outcome


def solve_relaxed(
    program: Program, *, seconds: float | None = None, start: Basis | None = None
) -> tuple[SolveResult, tuple[float, ...]]:
    """The program without its whole numbers, and the dual value of each row (empty where it was not solved).

    Without `seconds` work has a limit and not time: for small programs. `start` is where a large program begins. With
    minimising, a row's value is what the objective gains for one more of its limit: not above 0 for an upper one.
    """
    if len(program.values) <= _FEW_VALUES:
        outcome, duals = _unless_it_fails(lambda: _solve_by_glop(program, seconds=seconds), _NO_DUALS)
    else:
        outcome, duals = _unless_it_fails(lambda: _solve_relaxed(program, seconds=seconds, start=start), _NO_DUALS)
    return (outcome, duals) if outcome.proof is Proof.OPTIMAL else _NO_DUALS


def _unless_it_fails(solve: Callable[[], T], otherwise: T) -> T:
    """The solver's answer; `otherwise` where it fails, by whatever it then raises (see above)."""
    try:
        return solve()
    except Exception:  # noqa: BLE001 - see above
        return otherwise


def _solve_relaxed(
    program: Program, *, seconds: float | None, start: Basis | None
) -> tuple[SolveResult, tuple[float, ...]]:
    """GLOP through the interface that takes a whole program at once, and gives it back as it is: what MathOpt makes of
    it in Python takes as long as solving."""
    from ortools.math_opt import callback_pb2
    from ortools.math_opt.core.python import solver
    from ortools.math_opt.python import mathopt

    limit = None if seconds is None else datetime.timedelta(seconds=max(seconds, 0.001))
    parameters = mathopt.SolveParameters(
        time_limit=limit, iteration_limit=_MOST_PIVOTS if limit is None else None, threads=1, random_seed=_SEED
    )
    # Most columns are 0, and nobody asks for reduced costs.
    wanted = mathopt.ModelSolveParameters(
        variable_values_filter=mathopt.VariableFilter(skip_zero_values=True),
        reduced_costs_filter=mathopt.VariableFilter(skip_zero_values=True, filtered_items=()),
    ).to_proto()
    if start is not None and _basic(start.columns) + _basic(start.rows) == len(start.rows):
        for status, known in (
            (wanted.initial_basis.variable_status, start.columns),
            (wanted.initial_basis.constraint_status, start.rows),
        ):
            status.ids.extend(range(len(known)))
            status.values.extend(np.where(known > 0, known, mathopt.BasisStatus.AT_LOWER_BOUND.value).tolist())
    result = solver.solve(
        _to_proto(program, whole=False),
        mathopt.SolverType.GLOP.value,
        mathopt.StreamableSolverInitArguments().to_proto(),
        parameters.to_proto(),
        wanted,
        None,
        callback_pb2.CallbackRegistrationProto(),
        None,
        None,
    )
    if result.termination.reason != mathopt.TerminationReason.OPTIMAL.value:
        return _NO_DUALS
    found = result.solutions[0]
    values = _dense(found.primal_solution.variable_values, len(program.costs))
    duals = _dense(found.dual_solution.dual_values, len(program.row_lower))
    basis = Basis(
        np.array(_dense(found.basis.variable_status, len(program.costs)), np.int64),
        np.array(_dense(found.basis.constraint_status, len(program.row_lower)), np.int64),
    )
    return SolveResult(Proof.OPTIMAL, values, found.primal_solution.objective_value, basis), duals


def _basic(statuses: Ints) -> int:
    """How many are in the basis, of which there are as many as rows."""
    from ortools.math_opt.python import mathopt

    return int((statuses == mathopt.BasisStatus.BASIC.value).sum())


def _dense(sparse: Any, size: int) -> tuple[float, ...]:
    """A vector of the solver's; 0 where it names nothing."""
    found = np.zeros(size)
    found[np.array(sparse.ids, np.int64)] = sparse.values
    return tuple(found.tolist())


def _solve_by_glop(program: Program, *, seconds: float | None) -> tuple[SolveResult, tuple[float, ...]]:
    """GLOP through the older interface, which begins in a tenth of the time: most linear programs here are tiny."""
    from ortools.linear_solver import pywraplp

    solver = pywraplp.Solver("", pywraplp.Solver.GLOP_LINEAR_PROGRAMMING)
    if seconds is None:
        solver.SetSolverSpecificParametersAsString(_LINEAR_WORK)
    else:
        solver.SetTimeLimit(max(1, round(1000 * seconds)))
    columns = [solver.NumVar(low, high, "") for low, high in zip(program.lower, program.upper, strict=True)]
    rows = [solver.Constraint(low, high) for low, high in zip(program.row_lower, program.row_upper, strict=True)]
    for row, column, value in zip(program.rows, program.columns, program.values, strict=True):
        rows[row].SetCoefficient(columns[column], value)
    objective = solver.Objective()
    objective.SetMinimization()
    for column, cost in zip(columns, program.costs, strict=True):
        if cost:
            objective.SetCoefficient(column, cost)
    status = solver.Solve()
    if status == pywraplp.Solver.INFEASIBLE:
        return SolveResult(Proof.INFEASIBLE), ()
    if status != pywraplp.Solver.OPTIMAL:
        return SolveResult(Proof.NOTHING), ()
    values = tuple(column.solution_value() for column in columns)
    return SolveResult(Proof.OPTIMAL, values, objective.Value()), tuple(row.dual_value() for row in rows)


def _solve(program: Program, solver: Any, parameters: Any, hint: Mapping[int, float]) -> SolveResult:
    from ortools.math_opt.python import mathopt

    model = mathopt.Model.from_model_proto(_to_proto(program, whole=True))
    begin = mathopt.ModelSolveParameters()
    if hint:
        values = {model.get_variable(column): value for column, value in hint.items()}
        begin.solution_hints.append(mathopt.SolutionHint(variable_values=values))
    result = mathopt.solve(model, solver, params=parameters, model_params=begin)
    reason = result.termination.reason
    # All costs and columns are bounded below, so "infeasible or unbounded" can only mean infeasible.
    if reason in (mathopt.TerminationReason.INFEASIBLE, mathopt.TerminationReason.INFEASIBLE_OR_UNBOUNDED):
        return SolveResult(Proof.INFEASIBLE)
    bound = float(result.best_objective_bound())
    bound = bound if math.isfinite(bound) else -math.inf
    if not result.has_primal_feasible_solution():
        return SolveResult(Proof.NOTHING, bound=bound)
    proof = Proof.OPTIMAL if reason is mathopt.TerminationReason.OPTIMAL else Proof.INCUMBENT
    solution = result.variable_values()
    return SolveResult(proof, tuple(solution[variable] for variable in model.variables()), bound)


def _to_proto(program: Program, *, whole: bool) -> Any:
    """The protocol buffer directly: building 500 variables and their rows one call each costs more than solving."""
    from ortools.math_opt import model_pb2

    proto = model_pb2.ModelProto()
    columns = len(program.costs)
    proto.variables.ids.extend(range(columns))
    proto.variables.lower_bounds.extend(program.lower)
    proto.variables.upper_bounds.extend(program.upper)
    proto.variables.integers.extend(program.integer if whole else [False] * columns)
    priced = [column for column in range(columns) if program.costs[column]]
    proto.objective.linear_coefficients.ids.extend(priced)
    proto.objective.linear_coefficients.values.extend(program.costs[column] for column in priced)
    proto.linear_constraints.ids.extend(range(len(program.row_lower)))
    proto.linear_constraints.lower_bounds.extend(program.row_lower)
    proto.linear_constraints.upper_bounds.extend(program.row_upper)
    proto.linear_constraint_matrix.row_ids.extend(program.rows)
    proto.linear_constraint_matrix.column_ids.extend(program.columns)
    proto.linear_constraint_matrix.coefficients.extend(program.values)
    return proto
