"""Node agents of many nodes in one process: the real agent on boards in memory, beside a real API server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

from medley_operator.kube.official import OfficialKubeClient
from medley_operator.power.agent.agent import NodeAgent
from medley_operator.power.agent.exporter import AgentExporter
from medley_operator.power.agent.kubelet import PodsOfGpus
from medley_operator.power.agent.orders import Moment
from medley_operator.power.agent.turns import GpuTurns
from tests.contract.power_world import uuid
from tests.fake_gpus import FakeBoard, FakeGpus


@contextmanager
def running_agents(kubeconfig: Path, nodes: Sequence[str], *, gpus: int) -> Iterator[Mapping[str, list[FakeBoard]]]:
    """An agent for each node, on so many H100s; gives the boards by node. Their `writes` are in Unix seconds."""
    boards = {node: [_h100(node, index) for index in range(gpus)] for node in nodes}
    loop, started = asyncio.new_event_loop(), threading.Event()

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(_run(kubeconfig, boards, started))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield boards
    finally:
        for task in asyncio.all_tasks(loop):
            loop.call_soon_threadsafe(task.cancel)
        thread.join(timeout=30)


def _h100(node: str, index: int) -> FakeBoard:
    name = "NVIDIA H100 80GB HBM3"
    return FakeBoard(uuid(node, index), name, min_watts=200.0, max_watts=700.0, default_watts=700.0)


async def _run(kubeconfig: Path, boards: Mapping[str, list[FakeBoard]], started: threading.Event) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(OfficialKubeClient(instance="agents", kubeconfig=str(kubeconfig)))
        agents = [
            NodeAgent(
                node,
                turns=GpuTurns(FakeGpus(own, clock=time.time), clock=time.monotonic, stack=stack),
                reader=client,
                client=client,
                exporter=AgentExporter(),
                pods=PodsOfGpus(None, clock=time.monotonic),
                clock=lambda: Moment(time.time(), time.monotonic()),
            )
            for node, own in boards.items()
        ]
        started.set()
        await asyncio.gather(*(agent.run() for agent in agents), return_exceptions=True)
