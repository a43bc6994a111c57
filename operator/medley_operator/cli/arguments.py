"""Command line arguments that several of the operator's commands take."""

from __future__ import annotations

import argparse
from datetime import timedelta

from medley_planner.units import duration_seconds

MOST_SECONDS = 7 * 86400.0


def add_manifest_files(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """`-f FILE...`, as kubectl has it: the parsed arguments carry `filenames`."""
    parser.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        dest="filenames",
        nargs="+",
        action="extend",
        required=required,
        help="files or folders with the manifests that kubectl applies; - reads standard input",
    )


def length_of_time(text: str) -> timedelta:
    """For `type=`: a duration of at most a week, such as 30m. Raises `ArgumentTypeError`."""
    try:
        seconds = duration_seconds(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration from 1s to 168h, such as 30m")
    return timedelta(seconds=seconds)
