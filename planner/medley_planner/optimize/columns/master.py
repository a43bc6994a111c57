"""The master program over the gathered configurations: one for each service, together within the stock of each pool.

Its relaxation shows what each limit is worth (its price), its integer form which configurations to take. Only columns
that can be part of something better than the present choice enter the latter: one whose price is above its service's
proven least by more than the whole gap cannot. It stops by nodes, so that equal input makes an equal choice where the
deadline does not bind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.choose import Options
from medley_planner.optimize.columns.service_arrays import Floats, Ints
from medley_planner.optimize.program.linear_program import Program, Proof, SolveResult
from medley_planner.optimize.program.mip import solve_integer


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The part of the book that a master is made of: service and use by limit."""

    row: Ints
    use: Floats


Held = Sequence[tuple[Floats, float]]
"""Amounts by column, such as unmet requests per second, each with the most of it that may be chosen in all."""


def master(columns: Columns, objective: Floats, *, services: int, stock: Floats, held: Held, integer: bool) -> Program:
    """Rows: each service, each pool, and what is held."""
    count = len(columns.row)
    pools = len(stock)
    pool_column, pool_row = np.nonzero(columns.use)
    rows = [columns.row, services + pool_row]
    cells = [np.arange(count), pool_column]
    values = [np.ones(count), columns.use[pool_column, pool_row]]
    lower = [np.ones(services), np.full(pools, -np.inf)]
    upper = [np.ones(services), stock]
    for place, (amount, most) in enumerate(held):
        holding = np.flatnonzero(amount)
        rows.append(np.full(len(holding), services + pools + place))
        cells.append(holding)
        values.append(amount[holding])
        lower.append(np.array([-np.inf]))
        upper.append(np.array([most]))
    row, cell, value = np.concatenate(rows), np.concatenate(cells), np.concatenate(values)
    order = np.lexsort((cell, row))
    return Program(
        costs=tuple(objective.tolist()),
        lower=(0.0,) * count,
        upper=((1.0 if integer else np.inf),) * count,
        integer=(integer,) * count,
        row_lower=tuple(np.concatenate(lower).tolist()),
        row_upper=tuple(np.concatenate(upper).tolist()),
        rows=tuple(row[order].tolist()),
        columns=tuple(cell[order].tolist()),
        values=tuple(value[order].tolist()),
    )


def choose_best(
    given: Options,
    start: Ints | None,
    stock: Floats,
    *,
    services: int,
    held: Held,
    relative_gap: float,
    node_limit: int,
    seconds_left: Callable[[], float],
) -> tuple[Ints | None, float]:
    """The choice (by position in `given`; None where none was found) and a bound on what any choice from them costs."""
    columns = Columns(given.row, given.use)
    program = master(columns, given.objective, services=services, stock=stock, held=held, integer=True)
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
