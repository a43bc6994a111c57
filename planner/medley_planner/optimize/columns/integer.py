"""The integer master: one gathered configuration for each service, least unmet demand first, then least cost.

Only columns that can be part of something better than the choice at hand enter: one whose price is above its service's
proven least by more than the whole gap cannot. Stops by nodes, so that equal input makes an equal choice where the
deadline does not bind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medley_planner.optimize.columns.choose import Options
from medley_planner.optimize.columns.master import Columns, master
from medley_planner.optimize.columns.service_arrays import Floats, Ints
from medley_planner.optimize.program.linear_program import Proof, SolveResult
from medley_planner.optimize.program.mip import solve_integer


def choose_best(
    given: Options,
    start: Ints | None,
    stock: Floats,
    *,
    services: int,
    unmet_weight: Floats,
    most_unmet_weight: float | None,
    relative_gap: float,
    node_limit: int,
    seconds_left: Callable[[], float],
) -> tuple[Ints | None, float]:
    """The choice (by position in `given`; None where none was found) and a bound on what any choice from them costs.

    `unmet_weight` by column; with `most_unmet_weight` its sum is limited.
    """
    columns = Columns(given.row, given.use, unmet_weight)
    program = master(
        columns, given.objective, services=services, stock=stock, unmet_weight=most_unmet_weight, integer=True
    )
    hint = {} if start is None else dict.fromkeys(start.tolist(), 1.0)
    outcome = solve_integer(
        program, seconds=seconds_left(), relative_gap=relative_gap, hint=hint, cuts=True, node_limit=node_limit
    )
    return _read(given, outcome, services), outcome.bound if outcome.proof is not Proof.INFEASIBLE else np.inf


def _read(given: Options, outcome: SolveResult, services: int) -> Ints | None:
    if not outcome.solved:
        return None
    taken = np.flatnonzero(np.array(outcome.values) > 0.5)
    choice = np.full(services, -1)
    choice[given.row[taken]] = taken
    return choice if len(taken) == services and (choice >= 0).all() else None
