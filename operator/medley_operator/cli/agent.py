"""`medley agent`: reads the settings, sets up logs, runs the node agent.

Apart: each command is a module that `main` loads only when it is called.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from medley_planner.bad_input import BadInput
from medley_planner.exit_status import report_error

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    from medley_operator.power.agent.run import add_arguments

    parser = subparsers.add_parser(
        "agent",
        help="run the node agent",
        description="Hold the GPUs of this node to its NodePowerCap: in a pod with its ServiceAccount, else against "
        "the cluster of $KUBECONFIG. It needs the rights to set limits of GPUs (docs/power.md).",
    )
    add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; 0 after these, 2 for settings that cannot be used, 1 for a fault."""
    from medley_operator import logs
    from medley_operator.power.agent.run import from_arguments, main

    try:
        chosen = from_arguments(arguments, os.environ)
    except BadInput as error:
        return report_error("agent", error)
    logs.configure(chosen.log_level)
    return main(chosen)
