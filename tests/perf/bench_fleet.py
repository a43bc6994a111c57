"""`make bench-fleet`: whole fleets on ten pools and 60 size buckets, with and without limits that bind.

Each fleet is planned in a separate process, so that its peak memory is its own; the solver is loaded before the clock
starts. `cold` is the first plan, `replan` the one after every rate and share of a size changed by up to 10 %. Every
plan passes the verifier. Beside stand the targets for the size, and where stock alone binds, under the same deadline,
the joint integer program (up to a size) and the greedy fleets of the last fallback, both dearer by the part shown.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.model import Plan, Problem, RoutingMode
from medley_planner.optimize import plan, verify
from tests.generator import Extras, changed, fleet
from tests.perf.baselines.fleet_programs import fleet_baselines
from tests.perf.report import parser_of, write_json

ROOT = Path(__file__).parents[2]
SIZES = (10, 30, 100, 500, 1000)
SEEDS = (1, 2, 3)
STOCK_FRACTION = 0.7
POWER_FRACTION = 0.8
DEADLINE_SECONDS = 10.0
POOL_ROUTED = 100
"""Services of the row in which all are routed by prompt class."""


@dataclass(frozen=True, slots=True)
class Case:
    """Which limits bind, and what there is beyond plain pools."""

    title: str
    stock: bool = False
    power: bool = False
    variants: bool = False

    def problem(self, services: int, seed: int, routing: RoutingMode) -> Problem:
        return fleet(
            services,
            seed=seed,
            stock_fraction=STOCK_FRACTION if self.stock else None,
            routing=(routing,),
            extras=Extras(
                tensor_parallel_degrees=2 if self.variants else 1,
                spot=self.variants,
                node_gpus=8 if self.variants else None,
                power_fraction=POWER_FRACTION if self.power else None,
            ),
        )


CASES = {
    "enough": Case("enough"),
    "stock": Case("stock", stock=True),
    "power": Case("stock, power", stock=True, power=True),
    "all": Case("stock, power; TP, spot, nodes", stock=True, power=True, variants=True),
}


@dataclass(frozen=True, slots=True)
class Target:
    """The targets of a fleet of a size, None where there is none; the gap as a part of the cost."""

    cold_seconds: float
    replan_seconds: float | None
    gap: float
    peak_mib: float | None


TARGETS = {
    30: Target(10.0, None, 0.005, None),
    100: Target(3.0, 1.0, 0.005, None),
    500: Target(3.0, 1.0, 0.001, 400.0),
    1000: Target(10.0, None, 0.001, 1024.0),
}
POOL_ROUTED_TARGET = Target(6.0, None, 0.01, None)


def run_one(services: int, seed: int, *, case: Case, routing: RoutingMode, baseline: bool) -> dict[str, Any]:
    """All figures of one fleet; ends the process where the verifier finds fault."""
    plan(case.problem(5, 99, routing))
    problem = case.problem(services, seed, routing)
    cold, cold_seconds = _timed(problem, last=None)
    again, replan_seconds = _timed(changed(problem, seed=seed), last=cold)
    figures: dict[str, Any] = {
        "cold_seconds": cold_seconds,
        "replan_seconds": replan_seconds,
        "gap": max(cold.gap, again.gap),
        "cost_per_hour": cold.cost_per_hour,
        "status": cold.status.value,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if baseline:
        figures |= fleet_baselines(problem, cold, deadline_seconds=DEADLINE_SECONDS)
    return figures


def _timed(problem: Problem, *, last: Plan | None) -> tuple[Plan, float]:
    """`last` is the plan that was made before, as the operator hands it over."""
    started = time.perf_counter()
    made = plan(problem, deadline_seconds=DEADLINE_SECONDS, last=last)
    seconds = time.perf_counter() - started
    broken = verify(problem, made)
    if broken:
        raise SystemExit(f"{len(problem.services)} services, {'cold' if last is None else 'replan'}: {broken[:3]}")
    return made, seconds


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--routing", choices=[mode.value for mode in RoutingMode], default="HTTPRoute")
    parser.add_argument(
        "--pool-routed", type=int, default=POOL_ROUTED, help="services of the InferencePool row; 0: none"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one = json.loads(args.one)
        one |= {"case": CASES[one["case"]], "routing": RoutingMode(one["routing"])}
        print(json.dumps(run_one(**one)))
        return 0
    rows = [_row(services, case, args.routing, args.seeds) for services in args.sizes for case in args.cases]
    if args.pool_routed:
        rows.append(_row(args.pool_routed, "power", RoutingMode.INFERENCE_POOL.value, args.seeds))
    Console(width=170).print(_table(rows, args.seeds))
    write_json(args.json, {"fleet": rows})
    return 0


def _row(services: int, case: str, routing: str, seeds: Sequence[int]) -> dict[str, Any]:
    runs = []
    for seed in seeds:
        one = {
            "services": services,
            "seed": seed,
            "case": case,
            "routing": routing,
            "baseline": case == "stock" and seed == seeds[0],
        }
        command = [sys.executable, "-m", "tests.perf.bench_fleet", "--one", json.dumps(one)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise SystemExit(f"{services} services, {case}, {routing}, seed {seed}:\n{done.stderr}")
        runs.append(json.loads(done.stdout))
    return {"services": services, "case": case, "routing": routing, "runs": runs}


def _table(rows: Sequence[dict[str, Any]], seeds: Sequence[int]) -> Table:
    table = Table(
        title=f"10 pools x 60 buckets, medians of seeds {list(seeds)} / target, deadline {DEADLINE_SECONDS:.0f} s; "
        f"binding: {STOCK_FRACTION:.0%} of the stock wanted in 4 pools, {POWER_FRACTION:.0%} of the power in 2 racks"
    )
    for heading in (
        "services",
        "routing",
        "binding",
        "cold s",
        "replan s",
        "worst gap",
        "peak MiB",
        "status",
        "joint: s, gap, dearer",
        "greedy dearer",
    ):
        table.add_column(heading)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    runs: list[dict[str, Any]] = row["runs"]
    pool_routed = row["routing"] == RoutingMode.INFERENCE_POOL.value
    target = POOL_ROUTED_TARGET if pool_routed else TARGETS.get(row["services"])
    cold = statistics.median(run["cold_seconds"] for run in runs)
    replan = statistics.median(run["replan_seconds"] for run in runs)
    first = runs[0]
    joint, simple = "-", "-"
    if "joint_seconds" in first:
        joint = f"{first['joint_seconds']:.1f} s, {_part(first.get('joint_gap'))}, {_part(first.get('joint'))}"
    if "greedy" in first:
        simple = _part(first["greedy"]) if first["greedy"] is not None else "leaves out demand"
    return (
        str(row["services"]),
        row["routing"],
        CASES[row["case"]].title,
        f"{cold:.2f}{_target(target.cold_seconds if target else None)}",
        f"{replan:.2f}{_target(target.replan_seconds if target else None)}",
        f"{max(run['gap'] for run in runs):.3%}" + (f" / {target.gap:.1%}" if target else ""),
        f"{max(run['peak_mib'] for run in runs):.0f}{_target(target.peak_mib if target else None)}",
        ", ".join(sorted({run["status"] for run in runs})),
        joint,
        simple,
    )


def _target(value: float | None) -> str:
    return "" if value is None else f" / {value:g}"


def _part(value: float | None) -> str:
    return "none" if value is None else f"{value:.2%}"


if __name__ == "__main__":
    sys.exit(main())
