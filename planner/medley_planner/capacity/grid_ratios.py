"""How far the simulator lies from the closed form on the standard grid, and what that makes of it anywhere else. Pure.

The sizes of a live load move all the time and are never those of the grid, so a table cannot hold the capacity of a
bucket. The ratio of simulated to closed form does not move much: it is interpolated, and multiplied into the closed
form of the very bucket.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from medley_planner.capacity.table_key import TableKey
from medley_planner.model import Bucket
from medley_planner.workload.grid import GENERATION_SIZES, PROMPT_SIZES

Array = npt.NDArray[np.float64]

FARTHEST = math.log(1.5)
"""A table of the same replica at another speed stands in up to this factor between them."""
_LEAST = 1e-3
"""Ratios below this count as this where their mean is taken."""
_NOTHING, _MOST = 1e-6, 1e3
"""A ratio below the first counts as 0, above the second as that: a closed form of next to nothing must not make a
capacity of next to infinity."""


class CapacityBasis(StrEnum):
    """How a capacity was computed."""

    SIMULATED = "Simulated"
    CLOSED_FORM = "ClosedForm"


@dataclass(frozen=True, slots=True, eq=False)
class GridRatios:
    """Requests per second of one replica on the standard buckets, in their order, not derated; 0: the targets cannot be
    kept. Compared by identity, so that it is quick to look up what was computed with it."""

    key: TableKey
    simulated_rps: tuple[float, ...]
    closed_form_rps: tuple[float, ...]

    def ratios(self) -> Array:
        """Simulated to closed form, by prompt size (row) and generation size (column).

        Where the closed form is 0 there is none. The figure there serves the sizes between it and the grid's last one
        that can be served: the trend of the shorter prompts, as far as it falls. All 1 where nothing can be served.
        """
        simulated, closed = np.array(self.simulated_rps), np.array(self.closed_form_rps)
        known = closed > 0.0
        if not known.any():
            return np.ones((len(PROMPT_SIZES), len(GENERATION_SIZES)))
        with np.errstate(over="ignore"):
            ratios = np.divide(simulated, closed, out=np.full(closed.size, np.nan), where=known)
        ratios = np.where(ratios < _NOTHING, 0.0, np.minimum(ratios, _MOST))
        grid = ratios.reshape(len(PROMPT_SIZES), len(GENERATION_SIZES))
        for row, column in np.argwhere(np.isnan(grid)).tolist():
            shorter = grid[:row, column]
            if row >= 2 and (shorter[-2:] > 0.0).all():
                grid[row, column] = shorter[-1] * min(shorter[-1] / shorter[-2], 1.0)
            else:
                grid[row, column] = _nearest_known(grid, known.reshape(grid.shape), row, column)
        return np.asarray(grid)


def _nearest_known(grid: Array, known: npt.NDArray[np.bool_], row: int, column: int) -> float:
    rows, columns = np.nonzero(known)
    nearest = np.argmin((rows - row) ** 2 + (columns - column) ** 2)
    return float(grid[rows[nearest], columns[nearest]])


def ratios_at(tables: Sequence[GridRatios], buckets: Sequence[Bucket]) -> Array:
    """Ratio of each table (row) at each bucket (column): bilinear in the logarithms of both sizes, the edge beyond it.

    Between ratios above 0 it is their logarithms that are interpolated.
    """
    prompt_low, prompt_share = _place([bucket.prompt_tokens for bucket in buckets], PROMPT_SIZES)
    generation_low, generation_share = _place([bucket.generation_tokens for bucket in buckets], GENERATION_SIZES)
    ratios = np.array([table.ratios() for table in tables])
    plain = np.zeros((len(tables), len(buckets)))
    logarithm = np.zeros_like(plain)
    positive = np.ones(plain.shape, dtype=bool)
    for up, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (prompt_share if up else 1.0 - prompt_share) * (generation_share if across else 1.0 - generation_share)
        corner = ratios[:, prompt_low + up, generation_low + across]
        plain += weight * corner
        logarithm += weight * np.log(np.maximum(corner, _LEAST))
        positive &= (corner > 0.0) | (weight == 0.0)
    return np.where(positive, np.exp(logarithm), plain)


def _place(values: Sequence[float], sizes: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], Array]:
    """The grid size at or below each value, and how far it lies towards the next, 0 to 1."""
    grid = np.log(np.array(sizes, float))
    at = np.clip(np.log(np.maximum(np.array(values, float), 1e-9)), grid[0], grid[-1])
    low = np.clip(np.searchsorted(grid, at, side="right") - 1, 0, grid.size - 2).astype(np.int64)
    return low, (at - grid[low]) / (grid[low + 1] - grid[low])


def common_ratios(ratios: Array) -> Array:
    """The substitute for the table of a replica without one beside others that have one: the geometric mean of theirs.

    Else those that have none yet would look better than those that have, only because the closed form is kinder.
    """
    return np.asarray(np.exp(np.log(np.maximum(ratios, _LEAST)).mean(axis=0)))


def table_of(key: TableKey, tables: Sequence[GridRatios]) -> GridRatios | None:
    """The table of `key`; absent, that of the same replica at the nearest speed; None where none is near."""
    if not tables:
        return None
    family = key.family
    own = [table for table in tables if table.key.family == family]
    if not own:
        return None
    best = min(own, key=lambda table: key.distance(table.key))
    return best if key.distance(best.key) <= FARTHEST else None
