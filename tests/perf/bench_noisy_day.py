"""`make bench-noisy-day`: what plans change over a day of 288 steps with 10 % noise on every bucket, and their cost.

Beside each other on the same demand: plans that know nothing of what runs, plans that set the start-up time of each new
replica against a horizon, and the cheapest GPU type scaled by an HPA-like rule. All start from the first step's plan,
which does not count as a change. All know the demand of a step when they decide on it; the rule's replicas are not held
against stock, which favours it. Free plans of the same day without noise change what the load itself asks for, which is
not noise.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_operator.replay.baselines.single import load_alone, replicas_alone
from medley_planner.model import Plan, Problem, RoutingMode, Service
from medley_planner.optimize import plan, verify
from tests.generator import STEPS_A_DAY, day, eight_pools, fleet, running
from tests.perf.baselines.hpa import HpaState, hpa_step
from tests.perf.baselines.simple import cheapest_single
from tests.perf.report import parser_of, write_json

STARTUP_SECONDS = 300.0
HORIZONS_SECONDS = (400.0, 900.0, 3600.0)
WITHIN = (0.001,)
"""`Problem.steady_within`, its default."""
UTILISATION_LIMIT = 1 / 1.1
SEEDS = (1, 2, 3)
CASES = {
    "one service, level": (1, 1.0),
    "5 services, short stock, level": (5, 1.0),
    "one service, low 40 %": (1, 0.4),
    "5 services, short stock, low 40 %": (5, 0.4),
}
"""Services, and the day's low as a part of its high."""
CHANGES_TARGET = 1 / 3
COST_TARGET = 1.01


@dataclass(frozen=True, slots=True)
class Day:
    """The result of one policy: sum of |change| of replicas over variants and steps, mean cost, and what it overran.

    `overrun_steps`: service-steps whose load was above the utilisation limit; `seconds`: mean wall time of a step.
    """

    policy: str
    changes: int
    cost_per_hour: float
    overrun_steps: int
    seconds: float


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=STEPS_A_DAY)
    parser.add_argument("--horizons", type=float, nargs="+", default=HORIZONS_SECONDS, help="seconds")
    parser.add_argument("--within", type=float, nargs="+", default=WITHIN, help="parts that fewer changes may cost")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    args = parser.parse_args()
    title = f"{args.steps} steps of a day, 10 % noise on every bucket, seeds {args.seeds}: medians (worst)"
    table = Table(title=title)
    for heading in ("demand", "policy", "changes", "/ free", "mean $/h", "/ free", "over the limit", "s a step"):
        table.add_column(heading)
    rows: list[dict[str, Any]] = []
    for name in args.cases:
        by_seed = [days_of(name, seed, args) for seed in args.seeds]
        for runs in zip(*by_seed, strict=True):
            row = figures(name, runs, [days[0] for days in by_seed])
            rows.append(row)
            table.add_row(*cells(row))
        table.add_section()
    console = Console(width=150)
    console.print(table)
    console.print(
        f"target: <= {CHANGES_TARGET:.2f} of the changes of the free plan at <= {COST_TARGET:.2f} of its cost"
    )
    write_json(args.json, {"noisy_day": rows})
    return 0


def days_of(name: str, seed: int, args: argparse.Namespace) -> list[Day]:
    """One seed's day under every policy, the free plan first."""
    problem, trough = case(name, seed)
    steps = list(day(problem, seed=seed, steps=args.steps, trough=trough))
    quiet = list(day(problem, seed=seed, steps=args.steps, noise=0.0, trough=trough))
    days = [
        planned_day("plan, free", steps, horizon_seconds=None, within=0.0),
        planned_day("plan, free, day without noise", quiet, horizon_seconds=None, within=0.0),
    ]
    days += [
        planned_day(
            f"plan, horizon {horizon:.0f} s, within {within:.1%}", steps, horizon_seconds=horizon, within=within
        )
        for horizon in args.horizons
        for within in args.within
    ]
    return [*days, hpa_day(problem, steps)]


def case(name: str, seed: int) -> tuple[Problem, float]:
    """The problem at the day's high, and the day's low as a part of it."""
    services, trough = CASES[name]
    if services == 1:
        return _with_headroom(eight_pools(seed, RoutingMode.HTTP_ROUTE)), trough
    return _with_headroom(fleet(services, seed=seed, stock_fraction=0.7)), trough


def _with_headroom(problem: Problem) -> Problem:
    services = tuple(replace(service, utilisation_limit=UTILISATION_LIMIT) for service in problem.services)
    return replace(problem, services=services)


def planned_day(policy: str, steps: Sequence[Problem], *, horizon_seconds: float | None, within: float) -> Day:
    """Each step planned; with a horizon the last plan's replicas run and new ones take their time to start."""
    last: Plan | None = None
    changes, costs, overruns = 0, [], 0
    started = time.perf_counter()
    for step in steps:
        problem = step
        if last is not None and horizon_seconds is not None:
            asked = running(step, last, startup_seconds=STARTUP_SECONDS, stay_seconds=horizon_seconds)
            problem = replace(asked, steady_within=within)
        made = plan(problem)
        broken = verify(problem, made)
        if broken:
            raise SystemExit(f"{policy}: {broken[:3]}")
        changes += 0 if last is None else _changes(last, made)
        costs.append(made.cost_per_hour)
        overruns += sum(bool(service.unserved) for service in made.services)
        last = made
    seconds = (time.perf_counter() - started) / len(steps)
    return Day(policy, changes, statistics.fmean(costs), overruns, seconds)


def _changes(before: Plan, after: Plan) -> int:
    return sum(
        abs(count - old.replicas()[name])
        for old, new in zip(before.services, after.services, strict=True)
        for name, count in new.replicas().items()
    )


def hpa_day(problem: Problem, steps: Sequence[Problem]) -> Day:
    """Each service on the type that is cheapest alone at the day's high, scaled by the rule."""
    scaled = [
        _hpa_service(service, [step.services[place] for step in steps])
        for place, service in enumerate(problem.services)
    ]
    return Day(
        "cheapest type, HPA-like rule",
        sum(changes for changes, _, _ in scaled),
        math.fsum(cost for _, cost, _ in scaled),
        sum(overruns for _, _, overruns in scaled),
        0.0,
    )


def _hpa_service(service: Service, steps: Sequence[Service]) -> tuple[int, float, int]:
    chosen = cheapest_single(service)
    if chosen is None:
        raise SystemExit(f"{service.name}: no type serves everything; the rule has nothing to scale")
    variant = next(variant for variant in service.variants if chosen[variant.name])
    state = HpaState(replicas_alone(steps[0], variant) or 1)
    changes, costs, overruns = 0, [], 0
    for place, step in enumerate(steps):
        load = load_alone(step, variant) or 0.0
        after = hpa_step(state, load=load, target=service.utilisation_limit, now_seconds=place * 86400 / STEPS_A_DAY)
        changes += abs(after.replicas - state.replicas)
        costs.append(after.replicas * variant.cost_per_hour)
        overruns += load / after.replicas > service.utilisation_limit * (1 + 1e-9)
        state = after
    return changes, statistics.fmean(costs), overruns


def figures(name: str, runs: Sequence[Day], free: Sequence[Day]) -> dict[str, Any]:
    """Means of the same policy under several seeds. A day on which the free plan changes nothing has no ratio of
    changes."""
    changes = [one.changes / base.changes for one, base in zip(runs, free, strict=True) if base.changes]
    costs = [one.cost_per_hour / base.cost_per_hour for one, base in zip(runs, free, strict=True)]
    return {
        "demand": name,
        "policy": runs[0].policy,
        "changes": [one.changes for one in runs],
        "changes_against_free": statistics.median(changes) if changes else None,
        "changes_against_free_worst": max(changes, default=None),
        "cost_per_hour": statistics.median(one.cost_per_hour for one in runs),
        "cost_against_free": statistics.median(costs),
        "cost_against_free_worst": max(costs),
        "overrun_steps": sum(one.overrun_steps for one in runs),
        "seconds_a_step": statistics.fmean(one.seconds for one in runs),
    }


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["demand"],
        row["policy"],
        " ".join(str(count) for count in row["changes"]),
        f"{_part(row['changes_against_free'])} ({_part(row['changes_against_free_worst'])})",
        f"{row['cost_per_hour']:.2f}",
        f"{_part(row['cost_against_free'])} ({_part(row['cost_against_free_worst'])})",
        str(row["overrun_steps"]),
        f"{row['seconds_a_step']:.3f}",
    )


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
