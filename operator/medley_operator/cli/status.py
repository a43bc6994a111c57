"""`medley status`: the fleet on one screen, from the statuses of LLMServices and GPUPools.

Reads the cluster with the user's own rights and writes nothing. Exit status: 0, 2 where the cluster cannot be used, 3
where a condition says that something is wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from medley_operator.cli.in_cluster import list_services, run_with_client
from medley_planner.cli.output import JSON, TABLE, WIDE, YAML, add_output_option, print_document
from medley_planner.exit_status import ExitStatus
from medley_planner.units import per_hour

if TYPE_CHECKING:
    from medley_operator.api.v1alpha1 import LLMService
    from medley_operator.kube.client import PersonClient

_HEADINGS = ("service", "mix", "ready", "$/h", "plan", "problem")
_WIDE_COLUMNS = 180
_WIDE = ("mode", "req/s", "plan $/h", "saves", "attains")


def add_parser(subparsers: Any) -> None:
    """Adds the `status` command to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "status",
        help="show the fleet on one screen",
        description="Show each LLMService with its mix (Ready/desired replicas by variant), cost, plan and what is "
        "wrong, and the sum. Needs the right to list LLMServices. Exit status: 0 all well, 2 the cluster cannot be "
        "used, 3 a condition says that something is wrong.",
    )
    parser.add_argument("-n", "--namespace", metavar="NAMESPACE", help="default: that of the kubeconfig's context")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="services of all namespaces")
    add_output_option(parser, (TABLE, WIDE, JSON, YAML))


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""

    async def action(client: PersonClient, namespace: str) -> int:
        rows = status_rows(await list_services(client, namespace="" if args.all_namespaces else namespace))
        write_rows(rows, output=args.output)
        return ExitStatus.NOT_ALL if any(row["problem"] for row in rows) else ExitStatus.OK

    return run_with_client("status", action, namespace=args.namespace)


def status_rows(services: Sequence[LLMService]) -> list[dict[str, Any]]:
    """One for each service: money in US dollars per hour, rates in requests per second; None where not known."""
    return [_row(service) for service in services]


def _row(service: LLMService) -> dict[str, Any]:
    status, plan = service.status, service.status.plan
    return {
        "service": f"{service.metadata.namespace}/{service.metadata.name}",
        "mode": service.spec.scaling.mode.value,
        "mix": status.mix,
        "ready_replicas": status.ready_replicas,
        "desired_replicas": status.desired_replicas,
        "requests_per_second": None if status.load is None else status.load.rate_rps,
        "cost_per_hour": status.cost_per_hour_usd,
        "plan": None
        if plan is None
        else {
            "id": plan.id,
            "state": plan.state,
            "cost_per_hour": plan.cost_per_hour_usd,
            "savings_percent": None if plan.savings_percent is None else float(plan.savings_percent),
            "predicted_attainment_percent": plan.predicted_percent,
        },
        "problem": status.problem,
        "conditions": [
            {"type": each.type, "status": each.status, "reason": each.reason, "message": each.message}
            for each in status.conditions
        ],
    }


def write_rows(rows: Sequence[dict[str, Any]], *, output: str) -> None:
    """To standard output, as "table", "wide", "json" or "yaml"."""
    if output in (JSON, YAML):
        print_document({"services": list(rows)}, form=output)
        return
    from rich.console import Console

    from medley_planner.cli.console import report_console, titled_table

    wide = output == WIDE
    console = Console(markup=False, highlight=False, width=_WIDE_COLUMNS) if wide else report_console()
    if not rows:
        console.print("there is no LLMService; -A looks in all namespaces")
        return
    cells = (_cells(row) + (_wide_cells(row) if wide else ()) for row in rows)
    console.print(titled_table(None, _HEADINGS + (_WIDE if wide else ()), cells, unbroken="service"))
    for line in _sums(rows):
        console.print(line, soft_wrap=True)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    plan = row["plan"]
    return (
        row["service"],
        row["mix"] or "none",
        f"{row['ready_replicas']}/{row['desired_replicas']}",
        f"{row['cost_per_hour']:.2f}",
        f"{plan['id']} {plan['state']}" if plan is not None else "none",
        row["problem"] or "",
    )


def _wide_cells(row: dict[str, Any]) -> tuple[str, ...]:
    plan = row["plan"] or {}
    figures = (plan.get("cost_per_hour"), plan.get("savings_percent"), plan.get("predicted_attainment_percent"))
    cost, saved, attained = figures
    return (
        row["mode"],
        "" if row["requests_per_second"] is None else f"{row['requests_per_second']:.4g}",
        "" if cost is None else f"{cost:.2f}",
        "" if saved is None else f"{saved:g} %",
        "" if attained is None else f"{attained:g} %",
    )


def _sums(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    cost = sum(row["cost_per_hour"] for row in rows)
    ready, desired = (sum(row[name] for row in rows) for name in ("ready_replicas", "desired_replicas"))
    wrong = sum(bool(row["problem"]) for row in rows)
    trouble = f"; {wrong} with a problem: kubectl describe llms NAME says more" if wrong else ""
    yield f"{len(rows)} services, {ready} of {desired} replicas Ready, {per_hour(cost)}{trouble}"
