"""`make bench-capacity`: simulated capacity tables of eight GPUs: their time, and how far the closed form is from them.

Llama-3.1-8B, TTFT 1 s, TPOT 50 ms (100 ms on GPUs that take longer for one step), 95 %, token budget 2048. Cells are
timed one by one in this process (CPU time); then all eight tables are made anew by two processes and written to a cache
(wall time), and read from it. The baseline is the closed form, in the same run: its time, and its ratio to the
simulation by GPU. How good the search itself shows beside a simulation of many more requests with other gaps.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from medley_planner.capacity import ESTIMATE, GridRatios, LatencyTargets, TableGroup, TableKey
from medley_planner.capacity.cache import TableCache
from medley_planner.capacity.cell import simulated_rate_rps
from medley_planner.capacity.simulated import closed_form_of, engine_of_key, simulate_table
from medley_planner.catalog import gpu
from medley_planner.engine import Balance, Routing, Trace, poisson_arrivals, simulate
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape
from medley_planner.workload import standard_buckets
from tests.perf.cpu import CpuClock
from tests.perf.inputs import MODEL, fit_of
from tests.perf.report import parser_of, write_json

GPUS = ("L4", "A10G", "L40S", "RTX-PRO-6000", "A100-80", "H100", "H200", "B200")
MAX_MODEL_LEN = 16_384
CELL_SECONDS, COLD_SECONDS, CACHED_SECONDS = 0.3, 120.0, 0.05
"""Targets: CPU of a cell, wall of 60 x 8 cold on two cores, the same from the cache."""
CELLS = len(standard_buckets())
PROCESSES = 2
CACHED_RUNS = 5
CHECKED_CELLS, CHECK_REQUESTS = 3, 40_000


@dataclass(frozen=True, slots=True)
class Timed:
    """One GPU's table, with the CPU seconds of its cells and of the closed form for all of them."""

    table: GridRatios
    cell_seconds: tuple[float, ...]
    closed_form_seconds: float


def key_of(name: str, *, tpot_seconds: float) -> TableKey:
    return TableKey.of(
        TableGroup(bundled_shape(MODEL), LatencyTargets(1.0, tpot_seconds, 95.0), MAX_MODEL_LEN, 256),
        Layout(gpu(name), engine_version="0.32.0"),
        token_budget=2048,
        speed=ESTIMATE,
        fit=fit_of(name, max_model_len=MAX_MODEL_LEN),
    )


def keys(gpus: Sequence[str]) -> list[TableKey]:
    found = []
    for name in gpus:
        strict = key_of(name, tpot_seconds=0.05)
        possible = sum(rate > 0 for rate in closed_form_of(strict))
        found.append(strict if possible > 30 else key_of(name, tpot_seconds=0.1))
    return found


def timed(key: TableKey) -> Timed:
    started = time.process_time()
    closed = closed_form_of(key)
    closed_seconds = time.process_time() - started
    engine = engine_of_key(key)
    rates, seconds = [], []
    for bucket, guess in zip(standard_buckets(), closed, strict=True):
        started = time.process_time()
        rate = 0.0
        if guess > 0:
            rate = simulated_rate_rps(
                engine,
                prompt_tokens=round(bucket.prompt_tokens),
                generation_tokens=round(bucket.generation_tokens),
                targets=key.group.targets,
                guess_rps=guess,
            )
            seconds.append(time.process_time() - started)
        rates.append(rate)
    return Timed(GridRatios(key, tuple(rates), closed), tuple(seconds), closed_seconds)


def attained(table: GridRatios, index: int) -> float:
    """Attainment at the rate found, with other gaps and more requests than the search had."""
    key, bucket = table.key, standard_buckets()[index]
    arrivals = poisson_arrivals(table.simulated_rps[index], count=CHECK_REQUESTS, seed=20_26)
    sizes = [np.full(CHECK_REQUESTS, round(size)) for size in (bucket.prompt_tokens, bucket.generation_tokens)]
    engine = engine_of_key(key)
    outcome = simulate(
        Trace.of(arrivals, *sizes), engine.fleet, Routing(Balance.ROUND_ROBIN), seed=1, tables=[engine.table]
    )
    middle = np.zeros(CHECK_REQUESTS, dtype=bool)
    middle[CHECK_REQUESTS // 10 : -CHECK_REQUESTS // 10] = True
    targets = key.group.targets
    return outcome.only(middle).attainment(ttft_seconds=targets.ttft_seconds, tpot_seconds=targets.tpot_seconds)


def cold(asked: Sequence[TableKey], cache: TableCache) -> tuple[float, float]:
    """Wall and CPU seconds, processes started anew."""
    started, cpu = time.perf_counter(), CpuClock()
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for table in pool.imap_unordered(simulate_table, asked):
            cache.put(table)
        wall = time.perf_counter() - started
        pool.close()
        pool.join()
    return wall, cpu.seconds()


def cached(asked: Sequence[TableKey], cache: TableCache) -> float:
    """Wall seconds, the best of some runs."""
    best = float("inf")
    for _ in range(CACHED_RUNS):
        started = time.perf_counter()
        if any(cache.get(key) is None for key in asked):
            raise SystemExit("a table that was written is not found")
        best = min(best, time.perf_counter() - started)
    return best


def row_of(one: Timed, rng: np.random.Generator) -> dict[str, Any]:
    table = one.table
    simulated, closed = np.array(table.simulated_rps), np.array(table.closed_form_rps)
    served = np.flatnonzero(simulated > 0)
    ratios = closed[served] / simulated[served]
    low, middle, high = np.percentile(ratios, (5, 50, 95)).tolist()
    checked = rng.choice(served, size=min(CHECKED_CELLS, served.size), replace=False)
    return {
        "gpu": table.key.layout.gpu.name,
        "tpot_seconds": table.key.group.targets.tpot_seconds,
        "served_cells": int(served.size),
        "closed_form_alone_serves": int(((closed > 0) & (simulated == 0)).sum()),
        "cpu_seconds": sum(one.cell_seconds),
        "closed_form_cpu_seconds": one.closed_form_seconds,
        "closed_to_simulated": {"p5": low, "p50": middle, "p95": high, "worst": float(ratios.max())},
        "attained": [attained(table, int(index)) for index in checked],
    }


def shown(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="closed form / simulated, by GPU")
    for heading in (
        "GPU", "TPOT ms", "cells", "CPU s", "closed form CPU s", "p5", "median", "p95", "worst", "attained %",
    ):  # fmt: skip
        table.add_column(heading)
    for row in rows:
        ratio = row["closed_to_simulated"]
        table.add_row(
            row["gpu"], f"{1e3 * row['tpot_seconds']:.0f}", str(row["served_cells"]), f"{row['cpu_seconds']:.1f}",
            f"{row['closed_form_cpu_seconds']:.3f}", *(f"{ratio[name]:.2f}" for name in ("p5", "p50", "p95", "worst")),
            " ".join(f"{100 * share:.1f}" for share in row["attained"]),
        )  # fmt: skip
    return table


def against_targets(cell: float, wall: float | None, from_cache: float, *, tables: int) -> Table:
    """Target and figure of each. The targets of many tables are for eight; of fewer they say little."""
    table = Table(title="against the targets")
    for heading in ("what", "target", "figure", "kept"):
        table.add_column(heading)
    whole = f"{CELLS} x {tables}"
    rows: list[tuple[str, float, float | None, str, float]] = [
        ("a cell, median CPU", CELL_SECONDS, cell, "s", 1.0),
        (f"{whole} cold, wall of {PROCESSES} processes", COLD_SECONDS, wall, "s", 1.0),
        (f"{whole} from the cache, wall", CACHED_SECONDS, from_cache, "ms", 1e3),
    ]
    for what, target, figure, unit, scale in rows:
        told = "not run" if figure is None else f"{scale * figure:.3g} {unit}"
        kept = "" if figure is None else "yes" if figure <= target else "no"
        table.add_row(what, f"{scale * target:g} {unit}", told, kept)
    return table


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--no-cold", action="store_true", help="leave out the eight tables by two processes")
    parser.add_argument("--gpus", nargs="+", choices=GPUS, default=list(GPUS))
    args = parser.parse_args()
    asked = keys(args.gpus)
    results = [timed(key) for key in asked]
    seconds = np.array([second for one in results for second in one.cell_seconds])
    with tempfile.TemporaryDirectory() as directory:
        cache = TableCache(Path(directory))
        wall = cpu = None
        if args.no_cold:
            for one in results:
                cache.put(one.table)
        else:
            wall, cpu = cold(asked, cache)
        from_cache = cached(asked, cache)
    rng = np.random.default_rng(1)
    rows = [row_of(one, rng) for one in results]
    console = Console(width=150)
    console.print(shown(rows))
    median, slow = np.percentile(seconds, (50, 95)).tolist()
    console.print(
        f"{seconds.size} cells, CPU p95 {slow:.3f} s" + (f"; cold {cpu:.1f} s CPU" if cpu is not None else "")
    )
    console.print(against_targets(median, wall, from_cache, tables=len(asked)))
    document = {
        "cell_cpu_seconds": {"count": int(seconds.size), "median": median, "p95": slow, "target": CELL_SECONDS},
        "cold": {"wall_seconds": wall, "cpu_seconds": cpu, "processes": PROCESSES, "target": COLD_SECONDS},
        "cached": {"wall_seconds": from_cache, "target": CACHED_SECONDS},
        "by_gpu": rows,
    }
    write_json(args.json, document)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
