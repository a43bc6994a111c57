"""The load test behind `medley profile run`: makes the HTTP client, shows progress, keeps the measured loads."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Console

from medley_operator.cli.load_arguments import DEFAULT_CONCURRENCY
from medley_operator.profile.client import Endpoint, http_client
from medley_operator.profile.loads import grid
from medley_operator.profile.prompts import Prompts
from medley_operator.profile.reporters import BarReporter, LineReporter
from medley_operator.profile.samples import rates_below
from medley_operator.profile.session import Reporter, Session, measure, no_more
from medley_planner.cli.arguments import BadOption


async def measure_as_asked(args: argparse.Namespace) -> Session:
    """Runs the loads that the options of `add_load_arguments` (and --model) name.

    Raises `EndpointError`, `BadInput`, and OSError where --save-points cannot be written.
    """
    if args.save_points is not None:
        # Before half an hour of measuring, not after it.
        existed = args.save_points.exists()
        with args.save_points.open("a"):
            pass
        if not existed:
            args.save_points.unlink()  # a run that fails leaves nothing
    key = os.environ.get(args.api_key_env)
    if key and not (key.isascii() and key.isprintable()):
        # Libraries refuse it too, and show it in doing so.
        raise BadOption.whole(
            "--api-key-env",
            f"the API key in environment variable {args.api_key_env} has a line break or other characters that HTTP "
            "headers do not allow; correct it",
        )
    async with http_client(key, timeout_seconds=args.request_timeout) as client:
        endpoint = Endpoint(
            client,
            url=args.endpoint,
            model=args.served_model_name or args.model,
            clock=time.perf_counter,
            timeout_seconds=args.request_timeout,
        )
        session = await _measure(args, endpoint)
    if args.save_points is not None:
        args.save_points.write_text(json.dumps(points_document(session), indent=2) + "\n", encoding="utf-8")
    return session


async def _measure(args: argparse.Namespace, endpoint: Endpoint) -> Session:
    unsaid = not args.rates and args.concurrency is None
    clients = DEFAULT_CONCURRENCY if unsaid else args.concurrency or ()
    console = Console(stderr=True)
    with ExitStack() as stack:
        reporter: Reporter
        if console.is_terminal:
            reporter = stack.enter_context(BarReporter(console))
        else:
            reporter = LineReporter(write=lambda line: print(line, file=sys.stderr, flush=True), clock=time.monotonic)
        return await measure(
            endpoint,
            grid(args.sizes, concurrencies=clients, rates_rps=args.rates, requests=args.requests),
            more=partial(rates_below, requests=args.requests) if unsaid else no_more,
            prompts=Prompts(args.token_ids),
            seed=args.seed,
            clock=time.perf_counter,
            max_seconds=args.max_duration,
            reporter=reporter,
        )


def points_document(session: Session) -> dict[str, Any]:
    """The content of --save-points: seconds and tokens; `points` are the means that a profile is fitted to."""
    return {
        "kv_tokens": session.kv_tokens,
        "points": [asdict(point) for point in session.points()],
        "loads": [
            {
                "load": str(run.load),
                "ending": run.ending.value,
                "failures": dict(run.failures),
                "requests": [
                    {
                        "prompt_tokens": sample.prompt_tokens,
                        "generation_tokens": sample.generation_tokens,
                        "sent_at_seconds": sample.sent_at,
                        "ttft_seconds": sample.ttft_seconds,
                        "tpot_seconds": sample.tpot_seconds,
                    }
                    for sample in run.counted
                ],
            }
            for run in session.runs
        ],
    }
