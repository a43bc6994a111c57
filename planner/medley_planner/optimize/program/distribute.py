"""The demand that given replicas serve, and the shares of the requests on them: the exact shares behind whole replica
counts.

The solver's own shares carry its tolerances; here they are found anew for replicas that are already whole, so that a
plan never owes its fit to a tolerance. Among the shares that fit, the ones that load all variants evenly are taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.program.linear_program import ProgramBuilder
from medley_planner.optimize.program.mip import solve_linear
from medley_planner.optimize.task.rules import spare
from medley_planner.optimize.task.task import Matrix, Task

_DUST = 1e-9
"""Shares below this are taken as none."""
_FAINT_LOAD = 1e-8
"""All buckets together whose load is so small that it does not matter where they go; they stay out of the program,
which they would only make badly scaled."""
_WHOLE = 1e-7
"""A bucket of which less than this part is left out counts as served whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """`shares[j, c]` of the served class c go to variant j; `unmet[c]` of it goes nowhere."""

    shares: Matrix
    unmet: tuple[float, ...]

    @property
    def complete(self) -> bool:
        return not any(self.unmet)


def unmet_rps(task: Task, split: Split) -> float:
    return math.fsum(rate * part for rate, part in zip(task.rates, split.unmet, strict=True))


def missed_rps(task: Task, split: Split) -> float:
    """All demand that is not served, that of buckets outside of the task's cuts too."""
    return unmet_rps(task, split) + task.uncovered_rps


def distribute(task: Task, replicas: Sequence[int]) -> Split:
    """The most of the demand that these replicas serve in the task's routing mode; of N+1, with one of them lost."""
    counts = np.array(replicas, float)
    if not task.classes:
        return Split(np.zeros((len(counts), 0)), ())
    if not task.blind and task.rate_rps > 0:
        return _by_class(task, np.maximum(counts - spare(task), 0.0))
    weights, served = _blind(task, counts)
    shares = np.outer(weights, np.full(len(task.classes), served))
    return Split(shares, (_clean_unmet(1 - served),) * len(task.classes))


def _blind(task: Task, counts: Matrix) -> tuple[Matrix, float]:
    """Weights by variant (sum 1, or all 0) and the part of demand that is served."""
    able = np.array(task.able) & (counts > 0)
    work = np.array(task.total_work())
    if task.rate_rps == 0:
        usable = np.where(able, counts, 0.0)
        return usable / max(1.0, usable.sum()), 1.0
    if not able.any():
        return np.zeros(len(counts)), 0.0
    if task.service.routing.equal_pods:
        if (able != (counts > 0)).any():
            return np.zeros(len(counts)), 0.0
        total = counts.sum()
        left = total - spare(task)
        return counts / total, _whole(float(left / max(float(work[able].max()), 1e-300)))
    each = np.where(able, 1 / np.maximum(np.where(able, work, 1.0), 1e-300), 0.0)
    room = each * counts
    lost = float(each.max()) if spare(task) else 0.0
    return room / room.sum(), _whole(float(room.sum()) - lost)


def _whole(part: float) -> float:
    return 1.0 if part > 1 - _WHOLE else max(0.0, part)


def _clean_unmet(part: float) -> float:
    return part if part > _WHOLE else 0.0


def _by_class(task: Task, counts: Matrix) -> Split:
    used = [index for index in range(len(counts)) if counts[index] > 0 and task.able[index]]
    load = np.full_like(task.work, np.inf)
    load[used] = task.work[used] / counts[used, None]
    if len(used) == 1 and float(load[used[0]].sum()) <= 1 + _WHOLE:
        shares = np.zeros_like(task.work)
        shares[used[0]] = 1.0
        return Split(shares, (0.0,) * len(task.classes))
    placed = _place_faint(load)
    even = _solve_shares(task, load, used, placed, shed=False)
    if even is not None:
        return even
    shed = _solve_shares(task, load, used, placed, shed=True)
    return shed if shed is not None else Split(np.zeros_like(task.work), (1.0,) * len(task.classes))


def _place_faint(load: Matrix) -> dict[int, int]:
    """Variant by bucket for the buckets that hardly load anything: the one that feels it least."""
    buckets = load.shape[1]
    return {
        bucket: int(load[:, bucket].argmin())
        for bucket in range(buckets)
        if load[:, bucket].min() < _FAINT_LOAD / buckets
    }


def _solve_shares(
    task: Task, load: Matrix, used: Sequence[int], placed: Mapping[int, int], *, shed: bool
) -> Split | None:
    """Shares that keep each variant's load within 1: all demand at the lowest top load, or else the most demand."""
    builder = ProgramBuilder()
    cells: dict[int, tuple[int, int]] = {}
    whole: list[dict[int, float]] = [{} for _ in task.classes]
    top = None if shed else builder.column()
    for index in used:
        terms: dict[int, float] = {}
        for bucket in range(len(task.classes)):
            if bucket not in placed and math.isfinite(load[index, bucket]):
                column = builder.column(upper=1.0)
                cells[column] = (index, bucket)
                whole[bucket][column] = 1.0
                terms[column] = float(load[index, bucket])
        if top is None:
            builder.row(terms, upper=1.0)
        else:
            builder.row(terms | {top: -1.0}, upper=0.0)
    objective = {} if top is None else {top: 1.0}
    left: dict[int, int] = {}
    for bucket, columns in enumerate(whole):
        if bucket in placed:
            continue
        if shed:
            left[bucket] = builder.column(upper=1.0)
            columns[left[bucket]] = 1.0
            objective[left[bucket]] = task.rates[bucket] / task.rate_rps
        if not columns:
            return None
        builder.row(columns, lower=1.0, upper=1.0)
    outcome = solve_linear(builder.minimise(objective))
    if not outcome.solved:
        return None
    shares = np.zeros_like(task.work)
    for column, (index, bucket) in cells.items():
        value = outcome.values[column]
        shares[index, bucket] = value if value > _DUST else 0.0
    for bucket, index in placed.items():
        shares[index, bucket] = 1.0
    unmet = tuple(
        _clean_unmet(outcome.values[left[bucket]]) if bucket in left else 0.0 for bucket in range(len(task.classes))
    )
    return _within_load(load, used, _rescaled(shares, unmet), shed=shed)


def _rescaled(shares: Matrix, unmet: tuple[float, ...]) -> Split:
    totals = shares.sum(axis=0)
    kept = 1 - np.array(unmet)
    cleaned = tuple(1.0 if total == 0 else part for total, part in zip(totals, unmet, strict=True))
    factors = np.divide(kept, totals, out=np.zeros_like(totals), where=totals > 0)
    return Split(shares * factors, cleaned)


def _within_load(load: Matrix, used: Sequence[int], split: Split, *, shed: bool) -> Split | None:
    """None where all demand does not fit; a shed split is shrunk by whatever rounding put it above 1."""
    top = max((_load(load[index], split.shares[index]) for index in used), default=0.0)
    if top <= 1 + _WHOLE:
        return split
    if not shed:
        return None
    shares = split.shares / top
    return Split(shares, tuple(float(part) for part in 1 - shares.sum(axis=0)))


def _load(loads: Matrix, shares: Matrix) -> float:
    chosen = shares > 0
    return float((loads[chosen] * shares[chosen]).sum())
