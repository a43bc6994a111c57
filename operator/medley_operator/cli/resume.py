"""`medley resume SERVICE`: goes on with a service that `medley pause` paused (`cli.pause`).

Apart: each command is a module that `main` loads only when it is called.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from medley_operator.cli.in_cluster import add_service, run_with_client
from medley_operator.cli.pause import resume
from medley_planner.exit_status import ExitStatus

if TYPE_CHECKING:
    from medley_operator.kube.client import PersonClient


def add_parser(subparsers: Any) -> None:
    """Adds the `resume` command to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "resume",
        help="go on with a service that is paused",
        description="Set spec.scaling.mode of a paused LLMService to what it was before medley pause, or to --mode. "
        "Needs the rights to get and patch the LLMService. Exit status: 0 it goes on, 2 there is no such service, the "
        "mode from before is not known, or the cluster cannot be used.",
    )
    add_service(parser)
    parser.add_argument("--mode", choices=("Auto", "Approve", "Advisory"), help="default: the mode before the pause")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""

    async def action(client: PersonClient, namespace: str) -> int:
        print(await resume(client, args.service, namespace=namespace, mode=args.mode))
        return ExitStatus.OK

    return run_with_client("resume", action, namespace=args.namespace)
