"""`medley power`: budgets of power domains. The subcommands are in `_WAYS`, each with a function of its own.

Apart: each command is a module that `main` loads only when it is called.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, cast

from medley_operator.cli import power_events, power_status
from medley_planner.bad_input import BadInput
from medley_planner.cli import power as simulation
from medley_planner.exit_status import report_error

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "power",
        help="power budgets and capping",
        description="Power budgets and capping (docs/power.md).",
    )
    ways = parser.add_subparsers(required=True, metavar="WAY")
    simulation.add_simulate(ways)
    # Those that follow say themselves what is run.
    parser.set_defaults(power_run=simulation.run)
    power_status.add_parser(ways)
    power_events.add_parsers(ways)
    _add_controller(ways)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit status of the subcommand."""
    return cast(int, arguments.power_run(arguments))


def _add_controller(ways: Subparsers) -> None:
    from medley_operator.power.controller import settings

    parser = ways.add_parser(
        "controller",
        help="run the controller of power",
        description="Run the controller of power: in a pod with its ServiceAccount, else against the cluster of "
        "$KUBECONFIG. It reads the meters of PowerDomains from Prometheus and writes the caps of their nodes, which "
        "agents apply.",
    )
    settings.add_arguments(parser)
    parser.set_defaults(power_run=_run_controller)


def _run_controller(arguments: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; 0 after these, 2 for settings that cannot be used, 1 for a fault."""
    from medley_operator.power.controller import settings

    try:
        chosen = settings.from_arguments(arguments, os.environ)
    except BadInput as error:
        return report_error("power controller", error)
    from medley_operator import logs
    from medley_operator.power.controller import app

    logs.configure(chosen.log_level)
    return app.main(chosen)
