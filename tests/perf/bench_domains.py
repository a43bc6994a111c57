"""`make bench-domains`: a fleet of `bench-fleet` whose pools stand in 40 racks, with budgets and without.

The ten pools are four parts each, every part a rack, and each service may use one part of every pool: one row of the
site. Both problems have the stock of `bench-fleet`. Two racks of three that are used may draw less than they would;
rows may draw a part of the way from the least watts that serve all demand, with these racks, to what the cheapest plan
draws, and the site less than its rows: so that all three levels bind and nothing need be left out. Both are planned
in turn in one process; the goal is on the ratio of their CPU times. Every plan passes the verifier.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.model import LimitKind, Plan, Pool, PowerBudget, Problem, Service
from medley_planner.optimize import plan, verify
from tests.generator import changed, fleet
from tests.generator.limits import replicas_alone
from tests.perf.report import parser_of, write_json

ROWS = 4
SIZES = (100, 500)
SEEDS = (1, 2, 3)
STOCK_FRACTION = 0.7
RACK_FRACTION = 0.9
"""A short rack may draw this part of what it draws without domains."""
ROW_PART, LEAST_PART = 0.6, 0.03
"""How much of the way from the least watts to those of the cheapest plan in short racks a row may draw, and at least
this part more than the least watts."""
SITE_FRACTION = 0.99
"""The site may draw this part of what its rows may."""
BOUND = 0.98
"""A row that is used above this part of its limit binds."""
MOST_RATIO = 1.3
DEADLINE_SECONDS = 600.0
"""Far away: what binds are nodes and rounds, on a busy machine too."""


def in_rows(problem: Problem) -> Problem:
    """The fleet with a quarter of each pool in each row, and each service in one row."""
    pools = tuple(
        Pool(_part(pool.name, row), None if pool.stock_gpus is None else math.ceil(pool.stock_gpus / ROWS))
        for row in range(ROWS)
        for pool in problem.pools
    )
    services = tuple(_in_row(service, index % ROWS) for index, service in enumerate(problem.services))
    return Problem(services, pools)


def with_domains(problem: Problem, *, seed: int) -> Problem:
    """The fleet in rows with the budgets of racks, rows and the site, in which it can be served before and after its
    load changes by that seed."""
    held = _in_racks(problem)
    cheapest = _by_row(_drawn(held, _planned(held)))
    by_watts = _priced_by_watts(held)
    least = _by_row(_drawn(by_watts, _planned(by_watts))) | _by_row(
        _drawn(by_watts, _planned(changed(by_watts, seed=seed)))
    )

    def between(row: int, part: float) -> float:
        return least[row] + max(part * (cheapest[row] - least[row]), LEAST_PART * least[row])

    rows = [PowerBudget(f"row-{row}", between(row, ROW_PART), "site") for row in range(ROWS)]
    site = PowerBudget("site", SITE_FRACTION * sum(row.budget_watts for row in rows))
    racks = (replace(rack, parent=f"row-{_row_of(rack.name)}") for rack in held.power_domains)
    return replace(held, power_domains=(site, *rows, *racks))


def _in_racks(problem: Problem) -> Problem:
    """With the budgets of racks alone."""
    drawn, ample = _drawn(problem, _planned(problem)), _ample(problem.services)
    racks = []
    for row in range(ROWS):
        names = [pool.name for pool in problem.pools if _row_of(pool.name) == row]
        for place, name in enumerate(sorted(names, key=lambda each: -drawn[each])):
            short = place % 3 < 2 and drawn[name] > 0
            racks.append(PowerBudget(f"rack-{name}", RACK_FRACTION * drawn[name] if short else ample[name] + 1.0))
    pools = tuple(replace(pool, power_domain=f"rack-{pool.name}") for pool in problem.pools)
    return replace(problem, pools=pools, power_domains=tuple(racks))


def _part(name: str, row: int) -> str:
    return f"{name}-{row}"


def _row_of(name: str) -> int:
    return int(name.rpartition("-")[2])


def _in_row(service: Service, row: int) -> Service:
    variants = (
        replace(variant, name=_part(variant.name, row), pool=_part(variant.pool, row)) for variant in service.variants
    )
    return replace(service, variants=tuple(variants))


def _priced_by_watts(problem: Problem) -> Problem:
    services = (
        replace(service, variants=tuple(replace(each, cost_per_hour=each.watts) for each in service.variants))
        for service in problem.services
    )
    return replace(problem, services=tuple(services))


def _drawn(problem: Problem, made: Plan) -> dict[str, float]:
    """Watts by pool."""
    watts: dict[str, float] = defaultdict(float)
    for service, planned in zip(problem.services, made.services, strict=True):
        replicas = planned.replicas()
        for variant in service.variants:
            watts[variant.pool] += replicas[variant.name] * variant.watts
    return watts


def _by_row(watts: dict[str, float]) -> dict[int, float]:
    found: dict[int, float] = defaultdict(float)
    for pool, drawn in watts.items():
        found[_row_of(pool)] += drawn
    return found


def _ample(services: tuple[Service, ...]) -> dict[str, float]:
    """The watts by pool of all services that may use it, each alone on it."""
    watts: dict[str, float] = defaultdict(float)
    for service in services:
        for variant in service.variants:
            watts[variant.pool] += math.ceil(replicas_alone(service, variant)) * variant.watts
    return watts


def _planned(problem: Problem) -> Plan:
    return _timed(problem, None)[0]


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
    without = in_rows(fleet(services, seed=seed, stock_fraction=STOCK_FRACTION))
    figures: dict[str, Any] = {"services": services, "seed": seed}
    for name, problem in (("without", without), ("with", with_domains(without, seed=seed))):
        cold, figures[f"cold_{name}"] = _timed(problem, None)
        again, figures[f"replan_{name}"] = _timed(changed(problem, seed=seed), cold)
        figures[f"gap_{name}"] = max(cold.gap, again.gap)
        figures[f"unserved_{name}"] = sum(bool(each.unserved) for made in (cold, again) for each in made.services)
        power = [limit for limit in cold.limits if limit.kind is LimitKind.POWER]
        figures["binding"] = Counter(
            limit.name.partition("-")[0] for limit in power if limit.used > BOUND * limit.limit
        )
    return figures


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    args = parser.parse_args()
    plan(in_rows(fleet(5, seed=99)))
    rows = [run_one(services, seed) for services in args.sizes for seed in args.seeds]
    table = Table(title=f"CPU seconds without and with three levels of power domains (goal: ratio <= {MOST_RATIO})")
    for column in ("services", "cold s", "replan s", "ratio cold", "ratio replan", "binding", "unserved", "gap %"):
        table.add_column(column, justify="right")
    for size in args.sizes:
        table.add_row(str(size), *_cells([row for row in rows if row["services"] == size]))
    Console(width=150).print(table)
    write_json(args.json, {"domains": rows})
    return 0


def _cells(runs: list[dict[str, Any]]) -> tuple[str, ...]:
    """Seconds are medians, ratios those of the medians; the rest is the worst of the seeds."""

    def middle(key: str) -> float:
        return float(statistics.median(run[key] for run in runs))

    kinds = (f"{min(run['binding'][kind] for run in runs)} {kind}" for kind in ("rack", "row", "site"))
    return (
        *(f"{middle(f'{when}_without'):.2f} {middle(f'{when}_with'):.2f}" for when in ("cold", "replan")),
        *(f"{middle(f'{when}_with') / middle(f'{when}_without'):.2f}" for when in ("cold", "replan")),
        ", ".join(kinds),
        " ".join(str(max(run[f"unserved_{which}"] for run in runs)) for which in ("without", "with")),
        " ".join(f"{100 * max(run[f'gap_{which}'] for run in runs):.3f}" for which in ("without", "with")),
    )


if __name__ == "__main__":
    raise SystemExit(main())
