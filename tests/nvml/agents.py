"""The agents of several nodes in one process, on the fake NVML: `python -m tests.nvml.agents NODE...`.

Each is the real agent with its own client and threads; the library shows the boards of all nodes, and an agent takes
those whose UUID begins with `GPU-` and its node's name. It runs against $KUBECONFIG until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack

from medley_operator import logs
from medley_operator.kube.connect import connect_agent
from medley_operator.power.agent.agent import NodeAgent
from medley_operator.power.agent.exporter import AgentExporter
from medley_operator.power.agent.kubelet import PodsOfGpus
from medley_operator.power.agent.orders import Moment
from medley_operator.power.agent.turns import GpuTurns
from medley_operator.power.gpu.drivers import Drivers
from medley_operator.power.gpu.nvml import NvmlPower


class NodeBoards(Drivers):
    """NVML as a process on one node finds it: that node's boards alone. A process opens NVML once."""

    def __init__(self, nvml: NvmlPower, node: str) -> None:
        super().__init__((nvml,))
        self._prefix = f"GPU-{node}-"

    def uuids(self) -> tuple[str, ...]:
        return tuple(uuid for uuid in super().uuids() if uuid.startswith(self._prefix))


async def main(nodes: list[str]) -> None:
    nvml = NvmlPower()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for node in nodes:
            tasks.create_task((await _agent(node, nvml, stack)).run(), name=node)


async def _agent(node: str, nvml: NvmlPower, stack: AsyncExitStack) -> NodeAgent:
    reader, client = await connect_agent(stack, instance=node)
    return NodeAgent(
        node,
        turns=GpuTurns(NodeBoards(nvml, node), clock=time.monotonic, stack=stack),
        reader=reader,
        client=client,
        exporter=AgentExporter(),
        pods=PodsOfGpus(None, clock=time.monotonic),
        clock=lambda: Moment(time.time(), time.monotonic()),
    )


if __name__ == "__main__":
    logs.configure("warning")
    asyncio.run(main(sys.argv[1:]))
