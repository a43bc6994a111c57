"""`medley operator`: reads the settings, sets up logs, runs the operator.

Apart: each command is a module of its own, which is loaded when it is called.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from medley_operator import settings

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_BAD_INPUT = 2


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
    except settings.SettingsError as error:
        print(f"medley operator: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    from medley_operator import app, logs

    logs.configure(chosen.log_level)
    return app.main(chosen)
