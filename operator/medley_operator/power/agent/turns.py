"""The turns of all GPUs of a node, each in a thread of its own, so that a driver that hangs holds up one GPU only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial

from medley_operator.power.agent.bounds import Remark
from medley_operator.power.agent.keeper import GpuKeeper, GpuReport
from medley_operator.power.agent.machine import NEW_GPU, GpuMemory
from medley_operator.power.agent.orders import NodeOrders
from medley_operator.power.gpu.protocol import GpuError, GpuFault, GpuPower

PATIENCE_SECONDS = 2.0
"""For one turn of all GPUs; those that take longer are reported, and looked at when they are done."""
SEARCH_SECONDS = 10.0
"""GPUs that come while the agent runs are found within this time."""
MOST_THREADS = 64
Turn = asyncio.Future[GpuReport]


class GpuTurns:
    """The GPUs of a node. `clock` is monotonic, in seconds. Closed with the stack."""

    def __init__(self, power: GpuPower, *, clock: Callable[[], float], stack: AsyncExitStack) -> None:
        self._power = power
        self._clock = clock
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="gpu")
        stack.callback(self._threads.shutdown, wait=False, cancel_futures=True)
        self._keepers: dict[str, GpuKeeper] = {}
        self._running: dict[str, Turn] = {}
        self._last: dict[str, GpuReport] = {}
        self._search: asyncio.Future[tuple[str, ...]] | None = None
        self._searched_at = float("-inf")
        self.fault: Remark | None = None
        """Why the driver of the node does not answer at all."""

    async def turn(self, orders: NodeOrders, memories: Mapping[str, GpuMemory]) -> list[GpuReport]:
        """One turn of each GPU. `memories`: what is known of GPUs that are found now."""
        await self._find(memories)
        loop = asyncio.get_running_loop()
        for uuid, keeper in self._keepers.items():
            if uuid not in self._running:
                call = partial(keeper.turn, orders.of(uuid), lease_ends_seconds=orders.lease_ends_seconds)
                self._running[uuid] = loop.run_in_executor(self._threads, call)
        if self._running:
            await asyncio.wait(self._running.values(), timeout=PATIENCE_SECONDS)
        for uuid in [uuid for uuid, turn in self._running.items() if turn.done()]:
            self._last[uuid] = self._running.pop(uuid).result()
        return [self._hangs(uuid) if uuid in self._running else self._last[uuid] for uuid in self._keepers]

    def _hangs(self, uuid: str) -> GpuReport:
        remark = Remark(GpuFault.TIMEOUT, f"the driver has not answered within {PATIENCE_SECONDS:g} s")
        known = self._last.get(uuid, GpuReport(uuid))
        return GpuReport(uuid, known.facts, faults=(remark,), memory=known.memory)

    async def _find(self, memories: Mapping[str, GpuMemory]) -> None:
        if self._search is None:
            if self._clock() - self._searched_at < SEARCH_SECONDS and self.fault is None:
                return
            self._search = asyncio.get_running_loop().run_in_executor(self._threads, self._power.uuids)
        await asyncio.wait([self._search], timeout=PATIENCE_SECONDS)
        if not self._search.done():
            self.fault = Remark(
                GpuFault.TIMEOUT, f"{self._power.vendor} has not answered within {PATIENCE_SECONDS:g} s"
            )
            return
        search, self._search, self._searched_at = self._search, None, self._clock()
        try:
            found = search.result()
        except GpuError as error:
            self.fault = Remark(error.fault, error.message)
            return
        self.fault = None
        for uuid in found:
            if uuid not in self._keepers:
                memory = memories.get(uuid, NEW_GPU)
                self._keepers[uuid] = GpuKeeper(uuid, self._power, clock=self._clock, memory=memory)
