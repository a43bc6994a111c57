"""`medley history [SERVICE]`: what was in force of an LLMService and why it changed, from its status.

Reads the cluster with the user's own rights and writes nothing. Exit status: 0, or 2 where the cluster cannot be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from medley_operator.cli.in_cluster import add_service, list_services, read_service, run_with_client
from medley_planner.cli.output import TABLE, add_output_option, print_document
from medley_planner.exit_status import ExitStatus
from medley_planner.units import per_hour

if TYPE_CHECKING:
    from medley_operator.api.v1alpha1 import LLMService
    from medley_operator.kube.client import PersonClient


def add_parser(subparsers: Any) -> None:
    """Adds the `history` command to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "history",
        help="show what was in force, and why it changed",
        description="Show the last ten changes of the replicas in force of each LLMService, the newest last. Needs the "
        "right to get, and without SERVICE to list, LLMServices.",
    )
    add_service(parser, optional=True)
    add_output_option(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""

    async def action(client: PersonClient, namespace: str) -> int:
        if args.service is not None:
            services = [await read_service(client, args.service, namespace=namespace)]
        else:
            services = await list_services(client, namespace=namespace)
        if args.output == TABLE:
            lines = list(history_lines(services))
            print("\n".join(lines or ["no plan has been in force yet"]))
        else:
            print_document({"services": history_rows(services)}, form=args.output)
        return ExitStatus.OK

    return run_with_client("history", action, namespace=args.namespace)


def history_lines(services: Iterable[LLMService]) -> Iterator[str]:
    """A line for each service that has a history, and below it one for each change."""
    for service in services:
        if service.status.history:
            yield f"{service.metadata.namespace}/{service.metadata.name}"
        for row in service.status.history:
            yield f"  {row.at}  {row.plan_id}  {per_hour(row.cost_per_hour_usd)}  {row.mix}: {row.reason}"


def history_rows(services: Iterable[LLMService]) -> list[dict[str, Any]]:
    """The same as values; money in US dollars per hour."""
    return [
        {
            "service": f"{service.metadata.namespace}/{service.metadata.name}",
            "changes": [
                {
                    "at": row.at,
                    "plan": row.plan_id,
                    "mix": row.mix,
                    "cost_per_hour": row.cost_per_hour_usd,
                    "reason": row.reason,
                }
                for row in service.status.history
            ],
        }
        for service in services
    ]
