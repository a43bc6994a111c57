"""`make bench-planner`: one service alone - how long its plan takes, and what it costs beside what others would plan.

Two tables. The first: time and proven gap by routing mode, on 8 pools and with 30 variants, 60 filled buckets each.
The second: cost and CPU time beside the published slice program (CBC, slice factors 1, 4 and 8), per-type rounding and
the cheapest single type, where the router sees sizes and nothing is held back, which is what those plan. A plan that is
dearer than any of them ends the run with an error. The process time is that of `medley plan` on
examples/plan/fleet.yaml, imports included.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.model import Plan, Problem, RoutingMode
from medley_planner.optimize import plan, verify
from tests.generator import eight_pools, few_sizes, thirty_variants
from tests.perf.comparison import compare, comparison_table, hard_instances, shared_instances
from tests.perf.report import parser_of, write_json

ROOT = Path(__file__).parents[2]
PROCESS_RUNS = 5
SIZES = (("8 pools", eight_pools, 0.1), ("30 variants", thirty_variants, 0.3))
"""Name, generator and the target of the median time in seconds."""
GAP_TARGET = 0.001


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--routing", nargs="+", choices=[mode.value for mode in RoutingMode], default=list(RoutingMode))
    parser.add_argument("--seeds", type=int, default=20, help="instances of each size in the table of times")
    parser.add_argument("--compared", type=int, default=8, help="instances of each family beside the baselines")
    parser.add_argument("--limit", type=float, default=30.0, help="CPU seconds that CBC gets for each program")
    args = parser.parse_args()
    console = Console(width=150)
    timed(eight_pools(0))
    times = [
        time_row(name, make, RoutingMode(mode), range(args.seeds), target)
        for name, make, target in SIZES
        for mode in args.routing
    ]
    console.print(times_table(times, args.seeds))
    families = {
        "8 pools, 60 buckets": [eight_pools(seed) for seed in range(args.compared)],
        "30 variants, 60 buckets": [thirty_variants(seed) for seed in range(args.compared // 2)],
        "8 pools, 1 to 5 buckets": [few_sizes(seed) for seed in range(args.compared * 3)],
        "published instances": shared_instances(),
    }
    compared = [one for name, problems in families.items() for one in compare(name, problems, args.limit)]
    console.print(comparison_table(compared, args.limit))
    for line in hard_instances(compared):
        console.print(line)
    process = statistics.median(process_seconds() for _ in range(PROCESS_RUNS))
    console.print(f"medley plan -f examples/plan/fleet.yaml: {process:.2f} s (median of {PROCESS_RUNS} processes)")
    dearer = [f"{one.family} {one.name}: {what}" for one in compared for what in one.dearer()]
    write_json(
        args.json,
        {"times": times, "compared": [one.figures() for one in compared], "process_seconds": process, "dearer": dearer},
    )
    for line in dearer:
        console.print(f"[red]more expensive than a baseline: {line}")
    return 1 if dearer else 0


def timed(problem: Problem) -> tuple[Plan, float]:
    """The plan and its wall time; ends the run where the verifier finds fault."""
    started = time.perf_counter()
    made = plan(problem)
    seconds = time.perf_counter() - started
    broken = verify(problem, made)
    if broken:
        raise SystemExit(f"{problem.services[0].name}: {broken}")
    return made, seconds


def time_row(
    name: str, make: Callable[[int, RoutingMode], Problem], mode: RoutingMode, seeds: Sequence[int], target: float
) -> dict[str, Any]:
    runs = [timed(make(seed, mode)) for seed in seeds]
    seconds = [took for _, took in runs]
    ratios = [made.cost_per_hour / single.cost_per_hour for made, _ in runs if (single := made.services[0].best_single)]
    return {
        "size": name,
        "routing": mode.value,
        "median_ms": 1000 * statistics.median(seconds),
        "max_ms": 1000 * max(seconds),
        "target_ms": 1000 * target,
        "worst_gap": max(made.gap for made, _ in runs),
        "cost_against_best_single": statistics.fmean(ratios) if ratios else None,
    }


def times_table(rows: Sequence[dict[str, Any]], instances: int) -> Table:
    table = Table(title=f"One service, 60 filled buckets, {instances} instances of each size")
    for heading in (
        "size",
        "routing",
        "median ms",
        "target",
        "max ms",
        "worst gap",
        "target",
        "mean cost / best single",
    ):
        table.add_column(heading)
    for row in rows:
        ratio = row["cost_against_best_single"]
        table.add_row(
            row["size"],
            row["routing"],
            f"{row['median_ms']:.1f}",
            f"< {row['target_ms']:.0f}",
            f"{row['max_ms']:.1f}",
            f"{row['worst_gap']:.1e}",
            f"<= {GAP_TARGET:.1e}",
            "-" if ratio is None else f"{ratio:.3f}",
        )
    return table


def process_seconds() -> float:
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
