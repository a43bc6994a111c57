"""Several libraries as one: each GPU by the library that found it, and a fault only where none answers."""

from __future__ import annotations

import pytest

from medley_operator.power.gpu.drivers import Drivers
from medley_operator.power.gpu.protocol import GpuError, GpuFault
from tests.fake_gpus import FakeBoard, FakeGpus


def test_each_gpu_is_asked_through_the_library_that_found_it() -> None:
    first, second = FakeGpus([FakeBoard("GPU-1")]), FakeGpus([FakeBoard("GPU-2")])
    drivers = Drivers([first, second])
    assert drivers.uuids() == ("GPU-1", "GPU-2")
    drivers.set_limit("GPU-2", 250.0)
    drivers.lock_clocks("GPU-1", 1110)
    assert (drivers.read("GPU-2").limit_watts, drivers.describe("GPU-1").uuid) == (250.0, "GPU-1")
    assert (first.boards["GPU-1"].lock_mhz, second.boards["GPU-2"].limit_watts) == (1110, 250.0)
    drivers.reset_clocks("GPU-1")
    assert first.boards["GPU-1"].lock_mhz is None


def test_one_library_that_answers_is_enough() -> None:
    silent = FakeGpus([FakeBoard("GPU-1", fault=GpuFault.NO_DRIVER)])
    assert Drivers([silent, FakeGpus([FakeBoard("GPU-2")])]).uuids() == ("GPU-2",)
    with pytest.raises(GpuError, match="no driver of GPUs answers: fake: the driver is not loaded") as raised:
        Drivers([silent]).uuids()
    assert raised.value.fault is GpuFault.NO_DRIVER


def test_a_gpu_that_nobody_found_is_lost() -> None:
    with pytest.raises(GpuError) as raised:
        Drivers([FakeGpus([])]).read("GPU-1")
    assert raised.value.fault is GpuFault.LOST
