"""The slice program of the Melange paper (arXiv 2404.14527, section 5.4), solved by CBC through PuLP.

Each bucket's rate is cut into `slice_factor` equal slices. Slice i on type j is a load of its rate / the capacity of j
for the bucket; a replica carries a load of 1. Binary A_ij puts each slice on one type that can serve it, integer
B_j >= sum over i of A_ij x load_ij counts replicas, and the sum of B_j x cost_j is minimised. No stock, no limits, no
current state. Written from the paper; it sees sizes, so that it compares with `PerBucket`.

PuLP calls a program optimal that CBC left when its time was up; only the solution's own status shows it. And CBC keeps
constraints to a tolerance, so that the assignment is summed anew here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pulp  # type: ignore[import-untyped]

from medley_planner.model import Service
from tests.perf.cpu import CpuClock

TOLERANCE = 1e-6
"""Replicas by which CBC may overfill a type (its own primal tolerance): let pass, in its favour."""


@dataclass(frozen=True, slots=True)
class SliceAnswer:
    """The result of the program: replicas by variant, or None where CBC found none in its time.

    `proven`: CBC ended by itself. `cpu_seconds` is all of it, building and reading in Python included,
    `solver_cpu_seconds` the CBC process alone.
    """

    replicas: Mapping[str, int] | None
    cost_per_hour: float
    proven: bool
    cpu_seconds: float
    solver_cpu_seconds: float


def solve_slices(service: Service, *, slice_factor: int, limit_cpu_seconds: float) -> SliceAnswer:
    """Raises ValueError where a bucket with requests can be served by no variant: the program has no answer to that."""
    clock = CpuClock()
    loads = _slice_loads(service, slice_factor)
    program = pulp.LpProblem("slices", pulp.LpMinimize)
    counts = [program.add_variable(f"B{j}", lowBound=0, cat="Integer") for j in range(len(service.variants))]
    placed = [
        {j: program.add_variable(f"A{i}_{j}", cat="Binary") for j in range(len(service.variants)) if row[j] is not None}
        for i, row in enumerate(loads)
    ]
    program += pulp.lpSum(
        variant.cost_per_hour * count for variant, count in zip(service.variants, counts, strict=True)
    )
    for choices in placed:
        program += pulp.lpSum(choices.values()) == 1
    for j, count in enumerate(counts):
        on_type = ((row[j], choices[j]) for row, choices in zip(loads, placed, strict=True) if j in choices)
        program += pulp.lpSum(load * choice for load, choice in on_type) <= count
    solver = pulp.COIN_CMD(
        path=pulp.PULP_CBC_CMD.pulp_cbc_path, msg=False, threads=1, timeLimit=limit_cpu_seconds, timeMode="cpu"
    )
    program.solve(solver)
    found = program.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    replicas = _checked(service, loads, counts, placed) if found else None
    return SliceAnswer(
        replicas=replicas,
        cost_per_hour=math.inf if replicas is None else cost_of(service, replicas),
        proven=program.sol_status == pulp.LpSolutionOptimal,
        cpu_seconds=clock.seconds(),
        solver_cpu_seconds=clock.child_seconds(),
    )


def cost_of(service: Service, replicas: Mapping[str, int]) -> float:
    return math.fsum(variant.cost_per_hour * replicas[variant.name] for variant in service.variants)


def _slice_loads(service: Service, slice_factor: int) -> list[tuple[float | None, ...]]:
    """For each slice its load on each variant, None where it cannot be served."""
    loads = []
    for bucket in range(len(service.demand.buckets)):
        rate_rps = service.demand.bucket_rate_rps(bucket) / slice_factor
        if rate_rps == 0:
            continue
        row = tuple(
            rate_rps / variant.capacity_rps[bucket] if variant.capacity_rps[bucket] > 0 else None
            for variant in service.variants
        )
        if all(load is None for load in row):
            raise ValueError(f"{service.name}: bucket {bucket} can be served by no variant; leave it out of the demand")
        loads.extend([row] * slice_factor)
    return loads


def _checked(
    service: Service,
    loads: list[tuple[float | None, ...]],
    counts: list[pulp.LpVariable],
    placed: list[dict[int, pulp.LpVariable]],
) -> dict[str, int]:
    """Replicas by our own sum of the assignment: CBC's, and more where a type is overfilled beyond the tolerance."""
    carried: list[list[float]] = [[] for _ in counts]
    for row, choices in zip(loads, placed, strict=True):
        chosen = max(choices, key=lambda j: choices[j].value() or 0.0)
        carried[chosen].append(row[chosen] or 0.0)
    return {
        variant.name: max(round(count.value() or 0.0), math.ceil(math.fsum(part) - TOLERANCE))
        for variant, count, part in zip(service.variants, counts, carried, strict=True)
    }
