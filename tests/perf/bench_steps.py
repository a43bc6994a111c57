"""`make bench-steps`: what plans cost that follow steps of load, beside the cheapest fleets if all were known before.

Random services (2 to 6 types, some paid by whole nodes, starts of 120 to 1800 s) with random steps of rate and sizes,
half of them to and fro between a few loads. Beside each other on the same steps: plans by the account of what staying
has cost, plans by the fixed horizon of before, and plans that know nothing of what runs. Costs are billed, starts and
drains included, and divided by those of the cheapest row of fleets (dynamic programming).
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.model import Problem
from medley_planner.over_time import cheapest_schedule
from medley_planner.regret import Regret
from tests.perf.report import parser_of, write_json
from tests.steps_of_load import DRAIN_SECONDS, bill, by_account, by_horizon, drawn_steps, followed

SEEDS = 1000
MEDIAN_TARGET, MOST_TARGET = 1.2, 2.0


def free(problem: Problem, regret: Regret, at_seconds: float) -> Problem:
    """Starts cost nothing."""
    service = problem.services[0]
    variants = tuple(replace(each, startup_seconds=0.0, drain_seconds=0.0) for each in service.variants)
    return replace(problem, services=(replace(service, variants=variants),))


RULES = {"account": by_account, "horizon 360 s": by_horizon, "free": free}


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many sequences")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    args = parser.parse_args()
    started = time.perf_counter()
    rows = [ratios(seed) for seed in range(args.first, args.first + args.seeds)]
    seconds = time.perf_counter() - started
    found = {rule: [row["ratios"][rule] for row in rows] for rule in RULES}
    console = Console(width=150)
    console.print(_table(rows, found))
    worst = max(rows, key=lambda row: row["ratios"]["account"])
    console.print(f"worst by account: seed {worst['seed']}, {worst['types']} types, {worst['ratios']}")
    console.print(f"bound below the best row found in {sum(not row['exact'] for row in rows)} of {len(rows)}")
    console.print(f"target: median <= {MEDIAN_TARGET}, <= {MOST_TARGET} in 99 of 100; {seconds:.0f} s in all")
    write_json(args.json, {"steps": rows})
    return 0


def ratios(seed: int) -> dict[str, Any]:
    """What each rule pays on one sequence, over the cheapest row; where that is not proven, over its bound."""
    problem, stretches = drawn_steps(seed)
    best = cheapest_schedule(problem, stretches, drain_seconds=DRAIN_SECONDS)
    costs = {name: bill(problem, stretches, followed(problem, stretches, rule)).cost for name, rule in RULES.items()}
    return {
        "seed": seed,
        "types": len(problem.services[0].variants),
        "returns": len({stretch.demand for stretch in stretches}) < len(stretches),
        "startup_seconds": max(variant.startup_seconds for variant in problem.services[0].variants),
        "exact": best.bound >= best.cost * (1 - 1e-9),
        "cost": best.cost,
        "ratios": {name: cost / best.cost for name, cost in costs.items()},
    }


def _table(rows: list[dict[str, Any]], found: dict[str, list[float]]) -> Table:
    table = Table(title=f"{len(rows)} sequences of steps: billed cost over the cheapest row of fleets")
    for heading in ("rule", "median", "9 of 10", "99 of 100", "worst", "median, returns", "median, does not"):
        table.add_column(heading)
    for rule, values in found.items():
        ordered = sorted(values)
        by_kind = [[row["ratios"][rule] for row in rows if row["returns"] is kind] for kind in (True, False)]
        figures = [
            statistics.median(values),
            ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))],
            ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
            ordered[-1],
            *(statistics.median(kind) if kind else float("nan") for kind in by_kind),
        ]
        table.add_row(rule, *(f"{figure:.3f}" for figure in figures))
    return table


if __name__ == "__main__":
    sys.exit(main())
