"""Command line arguments that several commands take."""

from __future__ import annotations

import argparse
import math


def seconds_argument(text: str) -> float:
    """A number of seconds above 0 and within a day; argparse words what it raises."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0 and below a day")
    return seconds


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """What every command takes that makes a plan."""
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="default: table")
    parser.add_argument(
        "--deadline",
        metavar="SECONDS",
        type=seconds_argument,
        default=10.0,
        help="how long to solve at most; default: 10",
    )
