"""A mixed-integer linear program as a plain value, and the builder that gathers it row by row.

Knows nothing of GPUs and nothing of a solver: `formulation.py` fills it, `mip.py` solves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Program:
    """Minimise `costs` over the columns; each entry of the matrix is (rows[i], columns[i], values[i]) by rows."""

    costs: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    integer: tuple[bool, ...]
    row_lower: tuple[float, ...]
    row_upper: tuple[float, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    values: tuple[float, ...]


class Proof(StrEnum):
    """The result that a solve proved."""

    OPTIMAL = "optimal"
    INCUMBENT = "incumbent"
    """A solution, not proven to be the best within the limit."""
    INFEASIBLE = "infeasible"
    NOTHING = "nothing"
    """Neither a solution nor a proof that there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Where a linear program was solved: a status of each column and each row, in the solver's numbers, 0 for unknown.
    A program with more columns and the same rows is solved from there in a fraction of the time."""

    columns: Ints
    rows: Ints


@dataclass(frozen=True, slots=True)
class SolveResult:
    """`values` by column (empty where there is no solution); `bound` is a proven lower bound on the objective. `basis`
    is there for large linear programs."""

    proof: Proof
    values: tuple[float, ...] = ()
    bound: float = -math.inf
    basis: Basis | None = None

    @property
    def solved(self) -> bool:
        return self.proof in (Proof.OPTIMAL, Proof.INCUMBENT)


@dataclass(slots=True)
class ProgramBuilder:
    """Collects columns and rows in the order they are added, so that equal input makes an equal program."""

    costs: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def column(self, *, lower: float = 0.0, upper: float = math.inf, integer: bool = False) -> int:
        self.costs.append(0.0)
        self.lower.append(lower)
        self.upper.append(upper)
        self.integer.append(integer)
        return len(self.costs) - 1

    def row(self, terms: dict[int, float], *, lower: float = -math.inf, upper: float = math.inf) -> None:
        index = len(self.row_lower)
        self.row_lower.append(lower)
        self.row_upper.append(upper)
        for column in sorted(terms):
            self.rows.append(index)
            self.columns.append(column)
            self.values.append(terms[column])

    def minimise(self, terms: dict[int, float]) -> Program:
        """The program so far with this objective; the builder can go on to another one."""
        costs = [0.0] * len(self.costs)
        for column, cost in terms.items():
            costs[column] = cost
        return Program(
            costs=tuple(costs),
            lower=tuple(self.lower),
            upper=tuple(self.upper),
            integer=tuple(self.integer),
            row_lower=tuple(self.row_lower),
            row_upper=tuple(self.row_upper),
            rows=tuple(self.rows),
            columns=tuple(self.columns),
            values=tuple(self.values),
        )
