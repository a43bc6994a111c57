"""The report of a planned fleet as tables for a terminal: takes the report's plain values, prints to a rich console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.cli.answer import proof
from medley_planner.cli.fleet_report import REJECTED
from medley_planner.cli.objective import watts_proof

_NONE = "-"


def print_fleet(report: dict[str, Any], console: Console) -> None:
    """Prints what `summarise_fleet` made. The console must not read markup: names are the user's own."""
    words = _proof(report)
    console.print(f"{report['status']}: {words}, solved in {report['solve_seconds']:.2f} s", soft_wrap=True)
    planned = [service for service in report["services"] if service["status"] != REJECTED]
    for table in (
        _services(planned),
        _mix(planned),
        _routers(planned),
        _nodes(report["nodes"]),
        _limits(report["limits"]),
        _unserved(planned),
        _shortages(report["shortages"]),
    ):
        if table.row_count:
            console.print(table)
    for service in report["services"]:
        if service["status"] == REJECTED:
            error = service["error"]
            console.print(
                f"rejected {_or_none(service['service'])}: {error['field']}: {error['message']}", soft_wrap=True
            )


def _proof(report: dict[str, Any]) -> str:
    if "watts" in report:
        return watts_proof(report)
    return proof(
        cost_per_hour=report["cost_per_hour"],
        switching_cost_per_hour=report["switching_cost_per_hour"],
        lower_bound_per_hour=report["lower_bound_per_hour"],
        gap=report["gap"],
    )


def _services(services: Sequence[dict[str, Any]]) -> Table:
    table = _table("Services", ("service", "status", "routing"), ("req/s", "$/h"), ("best single type",), ("$/h",))
    for service in services:
        single = service["best_single"]
        table.add_row(
            service["service"],
            service["status"],
            service["routing"],
            f"{service['rate_rps']:.4g}",
            f"{service['cost_per_hour']:.2f}",
            "none" if single is None else f"{single['replicas']} {single['variant']}",
            _NONE if single is None else f"{single['cost_per_hour']:.2f}",
        )
    return table


def _mix(services: Sequence[dict[str, Any]]) -> Table:
    table = _table("Mix", ("service", "variant", "pool"), ("replicas", "share", "load", "$/h"))
    for service in services:
        for part in service["mix"]:
            table.add_row(
                service["service"],
                part["variant"],
                part["pool"],
                str(part["replicas"]),
                f"{part['share']:.1%}",
                f"{part['load']:.1%}",
                f"{part['cost_per_hour']:.2f}",
            )
        table.add_section()
    return table


def _routers(services: Sequence[dict[str, Any]]) -> Table:
    """Only where the router gets more than one weight per variant: the weights are the mix's shares."""
    table = _table("Prompt lengths", ("service", "variant", "prompt tokens"))
    for service in services:
        for variant, ranges in (service["router"] or {}).get("prompt_ranges", {}).items():
            table.add_row(service["service"], variant, ", ".join(_range(one) for one in ranges))
    return table


def _range(tokens: dict[str, float]) -> str:
    first, last = f"{tokens['from_tokens']:g}", f"{tokens['to_tokens']:g}"
    return first if first == last else f"{first} to {last}"


def _nodes(nodes: Sequence[dict[str, Any]]) -> Table:
    table = _table("Nodes", ("pool",), ("nodes", "$/h", "idle $/h"))
    for count in nodes:
        idle = f"{count['idle_cost_per_hour']:.2f}"
        table.add_row(count["pool"], str(count["nodes"]), f"{count['cost_per_hour']:.2f}", idle)
    return table


def _limits(limits: Sequence[dict[str, Any]]) -> Table:
    table = _table("Limits", ("limit", "of"), ("size", "used", "available", "one more saves ($/h)"))
    for limit in limits:
        price = limit["shadow_price_per_hour"]
        table.add_row(
            limit["kind"],
            limit["name"],
            str(limit["size"]),
            f"{limit['used']:g}",
            f"{limit['limit']:g}",
            _NONE if price is None else f"{price:.4g}",
        )
    return table


def _unserved(services: Sequence[dict[str, Any]]) -> Table:
    table = _table("Not served", ("service",), ("prompt tokens", "generated tokens", "req/s"), ("reason", "limits"))
    for service in services:
        for entry in service["unserved"]:
            table.add_row(
                service["service"],
                f"{entry['prompt_tokens']:g}",
                f"{entry['generation_tokens']:g}",
                f"{entry['rate_rps']:.4g}",
                entry["reason"],
                ", ".join(entry["limits"]) or _NONE,
            )
    return table


def _shortages(shortages: Sequence[dict[str, Any]]) -> Table:
    table = _table("Not served, by priority", ("priority",), ("req/s", "no plan leaves out less than"))
    for one in shortages:
        table.add_row(one["priority"], f"{one['unserved_rps']:.4g}", f"{one['least_rps']:.4g}")
    return table


def _table(title: str, *groups: Iterable[str]) -> Table:
    """Columns in groups: texts and figures in turn, texts first."""
    table = Table(title=title, title_justify="left")
    for index, headings in enumerate(groups):
        for heading in headings:
            table.add_column(heading, overflow="fold", justify="right" if index % 2 else "left")
    return table


def _or_none(name: str | None) -> str:
    return _NONE if name is None else name
