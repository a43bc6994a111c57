"""A replay for people: a row for each policy.

Apart: loads what draws tables, which JSON does without.
"""

from __future__ import annotations

from typing import Any

from medley_planner.cli.console import report_console, titled_table
from medley_planner.units import money

HEADINGS = ("policy", "cost", "attained", "worst hour", "replicas", "changes", "not served", "note")


def print_replay(report: dict[str, Any]) -> None:
    console = report_console()
    hours = report["seconds"] / 3600.0
    console.print(f"{report['requests']} requests in {hours:.2f} h, seed {report['seed']}")
    for service in report["services"]:
        console.print(
            f"{service['name']}: {service['percentile']:g} % within TTFT {service['ttft_seconds']:g} s and TPOT "
            f"{1000 * service['tpot_seconds']:g} ms"
        )
    console.print(titled_table(None, HEADINGS, map(_row, report["policies"])))


def _row(policy: dict[str, Any]) -> tuple[str, ...]:
    return (
        policy["name"],
        f"${money(policy['cost'])}",
        f"{policy['attainment_percent']:.2f} %",
        f"{policy['worst_hour_percent']:.2f} %",
        f"{policy['mean_replicas']:.2f}",
        str(policy["changes"]),
        str(policy["unfinished"]),
        policy["note"],
    )
