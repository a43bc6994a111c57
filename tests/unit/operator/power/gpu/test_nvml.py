"""NVML through the unmodified binding on a C library with NVML's names, in a process of its own: the binding keeps the
first library that it loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nvml.registers import BoardModel, FakeRegisters, NoCompilerError, build

SCRIPT = """
import dataclasses, json, sys
from concurrent.futures import ThreadPoolExecutor
from medley_operator.power.gpu.nvml import NvmlPower
from medley_operator.power.gpu.protocol import GpuError
class Threaded(NvmlPower):
    def read_from_threads(self, uuids):
        with ThreadPoolExecutor(len(uuids)) as threads:
            return list(threads.map(self.ok, uuids))

    def ok(self, uuid):
        try:
            return self.read(uuid) and "ok"
        except GpuError as error:
            return error.fault

power = Threaded()
for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        answer = getattr(power, name)(*arguments)
        if dataclasses.is_dataclass(answer):
            answer = dataclasses.asdict(answer)
        print(json.dumps({"answer": answer}, default=str), flush=True)
    except GpuError as error:
        print(json.dumps({"fault": error.fault, "message": error.message}), flush=True)
"""
A100, L4 = BoardModel("GPU-a"), BoardModel("GPU-b", "NVIDIA L4", 40, 72, 72, (210, 2040, 15), mig=True)
CONSUMER = BoardModel("GPU-c", "GeForce", clocks_mhz=(0, 0, 0), has_limit=False)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    try:
        return build(tmp_path_factory.mktemp("nvml"))
    except NoCompilerError as error:
        pytest.skip(str(error))


@pytest.fixture
def registers(tmp_path: Path) -> Iterator[FakeRegisters]:
    with FakeRegisters(tmp_path / "registers", [A100, L4, CONSUMER]) as found:
        yield found


class Process:
    """A process that calls `NvmlPower`, one call after the other."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def __call__(self, name: str, *arguments: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        return found["answer"] if "answer" in found else found["fault"]

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture
def nvml(library: dict[str, str], registers: FakeRegisters) -> Iterator[Process]:
    process = Process(library | {"FAKE_NVML_REGISTERS": str(registers.path)})
    yield process
    process.end()


def test_boards_are_described(nvml: Process) -> None:
    assert nvml("uuids") == ["GPU-a", "GPU-b", "GPU-c"]
    facts = nvml("describe", "GPU-b")
    assert (facts["name"], facts["mig"]) == ("NVIDIA L4", True)
    assert (facts["min_watts"], facts["max_watts"], facts["default_watts"]) == (40.0, 72.0, 72.0)
    assert (facts["clocks_mhz"][0], facts["clocks_mhz"][-1], len(facts["clocks_mhz"])) == (210, 2040, 123)
    without = nvml("describe", "GPU-c")
    assert (without["min_watts"], without["max_watts"], without["clocks_mhz"], without["mig"]) == (
        None,
        None,
        [],
        False,
    )


def test_limits_are_set_and_read_back(nvml: Process, registers: FakeRegisters) -> None:
    assert nvml("set_limit", "GPU-a", 250.5) is None
    assert nvml("lock_clocks", "GPU-a", 1110) is None
    assert (registers[0].limit_mw, registers[0].locked_mhz) == (250_500, 1110)
    reading = nvml("read", "GPU-a")
    assert (reading["limit_watts"], reading["enforced_watts"], reading["clock_mhz"]) == (250.5, 250.5, 1110)
    assert reading["throttle"] == "Throttle.POWER_CAP"
    assert 200.0 < reading["usage_watts"] <= 250.5
    nvml("reset_clocks", "GPU-a")
    assert registers[0].locked_mhz == 0


def test_what_a_board_enforces_and_why_it_is_slow_are_read(nvml: Process, registers: FakeRegisters) -> None:
    registers[0].outside_mw, registers[0].reasons = 180_000, 0x80 | 0x20
    reading = nvml("read", "GPU-a")
    assert (reading["limit_watts"], reading["enforced_watts"]) == (400.0, 180.0)
    assert set(reading["throttle"].removeprefix("Throttle.").split("|")) == {"POWER_CAP", "THERMAL", "POWER_BRAKE"}


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (4, "NotPermitted"),
        (3, "NotSupported"),
        (2, "DriverRefused"),
        (15, "GpuLost"),
        (16, "GpuLost"),
        (10, "DriverTimeout"),
        (999, "DriverFailed"),
        (17, "DriverFailed"),
    ],
)
def test_codes_become_faults(nvml: Process, registers: FakeRegisters, code: int, fault: str) -> None:
    registers[0].write_fault = code
    assert nvml("set_limit", "GPU-a", 200.0) == fault
    registers[0].write_fault = 0
    assert nvml("set_limit", "GPU-a", 200.0) is None


def test_a_value_outside_the_range_is_refused_and_changes_nothing(nvml: Process, registers: FakeRegisters) -> None:
    assert nvml("set_limit", "GPU-a", 401.0) == "DriverRefused"
    assert nvml("set_limit", "GPU-c", 100.0) == "NotSupported"
    assert nvml("lock_clocks", "GPU-c", 1000) == "NotSupported"
    assert registers[0].limit_mw == 400_000


def test_a_lost_gpu_hides_no_other(nvml: Process, registers: FakeRegisters) -> None:
    registers[0].fault = 15
    assert nvml("uuids") == ["GPU-b", "GPU-c"]
    assert nvml("read", "GPU-a") == "GpuLost"
    assert nvml("read", "GPU-x") == "GpuLost"
    assert nvml("read", "GPU-b")["limit_watts"] == 72.0


def test_nvml_is_opened_anew_after_the_driver_was_reloaded(nvml: Process, registers: FakeRegisters) -> None:
    nvml("set_limit", "GPU-a", 200.0)
    before = nvml("read", "GPU-a")["energy_joules"]
    registers.driver_fails(9)
    assert nvml("read", "GPU-a") == "NoDriver"
    registers.reload()
    registers.driver_fails(0)
    after = nvml("read", "GPU-a")
    assert after["limit_watts"] == 400.0
    assert after["energy_joules"] < before
    registers.reload()
    assert nvml("read", "GPU-a") == "DriverFailed", "the library was open while the driver was reloaded"
    assert nvml("read", "GPU-a")["limit_watts"] == 400.0


def test_a_reload_under_many_threads_is_over_after_one_failure_of_each(nvml: Process, registers: FakeRegisters) -> None:
    assert nvml("read_from_threads", ["GPU-a", "GPU-b", "GPU-c"]) == ["ok"] * 3
    for _ in range(5):
        registers.reload()
        nvml("read_from_threads", ["GPU-a", "GPU-b", "GPU-c"])
        assert nvml("read_from_threads", ["GPU-a", "GPU-b", "GPU-c"]) == ["ok"] * 3


def test_drivers_that_know_only_the_older_name_of_reasons_give_reasons(
    tmp_path: Path, registers: FakeRegisters, library: dict[str, str]
) -> None:
    older = tmp_path / "older"
    older.mkdir()
    process = Process(build(older, older_driver=True) | {"FAKE_NVML_REGISTERS": str(registers.path)})
    registers[0].reasons = 0x80
    assert "POWER_BRAKE" in process("read", "GPU-a")["throttle"]
    process.end()


def test_without_a_library_there_is_no_driver(tmp_path: Path) -> None:
    process = Process({"LD_LIBRARY_PATH": str(tmp_path)})
    assert process("uuids") == "NoDriver"
    process.end()
