"""The exit statuses of all commands, and how a command says on standard error why it ends with one.

`docs/reference.md` lists them for users. argparse itself ends with `BAD_INPUT` where options cannot be read.
"""

from __future__ import annotations

import io
import sys
from enum import IntEnum


class ExitStatus(IntEnum):
    """A whole number, as `sys.exit` takes it."""

    OK = 0
    FAILED = 1
    """A fault of Medley itself: a traceback, or the operator's loop that ended."""
    BAD_INPUT = 2
    """A file, an object, an option or an endpoint that cannot be used; standard error names it and the way out."""
    NOT_ALL = 3
    """The input is sound, but not all of it is possible: demand that no plan serves, a load test without a result."""
    NO_PLAN = 4
    """The planner made a plan that its own verifier refuses, or failed: a fault of the planner, not of the input."""
    LEASE_LOST = 5
    """The operator led and could not keep its Lease, so that another replica acts now; start it again to stand by."""
    INTERRUPTED = 130
    """Ctrl-C."""


def escape_what_the_terminal_lacks() -> None:
    """Characters of names that standard output's encoding does not have are escaped, as on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def report_error(command: str, error: object, *, status: ExitStatus = ExitStatus.BAD_INPUT) -> ExitStatus:
    """Each line of `error` on standard error as `medley COMMAND: ...`; returns the status to end with."""
    for line in str(error).splitlines():
        print(f"medley {command}: {line}", file=sys.stderr)
    return status
