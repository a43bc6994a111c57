"""Whether given replicas carry all classes of a service, and if not, which prices of classes prove it.

One variant needs a sum, two a sort (classes go to the first in order of the ratio of their loads until it is full),
more a linear program. The prices that prove a fleet too small (r, added up to 1) say so of others as well: a fleet
whose variants carry less than all of the worth at r serves less than everything. They hold whatever replicas cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.by_class.values import LEAST_LOAD
from medley_planner.optimize.columns.service_arrays import Floats
from medley_planner.optimize.program.linear_program import Program
from medley_planner.optimize.program.mip import solve_relaxed

FITS = 1e-8
"""Relative excess of load that counts as none; `distribute` allows ten times as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """`unmet` is the part of the demand left out (nan: more than none, but how much was not asked); `worth` proves it
    (empty: nothing to prove, or no proof)."""

    unmet: float
    worth: Floats


_FITS = Verdict(0.0, np.empty(0))
_OPEN = Verdict(np.nan, np.empty(0))


def judge(work: Floats, replicas: Floats, weight: Floats, *, shed: bool) -> Verdict:
    """`work[j, c]` of the classes that count (weight above 0) and `replicas[j]`, minima included.

    With `shed` the least part of the demand (by `weight`) that must be left out, else only whether any must.
    """
    if not work.shape[1]:
        return _FITS
    used = np.flatnonzero(replicas > 0)
    own, counts = work[used], replicas[used]
    lacking = ~np.isfinite(own).any(axis=0)
    if lacking.any() and not shed:
        return Verdict(np.nan, lacking / lacking.sum())
    if shed:
        return _least_unmet(own, counts, weight)
    if len(used) == 1:
        total = own[0].sum()
        return _FITS if total <= counts[0] * (1 + FITS) else Verdict(np.nan, own[0] / total)
    if len(used) == 2:
        return _two(own[0], own[1], float(counts[0]), float(counts[1]))
    return _top_load(own, counts)


def _two(first: Floats, second: Floats, firsts: float, seconds: float) -> Verdict:
    first, second = np.maximum(first, LEAST_LOAD), np.maximum(second, LEAST_LOAD)
    either = np.flatnonzero(np.isfinite(first))
    ratio = first[either] / second[either]
    order = either[np.argsort(ratio, kind="stable")]
    loads = first[order].cumsum()
    cut = int(np.searchsorted(loads, firsts * (1 + FITS), side="right"))
    rest = np.where(np.isfinite(first), 0.0, second)
    at = np.inf
    if cut < len(order):
        rest[order[cut:]] = second[order[cut:]]
        edge = order[cut]
        at = first[edge] / second[edge]
        if not np.isfinite(rest).all():
            # What only the first variant can serve is more than it carries.
            worth = np.where(np.isfinite(second), 0.0, first)
            return Verdict(np.nan, worth / worth.sum())
        rest[edge] *= (loads[cut] - firsts) / first[edge]
    if rest.sum() <= seconds * (1 + FITS):
        return _FITS
    # Worth such that the class that is cut is as good on the one variant as on the other.
    worth = np.minimum(first, second * at) if np.isfinite(at) else rest
    return Verdict(np.nan, worth / worth.sum())


def _top_load(work: Floats, replicas: Floats) -> Verdict:
    """At the least top load; if that is above 1, the prices of classes that prove it."""
    program = _program(work / replicas[:, None], weight=None)
    outcome, duals = solve_relaxed(program)
    if not outcome.solved:
        return _OPEN
    if outcome.bound <= 1 + FITS:
        return _FITS
    worth = np.maximum(np.array(duals[: work.shape[1]]), 0.0)
    return Verdict(np.nan, worth / worth.sum())


def _least_unmet(work: Floats, replicas: Floats, weight: Floats) -> Verdict:
    program = _program(work / replicas[:, None], weight=weight)
    outcome, duals = solve_relaxed(program)
    if not outcome.solved:
        return _OPEN
    if outcome.bound <= FITS:
        return _FITS
    # Not scaled to 1: worth up to a class's weight is what makes the part that is left out a price.
    return Verdict(outcome.bound, np.maximum(np.array(duals[: work.shape[1]]), 0.0))


def _program(load: Floats, *, weight: Floats | None) -> Program:
    """Shares of classes, with the top load as the objective, or what is left out at `weight` and the top load 1.

    Rows: each class, then each variant. Written straight from arrays, as building it costs more than solving it.
    """
    variants, classes = load.shape
    cell, place = np.nonzero(np.isfinite(load))
    shares = np.arange(len(cell))
    extra = 1 if weight is None else classes
    extras = len(cell) + np.arange(extra)
    if weight is None:
        extra_rows, extra_values = classes + np.arange(variants), np.full(variants, -1.0)
        extra_columns = np.full(variants, len(cell))
    else:
        extra_rows, extra_columns, extra_values = np.arange(classes), extras, np.ones(classes)
    rows = np.concatenate([place, classes + cell, extra_rows])
    columns = np.concatenate([shares, shares, extra_columns])
    values = np.concatenate([np.ones(len(cell)), load[cell, place], extra_values])
    order = np.lexsort((columns, rows))
    count = len(cell) + extra
    return Program(
        costs=(0.0,) * len(cell) + ((1.0,) if weight is None else tuple(weight.tolist())),
        lower=(0.0,) * count,
        upper=(np.inf,) * count,
        integer=(False,) * count,
        row_lower=(1.0,) * classes + (-np.inf,) * variants,
        row_upper=(np.inf,) * classes + (0.0 if weight is None else 1.0,) * variants,
        rows=tuple(rows[order].tolist()),
        columns=tuple(columns[order].tolist()),
        values=tuple(values[order].tolist()),
    )
