"""`python -m medley_planner`: the planner's own commands, for where the operator's `medley` is not installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from medley_planner.cli import estimate, explain, power, simulate, solve
from medley_planner.exit_status import escape_what_the_terminal_lacks


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status of the command."""
    parser = argparse.ArgumentParser(prog="python -m medley_planner", description="The planner of Medley.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    solve.add_parser(subparsers)
    explain.add_parser(subparsers)
    estimate.add_parser(subparsers)
    simulate.add_parser(subparsers)
    power.add_parser(subparsers)
    args = parser.parse_args(argv)
    escape_what_the_terminal_lacks()
    status: int = args.run(args)
    return status


if __name__ == "__main__":
    sys.exit(main())
