"""`make bench-day`: what a day costs and attains under Medley and under each baseline, on six days of requests.

Public traces, tiled to days, and made-up ones, replayed through the operator's own loop (`medley replay`), on the same
arrivals and chances for all policies. Costs are as billed. The saving is against each baseline's own cost, whether it
attained what was asked or not; attainment stands beside it. CPU seconds are of one core. Reads ../shared/data (or
$MEDLEY_SHARED_DATA).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_operator.cli.tables import with_tables
from medley_operator.replay.bad_replay import LeftOut
from medley_operator.replay.baselines.single import planned_with
from medley_operator.replay.operator_loop import Tables
from medley_operator.replay.outcome import PolicyOutcome
from medley_operator.replay.policies import POLICIES, Replay
from medley_operator.replay.scenario import Scenario
from tests.perf.replay_days import DAYS, day_scenario
from tests.perf.report import parser_of, write_json


def main() -> int:
    args = _arguments()
    rows = [row for name in args.days for row in days_of(name, args)]
    table = Table(title=f"first {args.hours:g} h of each day, seed {args.seed}")
    for heading in ("day", "policy", "cost", "Medley saves", "attained", "worst hour", "replicas", "changes", "CPU s"):
        table.add_column(heading)
    for at, row in enumerate(rows):
        if at and rows[at - 1]["day"] != row["day"]:
            table.add_section()
        table.add_row(*cells(row))
    console = Console(width=150)
    console.print(table)
    for policy in args.policies:
        savings = [row["saving"] for row in rows if row["policy"] == policy and row["saving"] is not None]
        if savings:
            console.print(f"median saving against {policy}: {statistics.median(savings):.1%}")
    write_json(args.json, {"days": rows})
    return 0


def days_of(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One day under every policy."""
    scenario = day_scenario(name, seed=args.seed, hours=args.hours)
    replay = Replay(scenario, tables_of(scenario, simulate=args.simulate))
    rows: list[dict[str, Any]] = []
    for policy in args.policies:
        started = time.process_time()
        try:
            outcome = POLICIES[policy](replay)
        except LeftOut as error:
            print(f"{name}: {policy} is left out: {error.why}", file=sys.stderr)
            continue
        rows.append(figures(name, outcome, time.process_time() - started))
        print(f"{name}: {policy} replayed in {rows[-1]['cpu_seconds']:.0f} CPU s", file=sys.stderr)
    medley = next((row["cost"] for row in rows if row["policy"] == "medley"), None)
    for row in rows:
        if row["policy"] != "medley" and medley is not None:
            row["saving"] = 1.0 - medley / row["cost"]
    return rows


def tables_of(scenario: Scenario, *, simulate: bool) -> Tables:
    """Simulated capacities of the operator's own cache, where they are asked for; else the closed form's."""
    if not simulate:
        return {}
    snapshot = planned_with(scenario, {}, scenario.first_demands())
    return with_tables(snapshot, directory=None, simulate=True).capacity_tables


def figures(name: str, outcome: PolicyOutcome, cpu_seconds: float) -> dict[str, Any]:
    return {
        "day": name,
        "policy": outcome.name,
        "requests": outcome.requests,
        "cost": outcome.cost,
        "saving": None,
        "attainment": outcome.attainment,
        "worst_hour": outcome.worst_hour,
        "mean_replicas": outcome.mean_replicas,
        "changes": outcome.changes,
        "plans": outcome.plans,
        "unfinished": outcome.unfinished,
        "cpu_seconds": cpu_seconds,
        "note": outcome.note,
    }


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['day']} ({row['requests']:,})" if row["policy"] == "medley" else "",
        f"{row['policy']} ({row['note']})" if row["note"] else row["policy"],
        f"${row['cost']:.2f}",
        "" if row["saving"] is None else f"{row['saving']:.1%}",
        f"{row['attainment']:.2%}",
        f"{row['worst_hour']:.2%}",
        f"{row['mean_replicas']:.2f}",
        str(row["changes"]),
        f"{row['cpu_seconds']:.0f}",
    )


def _arguments() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--days", nargs="+", choices=list(DAYS), default=list(DAYS))
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), default=list(POLICIES))
    parser.add_argument("--hours", type=float, default=24.0, help="replay so much of each day")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--simulate", action="store_true", help="plan with simulated capacities, made where missing")
    return parser.parse_args()


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
