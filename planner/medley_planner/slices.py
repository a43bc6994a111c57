"""The slice program of the Melange paper (arXiv 2404.14527, section 5.4), as a policy that plans are compared with.

Each bucket's rate is cut into equal slices; a slice of rate r on a type of capacity T is a load of r / T, a replica
carries its utilisation limit, and each slice is put on one type so that the fleet costs least. The paper has a binary
variable for each slice and type; equal slices of a bucket are counted here instead, which has the same optimum. No
current fleet, no routing: it takes every request to go where its size was put.

`tests/perf/baselines` has the paper's own form, solved by CBC.

Apart: a comparison, which no plan rests on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from medley_planner.model import Service
from medley_planner.optimize.program.linear_program import ProgramBuilder
from medley_planner.optimize.program.mip import solve_integer

SLICE_FACTOR = 8
_GAP = 1e-4
_SECONDS = 30.0
_NODES = 20_000
"""Ends a search long before the seconds do, so that equal input gives equal output."""
_WHOLE = 1e-6


def slice_fleet(
    service: Service, *, most: Mapping[str, int], slice_factor: int = SLICE_FACTOR
) -> dict[str, int] | None:
    """Replicas by variant, at most `most` of each; None where the program has no solution. Demand of sizes that no
    variant serves is left out."""
    builder = ProgramBuilder()
    counts = {
        variant.name: builder.column(upper=float(most[variant.name]), integer=True) for variant in service.variants
    }
    loads: dict[str, dict[int, float]] = {variant.name: {} for variant in service.variants}
    for bucket in range(len(service.demand.buckets)):
        slice_rps = service.demand.bucket_rate_rps(bucket) / slice_factor
        able = [variant for variant in service.variants if variant.capacity_rps[bucket] > 0.0]
        if slice_rps <= 0.0 or not able:
            continue
        placed: dict[int, float] = {}
        for variant in able:
            column = builder.column(upper=float(slice_factor), integer=True)
            placed[column] = 1.0
            loads[variant.name][column] = slice_rps / variant.capacity_rps[bucket]
        builder.row(placed, lower=float(slice_factor), upper=float(slice_factor))
    for name, load in loads.items():
        builder.row({**load, counts[name]: -service.utilisation_limit}, upper=0.0)
    program = builder.minimise({counts[variant.name]: variant.cost_per_hour for variant in service.variants})
    found = solve_integer(program, seconds=_SECONDS, relative_gap=_GAP, node_limit=_NODES)
    if not found.solved:
        return None
    return {name: math.ceil(found.values[column] - _WHOLE) for name, column in counts.items()}
