"""Takes the time out of planning, so that equal code gives equal plans on a busy machine too.

The process's monotonic clock stands still, so no deadline passes. Solvers are ended by a number of nodes instead of by
time: what they have by then follows from the program alone. Where one takes `LEAST_SECONDS` nevertheless, the case is
marked: its plan may depend on the time.
"""

from __future__ import annotations

import datetime
import time
from typing import Any

LEAST_SECONDS = 120.0
MOST_NODES = 500
MOST_NODES_OF_LARGE = 20
_LARGE = 1000
"""Columns of a program of which each node takes long."""
wall_seconds = time.perf_counter
"""The real clock."""


class Limits:
    """How many solves were ended by their time limit."""

    reached = 0


def stop_the_clock(limits: Limits) -> None:
    """Before anything of the planner is imported: some modules bind the clock when they are."""
    now = time.monotonic()
    time.monotonic = lambda: now
    from ortools.linear_solver import pywraplp
    from ortools.math_opt.python import mathopt

    solve = mathopt.solve
    linear_solve, set_limit = pywraplp.Solver.Solve, pywraplp.Solver.SetTimeLimit

    def patient_solve(model: Any, solver: Any, **options: Any) -> Any:
        params = options["params"]
        params.time_limit = datetime.timedelta(seconds=LEAST_SECONDS)
        if solver is mathopt.SolverType.GSCIP:
            most = MOST_NODES_OF_LARGE if sum(1 for _ in model.variables()) > _LARGE else MOST_NODES
            params.node_limit = min(params.node_limit or most, most)
        result = solve(model, solver, **options)
        limits.reached += result.termination.limit is mathopt.Limit.TIME
        return result

    def patient_linear_solve(solver: Any, *arguments: Any) -> Any:
        status = linear_solve(solver, *arguments)
        limits.reached += status in (pywraplp.Solver.FEASIBLE, pywraplp.Solver.NOT_SOLVED)
        return status

    def longer_limit(solver: Any, _: int) -> None:
        set_limit(solver, round(1000 * LEAST_SECONDS))

    mathopt.solve = patient_solve
    pywraplp.Solver.Solve = patient_linear_solve
    pywraplp.Solver.SetTimeLimit = longer_limit
