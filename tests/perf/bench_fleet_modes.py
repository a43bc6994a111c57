"""`make bench-fleet-modes`: each routing mode alone and all mixed, with all limits or too little of all.

Each fleet is planned in a process of its own. Time is the process's CPU time, which is the clock of its deadline too,
so that what else runs on the machine changes little. *Leaves out* is the demand by priority over the least that any
plan could leave out, as the plan says; *dearer* what one integer program costs more that HiGHS and CP-SAT solve for
20 s.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.model import Problem, RoutingMode
from medley_planner.optimize import plan, verify
from tests.generator import Extras, fleet, scarce
from tests.perf.baselines.one_shot import one_shot
from tests.perf.report import parser_of, write_json

ROOT = Path(__file__).parents[2]
SIZES = (10, 100, 300, 1000)
LARGE = 5000
"""Services of the row of `HTTPRoute` alone."""
SEEDS = (1, 2, 3)
MIXED = "mixed"
MODES = (*(mode.value for mode in RoutingMode), MIXED)
DEADLINE_SECONDS, ONE_SHOT_SECONDS = 10.0, 20.0
DEMAND_FACTOR = 1.3


def problem_of(services: int, seed: int, mode: str, *, short: bool) -> Problem:
    """With all limits and 70 % of the stock; `short`: pools that hold less than is asked for, and no other limits."""
    routing = tuple(RoutingMode) if mode == MIXED else (RoutingMode(mode),)
    if short:
        return scarce(fleet(services, seed=seed, routing=routing), demand_factor=DEMAND_FACTOR)
    extras = Extras(tensor_parallel_degrees=2, spot=True, node_gpus=8, power_fraction=0.8)
    return fleet(services, seed=seed, stock_fraction=0.7, routing=routing, extras=extras)


def run_one(services: int, seed: int, *, mode: str, short: bool, baselines: bool) -> dict[str, Any]:
    """All figures of one fleet; ends the process where the verifier finds fault."""
    plan(problem_of(5, 99, mode, short=False))
    problem = problem_of(services, seed, mode, short=short)
    started = time.process_time()
    made = plan(problem, deadline_seconds=DEADLINE_SECONDS, clock=time.process_time)
    seconds = time.process_time() - started
    broken = verify(problem, made)
    if broken:
        raise SystemExit(f"{services} services, {mode}, seed {seed}: {broken[:3]}")
    return {
        "cpu_seconds": seconds,
        "gap": made.gap,
        "status": made.status.value,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "shortages": {one.priority.value: [one.unserved_rps, one.least_rps] for one in made.shortages},
        "one_shot": one_shot(problem, made, seconds=ONE_SHOT_SECONDS) if baselines else {},
    }


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--large", type=int, default=LARGE, help="services of the HTTPRoute row; 0: none")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(run_one(**json.loads(args.one))))
        return 0
    cases = [(size, mode, short) for size in args.sizes for mode in args.modes for short in (False, True)]
    if args.large:
        cases.append((args.large, RoutingMode.HTTP_ROUTE.value, False))
    rows = [
        _row(size, mode, short=short, seeds=args.seeds, baselines=not args.no_baselines) for size, mode, short in cases
    ]
    Console(width=170).print(_table(rows, args.seeds))
    write_json(args.json, {"fleet_modes": rows})
    return 0


def _row(services: int, mode: str, *, short: bool, seeds: list[int], baselines: bool) -> dict[str, Any]:
    runs = []
    for seed in seeds:
        one = {"services": services, "seed": seed, "mode": mode, "short": short}
        one |= {"baselines": baselines and not short and seed == seeds[0]}
        command = [sys.executable, "-m", "tests.perf.bench_fleet_modes", "--one", json.dumps(one)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise SystemExit(f"{services} services, {mode}, seed {seed}:\n{done.stderr}")
        runs.append(json.loads(done.stdout.splitlines()[-1]))
        print(
            services, mode, "short" if short else "all limits", seed, json.dumps(runs[-1]), file=sys.stderr, flush=True
        )
    return {"services": services, "mode": mode, "short": short, "runs": runs}


def _table(rows: list[dict[str, Any]], seeds: list[int]) -> Table:
    table = Table(title=f"10 pools x 60 buckets, medians of seeds {list(seeds)}, deadline {DEADLINE_SECONDS:.0f} CPU s")
    for heading in ("services", "routing", "limits", "CPU s", "worst gap", "peak MiB", "leaves out", "dearer"):
        table.add_column(heading)
    for row in rows:
        runs = row["runs"]
        first = runs[0]
        left = "; ".join(f"{name} {out:.4g} of {least:.4g}" for name, (out, least) in first["shortages"].items())
        table.add_row(
            str(row["services"]),
            row["mode"],
            f"demand x {DEMAND_FACTOR}" if row["short"] else "all",
            f"{statistics.median(run['cpu_seconds'] for run in runs):.2f}",
            f"{max(run['gap'] for run in runs):.2%}",
            f"{max(run['peak_mib'] for run in runs):.0f}",
            left or "nothing",
            ", ".join(f"{name} {_part(one['dearer'])}" for name, one in first["one_shot"].items()) or "-",
        )
    return table


def _part(value: float | None) -> str:
    return "none found" if value is None else f"{value:+.2%}"


if __name__ == "__main__":
    sys.exit(main())
