"""Command line arguments that several commands take."""

from __future__ import annotations

import argparse
import math
from datetime import datetime
from pathlib import Path

from medley_planner.bad_input import BadInput
from medley_planner.shapes import ModelShape, bundled_shape, shape_from_config
from medley_planner.units import duration_seconds


class BadOption(BadInput):
    """An option that cannot be used, or not with the others; `field` is the option."""


def seconds_argument(text: str) -> float:
    """A number of seconds above 0 and within a day; argparse words what it raises."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0 and below a day")
    return seconds


def add_plan_options(parser: argparse.ArgumentParser, *, why: bool = False) -> None:
    """The arguments of every command that makes a plan; with `why`, one that answers in short unless it is asked
    why."""
    forms = ("table", "wide", "json", "yaml") if why else ("table", "json", "yaml")
    parser.add_argument("-o", "--output", choices=forms, default="table", help="default: table")
    if why:
        parser.add_argument(
            "--why",
            action="store_true",
            help="also print the tables behind the answer: shares and loads, each variant that is not used and why; "
            "the same as -o wide",
        )
    parser.add_argument(
        "--deadline",
        metavar="SECONDS",
        type=seconds_argument,
        default=10.0,
        help="most seconds to solve; default: 10",
    )


def time_argument(text: str) -> float:
    """A time with its zone, as Unix seconds. Raises ArgumentTypeError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a time with its zone; write one such as "2026-12-24T18:00:00Z"'
        )
    return at.timestamp()


def model_argument(model: str) -> ModelShape:
    """A bundled model, or that of a config.json. Raises UnknownModel and BadConfig."""
    path = Path(model)
    try:
        named = path.is_file()
    except (OSError, ValueError):  # longer than paths may be, or not one at all
        named = False
    if named or path.suffix == ".json":
        return shape_from_config(path)
    return bundled_shape(model, config="give the path of its config.json")


def _number(text: str, problem: str, *, high: float = math.inf) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and 0 < value <= high):
        raise argparse.ArgumentTypeError(f"{text!r} is not a {problem}")
    return value


def whole_argument(text: str) -> int:
    value = _number(text, "whole number of at least 1", high=1e9)
    if value != int(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(value)


def positive_argument(text: str) -> float:
    return _number(text, "number above 0")


def ratio_argument(text: str) -> float:
    return _number(text, "share above 0 and at most 1", high=1.0)


def percentile_argument(text: str) -> float:
    value = _number(text, "percentile of at least 50 and below 100", high=99.999)
    if value < 50:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentile of at least 50 and below 100")
    return value


def directory_argument(text: str) -> Path:
    """An empty one would be the working directory, which nobody means."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; name a directory or leave the option out")
    return Path(text)


def duration_argument(text: str) -> float:
    try:
        seconds = duration_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite duration above 0")
    return seconds
