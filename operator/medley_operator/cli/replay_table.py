"""A replay for people: a row for each policy, or for each candidate of a sweep.

Apart: loads what draws tables, which JSON does without.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from medley_operator.replay.report import cells, energy_cells, over_clairvoyant, targets_text, with_ratio
from medley_planner.cli.console import report_console, titled_table

HEADINGS: tuple[str, ...] = (
    "policy",
    "cost",
    "attained",
    "worst hour",
    "replicas",
    "changes",
    "not served",
    "note",
)


def print_replay(report: dict[str, Any]) -> None:
    console = _headed(report)
    headings, rows = HEADINGS, [cells(policy) for policy in report["policies"]]
    ratios = [over_clairvoyant(policy) for policy in report["policies"]]
    if any(ratios):
        headings = with_ratio(HEADINGS, "ratio")
        rows = list(map(with_ratio, rows, ratios))
    if rows:
        console.print(titled_table(None, headings, rows, unbroken="policy"))
    energies = [(policy["name"], *energy_cells(policy)) for policy in report["policies"]]
    if energies:
        # On a line of its own: a table of so many columns would break.
        told = ", ".join(f"{name} {kwh} ({by_tokens or 'none'})" for name, kwh, by_tokens in energies)
        console.print(f"kWh, and kWh per million tokens: {told}")
    if any(ratios):
        console.print("ratio: cost over that of clairvoyant")
    for policy in report["left_out"]:
        console.print(f"{policy['name']} is left out: {policy['why']}")


def print_sweep(report: dict[str, Any]) -> None:
    """The candidates, the best one first; those that miss what is asked come last."""
    console = _headed(report)
    rows = [
        (", ".join(f"{path}={value}" for path, value in row["settings"].items()), *cells(row)[1:-1])
        for row in report["candidates"]
    ]
    console.print(titled_table(None, ("candidate", *HEADINGS[1:-1]), rows))


def _headed(report: dict[str, Any]) -> Console:
    console = report_console()
    hours = report["seconds"] / 3600.0
    console.print(f"{report['requests']} requests in {hours:.2f} h, seed {report['seed']}")
    for service in report["services"]:
        console.print(targets_text(service))
    return console
