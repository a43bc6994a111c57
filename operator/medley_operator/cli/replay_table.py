"""A replay for people: a row for each policy, or for each candidate of a sweep.

Apart: loads what draws tables, which JSON does without.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from medley_operator.replay.report import cells, over_clairvoyant, targets_text, with_ratio
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
_ENERGY = slice(7, 9)
"""The cells of `cells` that have a line of their own, where a table of so many columns would break."""


def print_replay(report: dict[str, Any]) -> None:
    console = _headed(report)
    headings, rows = HEADINGS, [_narrow(policy) for policy in report["policies"]]
    ratios = [over_clairvoyant(policy) for policy in report["policies"]]
    if any(ratios):
        headings = with_ratio(HEADINGS, "ratio")
        rows = list(map(with_ratio, rows, ratios))
    if rows:
        console.print(titled_table(None, headings, rows, unbroken="policy"))
    energies = [(cells(policy)[0], *cells(policy)[_ENERGY]) for policy in report["policies"]]
    if energies:
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
        (", ".join(f"{path}={value}" for path, value in row["settings"].items()), *_narrow(row)[1:-1])
        for row in report["candidates"]
    ]
    console.print(titled_table(None, ("candidate", *HEADINGS[1:-1]), rows))


def _narrow(policy: dict[str, Any]) -> tuple[str, ...]:
    found = cells(policy)
    return found[: _ENERGY.start] + found[_ENERGY.stop :]


def _headed(report: dict[str, Any]) -> Console:
    console = report_console()
    hours = report["seconds"] / 3600.0
    console.print(f"{report['requests']} requests in {hours:.2f} h, seed {report['seed']}")
    for service in report["services"]:
        console.print(targets_text(service))
    return console
