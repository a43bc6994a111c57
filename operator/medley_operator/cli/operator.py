"""`medley operator`: reads the settings, sets up logs, runs the operator.

Apart: each command is a module that `main` loads only when it is called.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from medley_operator import settings
from medley_planner.bad_input import BadInput
from medley_planner.exit_status import report_error

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "operator",
        help="run the operator",
        description="Run the operator: in a pod with its ServiceAccount, else against the cluster of $KUBECONFIG.",
    )
    settings.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; 0 after these, 2 for settings that cannot be used, 1 for a fault."""
    try:
        chosen = settings.from_arguments(arguments, os.environ)
    except BadInput as error:
        return report_error("operator", error)
    from medley_operator import app, logs

    logs.configure(chosen.log_level)
    return app.main(chosen)
