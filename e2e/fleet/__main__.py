"""`python -m e2e.fleet`: the fleet as a separate process, so that it takes no time from what it measures.

Ends on SIGTERM or SIGINT, and with an error when it can go on no longer.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from e2e.fleet.kubeconfig import client_of
from e2e.fleet.kubeview import KubeView
from e2e.fleet.physics import spec_factory
from e2e.fleet.server import FleetServer
from e2e.fleet.simulation import SpecOf


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.fleet", description="Fake vLLM fleet with live load.")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="cluster whose engine pods it stands in for")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--truth",
        type=_factor,
        action="append",
        default=[],
        metavar="GPU=FACTOR",
        help="real over estimated step time of a GPU type, as in L4=1.1; 1.0 where not given",
    )
    given = parser.parse_args(argv)
    try:
        client, spec_of = client_of(given.kubeconfig), spec_factory(dict(given.truth))
    except (OSError, ValueError) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 2
    asyncio.run(_serve(client, spec_of, seed=given.seed, port=given.port))
    return 0


async def _serve(client: httpx.AsyncClient, spec_of: SpecOf, *, seed: int, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with client, FleetServer.running(KubeView(client), spec_of=spec_of, seed=seed, port=port) as server:
        print(f"fleet: serves at {server.url}", file=sys.stderr, flush=True)
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(server.broken())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)


def _factor(text: str) -> tuple[str, float]:
    gpu, _, value = text.partition("=")
    try:
        factor = float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not GPU=FACTOR, as in L4=1.1") from error
    if not gpu or not 0 < factor < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not GPU=FACTOR with a factor above 0")
    return gpu, factor


if __name__ == "__main__":
    sys.exit(main())
