"""`make bench-domains`: fleets whose pools stand in 40 racks, with budgets of racks, rows and the site, and without.

The ten pools of `bench-fleet` are four parts each, every part a rack, and each service may use one part of every pool,
so that a service has as many variants as there. Two racks of three are short, and so is each level above. Both problems
are planned in turn in one process; the goal is on the ratio of their CPU times. Every plan passes the verifier.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.model import LimitKind, Plan, Pool, PowerBudget, Problem, Service
from medley_planner.optimize import plan, verify
from tests.generator import changed, fleet
from tests.generator.limits import cheapest_alone, replicas_alone
from tests.perf.report import parser_of, write_json

ROWS = 4
SIZES = (100, 500)
SEEDS = (1, 2, 3)
RACK_FRACTION, ROW_FRACTION, SITE_FRACTION = 0.8, 0.95, 0.97
"""A short rack may draw this part of what its services' cheapest types would draw; a row and the site, of what feeds
from them."""
MOST_RATIO = 1.3
DEADLINE_SECONDS = 30.0


def in_racks(problem: Problem) -> Problem:
    """The fleet with each pool in one rack of each row. Every third rack has all that it may ask for."""
    services = tuple(_in_row(service, index % ROWS) for index, service in enumerate(problem.services))
    wanted, ample = _watts(services)
    pools, racks, rows = [], [], []
    for row in range(ROWS):
        fed = 0.0
        for place, pool in enumerate(problem.pools):
            name = _part(pool.name, row)
            gpus = None if pool.stock_gpus is None else math.ceil(pool.stock_gpus / ROWS)
            pools.append(Pool(name, gpus, power_domain=f"rack-{name}"))
            short = (place + row) % 3 > 0
            budget = RACK_FRACTION * wanted[name] if short else ample[name]
            racks.append(PowerBudget(f"rack-{name}", budget, f"row-{row}"))
            fed += RACK_FRACTION * wanted[name] if short else wanted[name] * 2.0
        rows.append(PowerBudget(f"row-{row}", ROW_FRACTION * fed, "site"))
    site = PowerBudget("site", SITE_FRACTION * sum(row.budget_watts for row in rows))
    return Problem(services, tuple(pools), (site, *rows, *racks))


def without_domains(problem: Problem) -> Problem:
    return replace(problem, pools=tuple(replace(pool, power_domain=None) for pool in problem.pools), power_domains=())


def _part(pool: str, row: int) -> str:
    return f"{pool}-{row}"


def _in_row(service: Service, row: int) -> Service:
    variants = (
        replace(variant, name=_part(variant.name, row), pool=_part(variant.pool, row)) for variant in service.variants
    )
    return replace(service, variants=tuple(variants))


def _watts(services: tuple[Service, ...]) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """By pool: what services draw, each on its cheapest type, and what all of them could draw."""
    wanted: Counter[str] = Counter()
    ample: Counter[str] = Counter()
    for service in services:
        best = cheapest_alone(service)
        for index, variant in enumerate(service.variants):
            watts = math.ceil(replicas_alone(service, variant)) * variant.watts
            ample[variant.pool] += watts  # type: ignore[assignment]
            wanted[variant.pool] += watts if index == best else 0.0  # type: ignore[assignment]
    return wanted, ample


def _timed(problem: Problem, last: Plan | None) -> tuple[Plan, float]:
    started = time.process_time()
    made = plan(problem, deadline_seconds=DEADLINE_SECONDS, last=last)
    seconds = time.process_time() - started
    broken = verify(problem, made)
    if broken:
        raise SystemExit(f"{len(problem.services)} services: {broken[:3]}")
    return made, seconds


def run_one(services: int, seed: int) -> dict[str, Any]:
    """The CPU seconds of a first plan and of the one after the load moved, with and without domains."""
    fed = in_racks(fleet(services, seed=seed))
    figures: dict[str, Any] = {"services": services, "seed": seed}
    for name, problem in (("without", without_domains(fed)), ("with", fed)):
        cold, figures[f"cold_{name}"] = _timed(problem, None)
        again, figures[f"replan_{name}"] = _timed(changed(problem, seed=seed), cold)
        if name == "with":
            power = [limit for limit in again.limits if limit.kind is LimitKind.POWER]
            figures |= {
                "domains": len(power),
                "binding": sum(limit.used > 0.98 * limit.limit for limit in power),
                "gap": max(cold.gap, again.gap),
                "status": again.status.value,
            }
    return figures


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    args = parser.parse_args()
    plan(in_racks(fleet(5, seed=99)))
    rows = [run_one(services, seed) for services in args.sizes for seed in args.seeds]
    table = Table(title=f"CPU seconds with and without three levels of power domains (goal: ratio <= {MOST_RATIO})")
    for column in ("services", "cold", "replan", "ratio cold", "ratio replan", "rows that bind", "gap %"):
        table.add_column(column, justify="right")
    for size in args.sizes:
        runs = [row for row in rows if row["services"] == size]

        def middle(key: str, runs: list[dict[str, Any]] = runs) -> float:
            return float(statistics.median(run[key] for run in runs))

        table.add_row(
            str(size),
            f"{middle('cold_without'):.2f} {middle('cold_with'):.2f}",
            f"{middle('replan_without'):.2f} {middle('replan_with'):.2f}",
            f"{middle('cold_with') / middle('cold_without'):.2f}",
            f"{middle('replan_with') / middle('replan_without'):.2f}",
            f"{min(run['binding'] for run in runs)} to {max(run['binding'] for run in runs)}",
            f"{100 * max(run['gap'] for run in runs):.3f}",
        )
    Console(width=150).print(table)
    write_json(args.json, {"domains": rows})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
