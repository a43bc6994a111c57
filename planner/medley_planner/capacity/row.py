"""The capacity rows of variants: the derated largest rate of each size bucket. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medley_planner.capacity.batch import Array, Table, max_rates_rps
from medley_planner.capacity.grid_ratios import CapacityBasis, GridRatios, common_ratios, ratios_at
from medley_planner.capacity.memory import MemoryFit
from medley_planner.model import Bucket, Provenance

LEAST_RPS = 1e-9
"""A replica that serves less serves nothing: the optimiser takes no smaller capacity."""


@dataclass(frozen=True, slots=True)
class CapacityRow:
    """`capacity_rps[b]` is the derated largest rate of bucket b, all 0 where `fit` says that the model does not fit.

    `basis` is Simulated where a table of the simulator stands behind it.
    """

    capacity_rps: tuple[float, ...]
    provenance: Provenance
    derate: float
    fit: MemoryFit
    basis: CapacityBasis = CapacityBasis.CLOSED_FORM


def capacity_rows(
    tables: Sequence[Table],
    buckets: tuple[Bucket, ...],
    *,
    ttft_seconds: float,
    tpot_seconds: float,
    percentile: float,
    simulated: Sequence[GridRatios | None] | None = None,
) -> tuple[CapacityRow, ...]:
    """The row of each replica; see `max_rate_rps` for the targets. In one pass: many times faster than one by one.

    Within a row, a bucket never has more capacity than one whose prompt and generation are both no longer.
    `simulated`: the table of each replica, None where there is none. It corrects the closed form; replicas without one
    are then corrected as the others are on average, so that none looks better for not having been simulated.
    """
    known = simulated if simulated is not None else [None] * len(tables)
    derates = np.array([table.speed.derate for table in tables])
    rates = derates[:, None] * max_rates_rps(
        tables, buckets, ttft_seconds=ttft_seconds, tpot_seconds=tpot_seconds, percentile=percentile
    )
    rates *= _corrections(known, buckets)
    prompt = np.array([bucket.prompt_tokens for bucket in buckets])
    generation = np.array([bucket.generation_tokens for bucket in buckets])
    no_longer = (prompt[None, :] <= prompt[:, None]) & (generation[None, :] <= generation[:, None])
    falling = np.where(no_longer[None, :, :], rates[:, None, :], np.inf).min(axis=2, initial=np.inf)
    falling[falling < LEAST_RPS] = 0.0
    return tuple(
        CapacityRow(
            capacity_rps=tuple(row),
            provenance=table.speed.provenance,
            derate=table.speed.derate,
            fit=table.fit,
            basis=CapacityBasis.SIMULATED if ratios is not None else CapacityBasis.CLOSED_FORM,
        )
        for table, row, ratios in zip(tables, falling.tolist(), known, strict=True)
    )


def _corrections(simulated: Sequence[GridRatios | None], buckets: tuple[Bucket, ...]) -> Array:
    corrections = np.ones((len(simulated), len(buckets)))
    at = [index for index, table in enumerate(simulated) if table is not None]
    if at:
        found = ratios_at([table for table in simulated if table is not None], buckets)
        corrections[:] = common_ratios(found)
        corrections[at] = found
    return corrections
