"""Command line arguments that several of the operator's commands take."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

from medley_planner.cli.arguments import BadOption
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


def add_html_option(parser: argparse.ArgumentParser) -> None:
    """The parsed arguments carry `html`, for `write_html`."""
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="also write a page with charts, which needs nothing from elsewhere"
    )


def write_html(file: Path, text: str) -> None:
    """Raises `BadOption` where the file cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        way_out = f"cannot be written ({error.strerror}); give a file in a folder that is there"
        raise BadOption("", "--html", str(file), way_out) from None
