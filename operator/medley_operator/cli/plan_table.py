"""The report of `medley plan` for people: the short answer, and the tables behind it on request.

Apart: loads what draws tables, which JSON and YAML do without.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from medley_operator.cli.plan_answer import answer_lines
from medley_planner.cli.answer import wrapped
from medley_planner.cli.console import omitted_table, report_console, titled_table
from medley_planner.omitted import Omitted, OmittedReason


def print_report(report: dict[str, Any], *, why: bool) -> None:
    console = report_console()
    for line in wrapped(answer_lines(report, why=why), width=console.width):
        console.print(line, soft_wrap=True)
    if why:
        for service in report["services"]:
            if "mix" in service:
                _print_tables(console, service)


def _print_tables(console: Console, service: dict[str, Any]) -> None:
    console.print()
    console.print(f"{service['service']}:")
    headings = ("variant", "gpu", "replicas", "share", "load", "$/h", "capacity")
    console.print(titled_table("Mix", headings, map(_mix_row, service["mix"])))
    if service["unused"]:
        omitted = [
            (Omitted(row["variant"], row["pool"], OmittedReason(row["reason"]), row["message"]), "")
            for row in service["unused"]
        ]
        console.print(omitted_table(omitted))
    if service["unserved"]:
        parts = ("prompt tokens", "generated tokens", "req/s", "reason", "limits")
        console.print(titled_table("Not served", parts, map(_unserved_row, service["unserved"])))


def _mix_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["variant"],
        row["gpu"] if row["gpus_per_replica"] == 1 else f"{row['gpus_per_replica']} x {row['gpu']}",
        str(row["replicas"]),
        f"{row['share']:.1%}",
        f"{row['load']:.0%}",
        f"{row['cost_per_hour']:.2f}",
        row["capacity_basis"],
    )


def _unserved_row(part: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(part["prompt_tokens"]),
        str(part["generation_tokens"]),
        f"{part['rate']:.4g}",
        part["reason"],
        ", ".join(part["limits"]),
    )
