"""`python -m e2e.gateway.engines`: the engines of all engine pods, as a process beside the control plane."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from e2e.fleet.kubeconfig import client_of
from e2e.fleet.physics import spec_factory
from e2e.gateway.kubelet import Kubelet
from e2e.gateway.records import writer
from e2e.harness import TRUTH


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.gateway.engines", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--record", type=Path, required=True, help="where each request that arrives is written down")
    given = parser.parse_args(argv)
    with suppress(asyncio.CancelledError):
        asyncio.run(_play(given.kubeconfig, given.record))
    return 0


async def _play(kubeconfig: Path, record: Path) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if task is not None:
            loop.add_signal_handler(number, task.cancel)
    async with client_of(kubeconfig) as client:
        with writer(record) as write:
            await Kubelet(client, spec_of=spec_factory(TRUTH), record=write).run()


if __name__ == "__main__":
    sys.exit(main())
