"""`make bench-planner`: how long one plan takes, and what it saves against the best single type, from real capacities.

One service on eight pools with the standard 60 buckets: capacities of the data sheet, rates and sizes drawn with a
seed. The cheapest single type is solved in the same run and stands beside as the baseline of cost. The process time
is that of `medley plan` on examples/plan/fleet.yaml, imports included.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from medley_planner.capacity import capacity_row
from medley_planner.catalog import gpu
from medley_planner.model import Pool, Problem, RoutingMode, Service, Variant
from medley_planner.optimize import plan, verify
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.workload import demand_from_means

ROOT = Path(__file__).parents[2]
INSTANCES = 20
PROCESS_RUNS = 5
PRICES = {"L4": 0.805, "A10G": 1.006, "L40S": 1.861, "A100-40": 2.745, "A100-80": 3.431, "H100": 6.88, "H200": 7.912,
          "MI300X": 6.0}  # fmt: skip


def services(mode: RoutingMode) -> Iterator[Service]:
    draw = random.Random(7)  # noqa: S311 - instances, not secrets
    shape = bundled_shape("hf://meta-llama/Llama-3.1-8B-Instruct")
    for index in range(INSTANCES):
        demand = demand_from_means(
            draw.uniform(2, 120), prompt_tokens=draw.uniform(200, 3000), generation_tokens=draw.uniform(50, 500)
        )
        rows = {
            name: capacity_row(
                shape,
                gpu(name),
                tensor_parallel=1,
                precision=Precision.BF16,
                max_model_len=32768,
                buckets=demand.buckets,
                ttft_seconds=2.0,
                tpot_seconds=0.1,
                percentile=95,
                token_budget=2048,
                max_sequences=256,
            )
            for name in PRICES
        }
        variants = tuple(
            Variant(
                name=name,
                pool=name,
                gpu=name,
                gpus_per_replica=1,
                cost_per_hour=PRICES[name],
                capacity_rps=row.capacity_rps,
                provenance=row.provenance,
            )
            for name, row in rows.items()
        )
        yield Service(f"s{index}", demand, variants, mode)


def main() -> int:
    table = Table(title=f"1 service x {len(PRICES)} pools x standard grid, {INSTANCES} instances")
    for heading in ("routing", "buckets", "median ms", "max ms", "worst gap", "mean cost against best single type"):
        table.add_column(heading)
    results = []
    for mode in RoutingMode:
        seconds, ratios, gaps, buckets = [], [], [], 0
        for service in services(mode):
            problem = Problem((service,), tuple(Pool(name) for name in PRICES))
            started = time.perf_counter()
            made = plan(problem)
            seconds.append(time.perf_counter() - started)
            broken = verify(problem, made)
            if broken:
                raise SystemExit(f"{mode} {service.name}: {broken}")
            single = made.services[0].best_single
            if single is not None:
                ratios.append(made.cost_per_hour / single.cost_per_hour)
            gaps.append(made.gap)
            buckets = max(buckets, len(service.demand.buckets))
        row = {
            "routing": mode.value,
            "buckets": buckets,
            "median_ms": 1000 * statistics.median(seconds),
            "max_ms": 1000 * max(seconds),
            "worst_gap": max(gaps),
            "cost_against_best_single": statistics.fmean(ratios) if ratios else None,
        }
        results.append(row)
        ratio = f"{row['cost_against_best_single']:.3f}" if ratios else "-"
        times = (f"{row['median_ms']:.1f}", f"{row['max_ms']:.1f}")
        table.add_row(mode.value, str(buckets), *times, f"{row['worst_gap']:.1e}", ratio)
    process = statistics.median(_process_seconds() for _ in range(PROCESS_RUNS))
    console = Console()
    console.print(table)
    console.print(f"medley plan -f examples/plan/fleet.yaml: {process:.2f} s (median of {PROCESS_RUNS} processes)")
    if "--json" in sys.argv:
        print(json.dumps({"plan": results, "process_seconds": process}))
    return 0


def _process_seconds() -> float:
    started = time.perf_counter()
    medley = Path(sys.executable).parent / "medley"
    done = subprocess.run(
        [medley, "plan", "-f", str(ROOT / "examples" / "plan" / "fleet.yaml")],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    if "Optimal" not in done.stdout:
        raise SystemExit(f"medley plan printed no plan:\n{done.stdout}{done.stderr}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
