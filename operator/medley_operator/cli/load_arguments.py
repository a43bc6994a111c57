"""The options of a load test on the command line: what to send where, and for how long. Reads nothing else."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from medley_operator.profile.loads import Size
from medley_operator.profile.prompts import DEFAULT_TOKEN_IDS
from medley_planner.cli.arguments import duration_argument, whole_argument

DEFAULT_SIZES = "128x64,512x128,2048x128"
DEFAULT_CONCURRENCY = (1, 4, 16, 64)
KEY_VARIABLE = "MEDLEY_API_KEY"
MOST_TOKEN_ID = 2**31
N = TypeVar("N", int, float)


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """All options have long names; those of the engine measured are the caller's part."""
    ids = f"{DEFAULT_TOKEN_IDS.start}-{DEFAULT_TOKEN_IDS.stop - 1}"
    add = parser.add_argument
    add("--endpoint", required=True, metavar="URL", help="OpenAI-compatible server, such as http://host:8000")
    add("--served-model-name", metavar="NAME", help="the server's name for the model; default: --model")
    add(
        "--sizes", type=sizes_argument, default=DEFAULT_SIZES, metavar="PxG,...",
        help=f"prompt x generation tokens of the requests; each size gets every load; default: {DEFAULT_SIZES}",
    )  # fmt: skip
    add(
        "--concurrency", type=clients_argument, metavar="CLIENTS,...",
        help="loads with this many clients, each with one request under way; default without --rates: "
        + ",".join(map(str, DEFAULT_CONCURRENCY)),
    )  # fmt: skip
    add(
        "--rates", type=rates_argument, default=(), metavar="RPS,...",
        help="loads with Poisson arrivals, in requests per second; default without --concurrency: 0.3, 0.6 and 0.8 of "
        "the rate that the most clients reached",
    )  # fmt: skip
    add(
        "--requests", type=whole_argument, default=64, metavar="N",
        help="requests measured per load, after its warm-up; default: 64",
    )  # fmt: skip
    add(
        "--max-duration", type=duration_argument, default=1800.0, metavar="DURATION",
        help="stop after this time and use the loads measured so far; default: 30m",
    )  # fmt: skip
    add(
        "--request-timeout", type=duration_argument, default=300.0, metavar="DURATION",
        help="longest time for one request; default: 5m",
    )  # fmt: skip
    add(
        "--token-ids", type=_range, default=ids, metavar="LOW-HIGH",
        help=f"prompts are random token ids of this range, which must lie within the vocabulary; default: {ids}",
    )  # fmt: skip
    add(
        "--api-key-env", default=KEY_VARIABLE, metavar="NAME",
        help=f"environment variable with the server's API key, if it needs one; default: {KEY_VARIABLE}",
    )  # fmt: skip
    add("--seed", type=int, default=0, help="seed of arrivals and prompts; default: 0")
    add("--save-points", type=Path, metavar="FILE", help="also write every measured request as JSON")


def sizes_argument(text: str) -> tuple[Size, ...]:
    """`128x64,512x128`; argparse words what it raises."""
    sizes = []
    for part in text.split(","):
        prompt, _, generation = part.strip().partition("x")
        try:
            sizes.append(Size(int(prompt), int(generation)))
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{part.strip()!r} is not a size; give prompt x generation tokens, the latter at least 2, as in 512x128"
            ) from None
    return tuple(sizes)


def rates_argument(text: str) -> tuple[float, ...]:
    """`0.5,1,2`; argparse words what it raises."""
    return _numbers(text, float, "rates above 0, as in 0.5,1,2")


def clients_argument(text: str) -> tuple[int, ...]:
    """`1,4,16`; argparse words what it raises."""
    return _numbers(text, int, "whole numbers above 0, as in 1,4,16")


def _numbers(text: str, kind: Callable[[str], N], what: str) -> tuple[N, ...]:
    try:
        numbers = tuple(kind(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < number < 1e6 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of {what}")
    return numbers


def _range(text: str) -> range:
    low, _, high = text.partition("-")
    try:
        ids = range(int(low), int(high) + 1)
    except ValueError:
        ids = range(0)
    if not 0 <= ids.start < ids.stop - 1 < MOST_TOKEN_ID:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of token ids such as 1000-29999")
    return ids
