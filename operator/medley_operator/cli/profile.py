"""`medley profile`: measured profiles of an engine. The subcommands are in `_SUBCOMMANDS`, each in a separate module.

Only finds the subcommand, which describes what it reads and writes.

Apart: each command is a module that `main` loads only when it is called.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, cast

from medley_operator.cli import profile_import, profile_run

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_SUBCOMMANDS = (profile_run, profile_import)
"""Modules with `add_parser(subparsers)`, which sets the default `profile_run` to a function of the parsed arguments."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "profile",
        help="make a ModelProfile from measurements",
        description="Make a ModelProfile, with which Medley plans from measured speeds instead of data sheets.",
    )
    ways = parser.add_subparsers(required=True, metavar="WAY")
    for module in _SUBCOMMANDS:
        module.add_parser(ways)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit status of the subcommand."""
    return cast(int, arguments.profile_run(arguments))
