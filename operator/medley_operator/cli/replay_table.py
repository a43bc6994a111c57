"""A replay for people: a row for each policy, or for each candidate of a sweep.

Apart: loads what draws tables, which JSON does without.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from medley_operator.replay.page import over_clairvoyant
from medley_planner.cli.console import report_console, titled_table
from medley_planner.units import money

HEADINGS: tuple[str, ...] = ("policy", "cost", "attained", "worst hour", "replicas", "changes", "not served", "note")


def print_replay(report: dict[str, Any]) -> None:
    console = _headed(report)
    headings, rows = HEADINGS, [_row(policy) for policy in report["policies"]]
    ratios = [over_clairvoyant(policy) for policy in report["policies"]]
    if any(ratios):
        headings = (*HEADINGS[:2], "ratio", *HEADINGS[2:])
        rows = [(*row[:2], ratio, *row[2:]) for row, ratio in zip(rows, ratios, strict=True)]
    if rows:
        console.print(titled_table(None, headings, rows, unbroken="policy"))
    if any(ratios):
        console.print("ratio: cost over that of clairvoyant")
    for policy in report["left_out"]:
        console.print(f"{policy['name']} is left out: {policy['why']}")


def print_sweep(report: dict[str, Any]) -> None:
    """The candidates, the best one first; those that miss what is asked come last."""
    console = _headed(report)
    rows = [
        (", ".join(f"{path}={value}" for path, value in row["settings"].items()), *_row(row)[1:-1])
        for row in report["candidates"]
    ]
    console.print(titled_table(None, ("candidate", *HEADINGS[1:-1]), rows))


def _headed(report: dict[str, Any]) -> Console:
    console = report_console()
    hours = report["seconds"] / 3600.0
    console.print(f"{report['requests']} requests in {hours:.2f} h, seed {report['seed']}")
    for service in report["services"]:
        console.print(
            f"{service['name']}: {service['percentile']:g} % within TTFT {service['ttft_seconds']:g} s and TPOT "
            f"{1000 * service['tpot_seconds']:g} ms"
        )
    return console


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
