"""All GPUs of a node at once: those that come later, a driver that is away, and one that hangs on a single GPU."""

from __future__ import annotations

import threading
import time
from contextlib import AsyncExitStack

import pytest

from medley_operator.power.agent import turns
from medley_operator.power.agent.orders import NO_ORDERS, Moment, orders_of
from medley_operator.power.agent.turns import GpuTurns
from medley_operator.power.gpu.protocol import GpuFault, GpuReading
from tests.fake_gpus import FakeBoard, FakeGpus
from tests.unit.operator.power.agent.caps import UNIX, at, node_power_cap

ORDERS = orders_of(node_power_cap(duration=600), at(0.0))


class HangingGpus(FakeGpus):
    """Reads of GPU-1 wait until `released`."""

    released = threading.Event()

    def read(self, uuid: str) -> GpuReading:
        if uuid == "GPU-1":
            self.released.wait(10)
        return super().read(uuid)


async def test_gpus_that_come_and_a_driver_that_is_away() -> None:
    now = 100.0
    gpus = FakeGpus([FakeBoard("GPU-1")], clock=lambda: now)
    async with AsyncExitStack() as stack:
        found = GpuTurns(gpus, clock=lambda: now, stack=stack)
        assert [report.uuid for report in await found.turn(ORDERS, {})] == ["GPU-1"]
        gpus.boards["GPU-2"] = FakeBoard("GPU-2")
        assert len(await found.turn(ORDERS, {})) == 1
        now += turns.SEARCH_SECONDS
        assert len(await found.turn(ORDERS, {})) == 2
        assert gpus.boards["GPU-2"].limit_watts == 300.0
        now += turns.SEARCH_SECONDS
        for board in gpus.boards.values():
            board.fault = GpuFault.NO_DRIVER
        reports = await found.turn(NO_ORDERS, {})
        assert found.fault is not None
        assert [report.faults[0].reason for report in reports] == [GpuFault.NO_DRIVER] * 2


async def test_a_gpu_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.2)
    gpus = HangingGpus([FakeBoard("GPU-1"), FakeBoard("GPU-2")], clock=time.monotonic)
    async with AsyncExitStack() as stack:
        found = GpuTurns(gpus, clock=time.monotonic, stack=stack)
        orders = orders_of(node_power_cap(duration=600), Moment(UNIX, time.monotonic()))
        first, second = await found.turn(orders, {})
        assert [remark.reason for remark in first.faults] == [GpuFault.TIMEOUT]
        assert (second.faults, gpus.boards["GPU-2"].limit_watts) == ((), 300.0)
        gpus.released.set()
        monkeypatch.setattr(turns, "PATIENCE_SECONDS", 10.0)
        assert [report.faults for report in await found.turn(orders, {})] == [(), ()]
