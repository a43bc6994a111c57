"""`make bench-fleet`: whole fleets on ten pools and 60 size buckets, with and without stock that binds.

Each fleet is planned in a process of its own, so that its peak memory is its own; the solver is loaded before the clock
starts. `cold` is the first plan, `replan` the one after every rate and share of a size changed by up to 10 %. Every
plan passes the verifier. Beside stand, under the same deadline, the joint integer program (up to a size) and the
greedy fleets that are the last fallback, both dearer than the plan by the part given.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.model import Plan, Problem, RoutingMode
from medley_planner.optimize import plan, verify
from medley_planner.optimize.coverage import prepare
from medley_planner.optimize.distribute import unmet_rps
from medley_planner.optimize.fallback import greedy
from medley_planner.optimize.solve import Answer, cost_per_hour, solve_tasks
from medley_planner.optimize.stock import finite_stocks
from medley_planner.optimize.task import Task

ROOT = Path(__file__).parents[2]
SIZES = (10, 30, 100, 500, 1000)
SEEDS = (1, 2, 3)
STOCK_FRACTION = 0.7
DEADLINE_SECONDS = 10.0
JOINT_UP_TO = 100
GREEDY_UP_TO = 500


def run_one(services: int, seed: int, *, scarce: bool, routing: RoutingMode, baseline: bool) -> dict[str, Any]:
    """All figures of one fleet; ends the process where the verifier finds fault."""
    from tests.generator import changed, fleet

    plan(fleet(5, seed=99, stock_fraction=STOCK_FRACTION))
    problem = fleet(services, seed=seed, stock_fraction=STOCK_FRACTION if scarce else None, routing=(routing,))
    cold, cold_seconds = _timed(problem)
    again, replan_seconds = _timed(changed(problem, seed=seed))
    figures: dict[str, Any] = {
        "cold_seconds": cold_seconds,
        "replan_seconds": replan_seconds,
        "gap": max(cold.gap, again.gap),
        "cost_per_hour": cold.cost_per_hour,
        "status": cold.status.value,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    return figures | (_baselines(problem, cold) if baseline else {})


def _timed(problem: Problem) -> tuple[Plan, float]:
    started = time.perf_counter()
    made = plan(problem, deadline_seconds=DEADLINE_SECONDS)
    seconds = time.perf_counter() - started
    broken = verify(problem, made)
    if broken:
        raise SystemExit(f"{len(problem.services)} services: {broken[:3]}")
    return made, seconds


def _baselines(problem: Problem, made: Plan) -> dict[str, Any]:
    stocks = finite_stocks(problem.pools)
    tasks = [prepare(service, stocks)[0] for service in problem.services]
    found: dict[str, Any] = {}
    simple = None
    if len(tasks) <= GREEDY_UP_TO:
        simple = greedy(tasks, stocks).answers
        found["greedy"] = _dearer(tasks, simple, made)
    if simple is not None and len(tasks) <= JOINT_UP_TO:
        ends = time.perf_counter() + DEADLINE_SECONDS
        started = time.perf_counter()
        joint = solve_tasks(
            tasks,
            stocks,
            seconds_left=lambda: max(0.0, ends - time.perf_counter()),
            relative_gap=1e-5,
            start=[answer.replicas for answer in simple],
        )
        found["joint_seconds"] = time.perf_counter() - started
        if joint is not None:
            cost = math.fsum(cost_per_hour(t, a.replicas) for t, a in zip(tasks, joint.answers, strict=True))
            found["joint"] = _dearer(tasks, joint.answers, made)
            found["joint_gap"] = (cost - joint.bound) / cost
    return found


def _dearer(tasks: list[Task], answers: tuple[Answer, ...], made: Plan) -> float | None:
    """None where some demand is left out, which makes the cost incomparable."""
    if any(unmet_rps(task, answer.split) > 0 for task, answer in zip(tasks, answers, strict=True)):
        return None
    cost = math.fsum(cost_per_hour(task, answer.replicas) for task, answer in zip(tasks, answers, strict=True))
    return cost / made.cost_per_hour - 1


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="print the figures as JSON after the table")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--routing", choices=[mode.value for mode in RoutingMode], default="HTTPRoute")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(run_one(**json.loads(args.one) | {"routing": RoutingMode(args.routing)})))
        return 0
    table = Table(title=f"{args.routing}, 10 pools x 60 buckets, medians of seeds {args.seeds}, deadline 10 s")
    headings = (
        "services",
        "stock",
        "cold s",
        "replan s",
        "worst gap",
        "peak MiB",
        "joint: s, gap, dearer",
        "greedy dearer",
    )
    for heading in headings:
        table.add_column(heading)
    rows = []
    for services in args.sizes:
        for scarce in (False, True):
            runs = [
                _spawn(services, seed, scarce=scarce, routing=args.routing, first=args.seeds[0]) for seed in args.seeds
            ]
            rows.append({"services": services, "scarce": scarce, "runs": runs})
            table.add_row(*_cells(services, runs, scarce=scarce))
    Console(width=140).print(table)
    if args.json:
        print(json.dumps({"fleet": rows}))
    return 0


def _spawn(services: int, seed: int, *, scarce: bool, routing: str, first: int) -> dict[str, Any]:
    one = {"services": services, "seed": seed, "scarce": scarce, "baseline": scarce and seed == first}
    command = [sys.executable, "-m", "tests.perf.bench_fleet", "--routing", routing, "--one", json.dumps(one)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _cells(services: int, runs: list[dict[str, Any]], *, scarce: bool) -> tuple[str, ...]:
    def median(name: str) -> float:
        return float(statistics.median(run[name] for run in runs))

    joint, simple = "-", "-"
    for run in runs:
        if "joint_seconds" in run:
            joint = f"{run['joint_seconds']:.1f} s, {_part(run.get('joint_gap'))}, {_part(run.get('joint'))}"
        if "greedy" in run:
            simple = _part(run["greedy"]) if run["greedy"] is not None else "leaves out demand"
    return (
        str(services),
        f"{STOCK_FRACTION:.0%} of 4 pools" if scarce else "enough",
        f"{median('cold_seconds'):.2f}",
        f"{median('replan_seconds'):.2f}",
        f"{max(run['gap'] for run in runs):.4%}",
        f"{max(run['peak_mib'] for run in runs):.0f}",
        joint,
        simple,
    )


def _part(value: float | None) -> str:
    return "none" if value is None else f"{value:.2%}"


if __name__ == "__main__":
    sys.exit(main())
