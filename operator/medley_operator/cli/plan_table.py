"""The report of `medley plan` as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_report(report: dict[str, Any]) -> None:
    # Names are the user's own and may hold brackets, which must not be read as markup.
    console = Console(markup=False, highlight=False)
    for service in report["services"]:
        _print_service(console, service)
    for count in report["nodes"]:
        console.print(
            f"pool {count['pool']}: {count['nodes']} whole nodes ${count['cost_per_hour']:.2f}/h, "
            f"${count['idle_cost_per_hour']:.2f}/h of it idle",
            soft_wrap=True,
        )
    # Idle parts of whole nodes are no service's cost.
    if len(report["services"]) > 1 or report["nodes"]:
        console.print(f"all services: ${report['cost_per_hour']:.2f}/h, {_proof(report)}")


def _print_service(console: Console, service: dict[str, Any]) -> None:
    if "mix" not in service:
        console.print(f"{service['service']}: {service['reason']}: {service['message']}\n", soft_wrap=True)
        return
    load = service["load"]
    console.print(
        f"{service['service']}: {service['status']}, {load['rate']:g} req/s of {load['prompt_tokens']} + "
        f"{load['generation_tokens']} tokens, routing {service['routing']}",
        soft_wrap=True,
    )
    console.print(_mix_table(service))
    console.print(f"cost ${service['cost_per_hour']:.2f}/h, {_proof(service)}; {_single(service)}", soft_wrap=True)
    if service["predicted_attainment_percent"] is not None:
        console.print(_simulated(service), soft_wrap=True)
    console.print(_bases(service), soft_wrap=True)
    if service["unused"]:
        console.print(_table("Unused", ("variant", "reason", "why"), _unused_rows(service)))
    if service["unserved"]:
        headings = ("prompt tokens", "generated tokens", "req/s", "reason", "limits")
        console.print(_table("Not served", headings, _unserved_rows(service)))
    console.print()


def _mix_table(service: dict[str, Any]) -> Table:
    headings = ("variant", "gpu", "replicas", "share", "load", "$/h", "capacity")
    rows = [
        (
            row["variant"],
            row["gpu"] if row["gpus_per_replica"] == 1 else f"{row['gpus_per_replica']} x {row['gpu']}",
            str(row["replicas"]),
            f"{row['share']:.1%}",
            f"{row['load']:.0%}",
            f"{row['cost_per_hour']:.2f}",
            row["capacity_basis"],
        )
        for row in service["mix"]
    ]
    return _table(None, headings, rows)


def _proof(plan: dict[str, Any]) -> str:
    return f"no plan costs less than ${plan['lower_bound']:.2f}/h (gap {plan['gap']:.2%})"


def _single(service: dict[str, Any]) -> str:
    single = service["best_single"]
    if single is None:
        return "no single GPU type serves this load"
    alone = f"best single type {single['replicas']} x {single['variant']} ${single['cost_per_hour']:.2f}/h"
    savings = service["savings_percent"]
    return f"{alone}, saved {savings:.1f} %" if savings else alone


def _simulated(service: dict[str, Any]) -> str:
    figure, asked = service["predicted_attainment_percent"], service["percentile"]
    short = "" if figure >= asked else f", below the {asked:g} % asked"
    corrections = ", ".join(f"{row['variant']} x {row['factor']:g}" for row in service["capacity_corrections"])
    lowered = f"; capacities lowered for it: {corrections}" if corrections else ""
    return f"simulated: {figure:g} % of requests within the targets{short}{lowered}"


def _bases(service: dict[str, Any]) -> str:
    """How the capacities of all that was planned with were found."""
    bases = [row["capacity_basis"] for row in (*service["mix"], *service["unused"]) if "capacity_basis" in row]
    simulated = bases.count("Simulated")
    if simulated == len(bases):
        return f"capacities: all {simulated} simulated"
    return (
        f"capacities: {simulated} simulated, {len(bases) - simulated} by the closed form (medley plan --simulate "
        "simulates them, once)"
    )


def _unused_rows(service: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(part["variant"], part["reason"], part["message"]) for part in service["unused"]]


def _unserved_rows(service: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            str(part["prompt_tokens"]),
            str(part["generation_tokens"]),
            f"{part['rate']:.4g}",
            part["reason"],
            ", ".join(part["limits"]),
        )
        for part in service["unserved"]
    ]


def _table(title: str | None, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(
            heading, overflow="fold", justify="right" if heading in ("replicas", "share", "load", "$/h") else "left"
        )
    for row in rows:
        table.add_row(*row)
    return table
