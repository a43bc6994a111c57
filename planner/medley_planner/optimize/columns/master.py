"""The master program over the gathered configurations: one for each service, together within the stock of each pool.

Its relaxation tells what each limit is worth (its price), its integer form which configurations to take.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.service_arrays import Floats, Ints
from medley_planner.optimize.program.linear_program import Program


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The part of the book that a master is made of: service, use by limit, and unmet requests per second."""

    row: Ints
    use: Floats
    unmet_weight: Floats


def master(
    columns: Columns, objective: Floats, *, services: int, stock: Floats, unmet_weight: float | None, integer: bool
) -> Program:
    """Rows: each service, each pool, and the unmet demand where `unmet_weight` limits it."""
    count = len(columns.row)
    pools = len(stock)
    pool_column, pool_row = np.nonzero(columns.use)
    rows = [columns.row, services + pool_row]
    cells = [np.arange(count), pool_column]
    values = [np.ones(count), columns.use[pool_column, pool_row]]
    lower = [np.ones(services), np.full(pools, -np.inf)]
    upper = [np.ones(services), stock]
    if unmet_weight is not None:
        shedding = np.flatnonzero(columns.unmet_weight)
        rows.append(np.full(len(shedding), services + pools))
        cells.append(shedding)
        values.append(columns.unmet_weight[shedding])
        lower.append(np.array([-np.inf]))
        upper.append(np.array([unmet_weight]))
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
