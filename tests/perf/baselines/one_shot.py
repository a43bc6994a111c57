"""One integer program for a whole fleet, given to HiGHS and to CP-SAT as it is: what a planner without columns has."""

from __future__ import annotations

import datetime
import math
import time
from typing import Any

from ortools.linear_solver import pywraplp
from ortools.math_opt.python import mathopt

from medley_planner.model import Plan, Problem
from medley_planner.optimize.program.formulation import formulate
from medley_planner.optimize.program.linear_program import Program
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import shared_room

UP_TO = 100


def one_shot(problem: Problem, made: Plan, *, seconds: float) -> dict[str, Any]:
    """Parts by which both are dearer than `made` within so many seconds, None where they find nothing; of fleets whose
    plan serves all demand."""
    if len(problem.services) > UP_TO or made.shortages:
        return {}
    room = shared_room(problem)
    tasks = [prepare(service, room).first for service in problem.services]
    form = formulate(tasks, room, soft_demand=False, soft_minima=False)
    program = form.builder.minimise(form.cost)
    objective = made.cost_per_hour + made.switching_cost_per_hour
    found: dict[str, Any] = {}
    for name, solve in (("HiGHS", _by_highs), ("CP-SAT", _by_cp_sat)):
        started = time.perf_counter()
        cost = solve(program, seconds)
        found[name] = {
            "seconds": time.perf_counter() - started,
            "dearer": None if cost is None else cost / objective - 1,
        }
    return found


def _by_highs(program: Program, seconds: float) -> float | None:
    model = mathopt.Model()
    columns = [
        model.add_variable(lb=low, ub=high, is_integer=whole)
        for low, high, whole in zip(program.lower, program.upper, program.integer, strict=True)
    ]
    rows = [
        model.add_linear_constraint(lb=low, ub=high)
        for low, high in zip(program.row_lower, program.row_upper, strict=True)
    ]
    for row, column, value in zip(program.rows, program.columns, program.values, strict=True):
        rows[row].set_coefficient(columns[column], value)
    model.minimize(mathopt.LinearSum([cost * column for cost, column in zip(program.costs, columns, strict=True)]))
    limit = mathopt.SolveParameters(time_limit=datetime.timedelta(seconds=seconds))
    result = mathopt.solve(model, mathopt.SolverType.HIGHS, params=limit)
    return float(result.objective_value()) if result.has_primal_feasible_solution() else None


def _by_cp_sat(program: Program, seconds: float) -> float | None:
    solver = pywraplp.Solver("", pywraplp.Solver.SAT_INTEGER_PROGRAMMING)
    solver.SetTimeLimit(round(1000 * seconds))
    columns = [
        solver.Var(low, high if math.isfinite(high) else 1e6, whole, "")
        for low, high, whole in zip(program.lower, program.upper, program.integer, strict=True)
    ]
    rows = [solver.Constraint(low, high) for low, high in zip(program.row_lower, program.row_upper, strict=True)]
    for row, column, value in zip(program.rows, program.columns, program.values, strict=True):
        rows[row].SetCoefficient(columns[column], value)
    objective = solver.Objective()
    objective.SetMinimization()
    for column, cost in zip(columns, program.costs, strict=True):
        objective.SetCoefficient(column, cost)
    status = solver.Solve()
    return objective.Value() if status in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE) else None
