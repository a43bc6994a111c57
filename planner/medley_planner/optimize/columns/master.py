"""The master program over the gathered configurations: one for each service, together within the stock of each pool.

Its relaxation tells what a GPU of each pool is worth (its price), its integer form which configurations to take.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.fleet import Floats, Ints
from medley_planner.optimize.program import Program


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The part of the book that a master is made of: service, GPUs by pool, and unmet requests per second."""

    row: Ints
    gpus: Floats
    unmet_rps: Floats


def master(
    columns: Columns, objective: Floats, *, services: int, stock: Floats, unmet_rps: float | None, integer: bool
) -> Program:
    """Rows: each service, each pool, and the unmet demand where `unmet_rps` limits it."""
    count = len(columns.row)
    pools = len(stock)
    pool_column, pool_row = np.nonzero(columns.gpus)
    rows = [columns.row, services + pool_row]
    cells = [np.arange(count), pool_column]
    values = [np.ones(count), columns.gpus[pool_column, pool_row]]
    lower = [np.ones(services), np.full(pools, -np.inf)]
    upper = [np.ones(services), stock]
    if unmet_rps is not None:
        shedding = np.flatnonzero(columns.unmet_rps)
        rows.append(np.full(len(shedding), services + pools))
        cells.append(shedding)
        values.append(columns.unmet_rps[shedding])
        lower.append(np.array([-np.inf]))
        upper.append(np.array([unmet_rps]))
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
