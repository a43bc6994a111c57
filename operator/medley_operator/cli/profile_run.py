"""`medley profile run`: load-tests a live endpoint and writes the ModelProfile of the engine behind it.

Standard output is the manifest alone; what happens is told on standard error. Exit status: 0 written, 2 bad input or an
endpoint that cannot be tested, 3 nothing to fit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medley_planner.units import duration_seconds

if TYPE_CHECKING:
    from medley_operator.profile.client import Endpoint
    from medley_operator.profile.loads import Load, Size
    from medley_operator.profile.session import Session
    from medley_planner.capacity.points import Point

EXIT_WRITTEN = 0
EXIT_BAD_INPUT = 2
EXIT_NOTHING = 3
DEFAULT_SIZES = "128x64,512x128,2048x128"
DEFAULT_CONCURRENCY = "1,4,16,64"
KEY_VARIABLE = "MEDLEY_API_KEY"
_CONNECT_SECONDS = 10.0


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """What to send where; the engine's own identity is the caller's part."""
    parser.add_argument("--endpoint", required=True, metavar="URL", help="OpenAI-compatible server, as http://host:8000")
    parser.add_argument("--served-model-name", metavar="NAME", help="what the server calls the model; default: --model")
    parser.add_argument(
        "--sizes", type=sizes_argument, default=DEFAULT_SIZES, metavar="PxG,...",
        help=f"prompt x generation tokens of the requests, each size is a row of loads; default: {DEFAULT_SIZES}",
    )  # fmt: skip
    parser.add_argument(
        "--rates", type=_rates, default="", metavar="RPS,...",
        help="Poisson arrivals, requests per second, for each size; default: none, and with --concurrency left out "
        "too, 0.3, 0.6 and 0.8 of what the most clients reached",
    )  # fmt: skip
    parser.add_argument(
        "--concurrency", type=_clients, metavar="CLIENTS,...",
        help="clients that each have one request under way, for each size; default without --rates: "
        f"{DEFAULT_CONCURRENCY}",
    )  # fmt: skip
    parser.add_argument("--requests", type=_whole, default=64, help="measured per load, warm-up apart; default: 64")
    parser.add_argument(
        "--max-duration", type=_duration, default=1800.0, metavar="DURATION",
        help="stop after this long and use what is measured by then; default: 30m",
    )  # fmt: skip
    parser.add_argument(
        "--request-timeout", type=_duration, default=300.0, metavar="DURATION", help="of one request; default: 5m"
    )
    parser.add_argument(
        "--token-ids", type=_range, default="1000-29999", metavar="LOW-HIGH",
        help="prompts are random token ids of this range; it must lie within the vocabulary; default: 1000-29999",
    )  # fmt: skip
    parser.add_argument(
        "--api-key-env", default=KEY_VARIABLE, metavar="NAME",
        help=f"environment variable that holds the API key, where one is needed; default: {KEY_VARIABLE}",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of arrivals and prompts; default: 0")
    parser.add_argument("--save-points", type=Path, metavar="FILE", help="also write what was measured, as JSON")


def measure_points(args: argparse.Namespace) -> tuple[list[Point], Session]:
    """Runs the loads that the arguments ask for. Raises `EndpointError` and OSError (of --save-points)."""
    if args.save_points is not None:
        # Before half an hour of measuring, not after it.
        args.save_points.touch()
    session = asyncio.run(_measure(args))
    points = _points(session)
    if args.save_points is not None:
        args.save_points.write_text(json.dumps(points_document(session), indent=2) + "\n")
    return points, session


def points_document(session: Session) -> dict[str, Any]:
    """What --save-points writes: seconds and tokens."""
    return {
        "kv_tokens": session.kv_tokens,
        "points": [asdict(point) for point in _points(session)],
        "loads": [
            {
                "load": str(run.load),
                "ending": run.ending.value,
                "requests": len(run.counted),
                "failures": dict(run.failures),
                "ttft_seconds": [sample.ttft_seconds for sample in run.counted],
                "tpot_seconds": [sample.tpot_seconds for sample in run.counted],
            }
            for run in session.runs
        ],
    }


def _points(session: Session) -> list[Point]:
    from medley_operator.profile.samples import point_of

    return [point for run in session.runs if (point := point_of(run)) is not None]


async def _measure(args: argparse.Namespace) -> Session:
    import httpx

    from medley_operator.profile.client import Endpoint

    key = os.environ.get(args.api_key_env)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # One connection per request under way: a pool's limit would queue requests on this side.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    timeout = httpx.Timeout(args.request_timeout, connect=_CONNECT_SECONDS)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=timeout) as client:
        endpoint = Endpoint(
            client,
            url=args.endpoint,
            model=args.served_model_name or args.model,
            clock=time.perf_counter,
            timeout_seconds=args.request_timeout,
        )
        return await _loads(args, endpoint)


async def _loads(args: argparse.Namespace, endpoint: Endpoint) -> Session:
    """Two rounds where nobody says what rates to send: the first tells what the engine can do."""
    from medley_operator.profile.loads import grid, rates_below
    from medley_operator.profile.session import Session
    from medley_planner.units import duration_seconds as _unused  # noqa: F401

    raise NotImplementedError
