"""AMD SMI on a stand-in with the names, signatures and units of the binding (7.0), which loads only beside ROCm."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from medley_operator.power.gpu.amd import AmdPower
from medley_operator.power.gpu.protocol import GpuError, GpuFacts, GpuFault


class AmdSmiException(Exception):
    def __init__(self, err_code: int) -> None:
        super().__init__(err_code)
        self.err_code = err_code


class StandIn(ModuleType):
    """One MI300X; `code` is what the library answers to everything."""

    def __init__(self) -> None:
        super().__init__("amdsmi")
        self.AmdSmiException = AmdSmiException
        self.code = 0
        self.opened = 0
        self.cap = {"power_cap": 750_000_000, "default_power_cap": 750_000_000, "dpm_cap": 2100}
        self.cap |= {"min_power_cap": 0, "max_power_cap": 750_000_000}

    def _check(self) -> None:
        if self.code:
            raise AmdSmiException(self.code)

    def amdsmi_init(self) -> None:
        self.opened += 1
        self._check()

    def amdsmi_get_processor_handles(self) -> list[Any]:
        self._check()
        return [SimpleNamespace(uuid="0eff74a0-0000-1000-80b6-d6cbad4b6ff4")]

    def amdsmi_get_gpu_device_uuid(self, handle: Any) -> str:
        return str(handle.uuid)

    def amdsmi_get_gpu_asic_info(self, handle: Any) -> dict[str, str]:
        return {"market_name": "AMD Instinct MI300X"}

    def amdsmi_get_power_cap_info(self, handle: Any) -> dict[str, int]:
        self._check()
        return dict(self.cap)

    def amdsmi_get_power_info(self, handle: Any) -> dict[str, int | str]:
        return {"current_socket_power": "N/A", "average_socket_power": 412, "socket_power": 0}

    def amdsmi_set_power_cap(self, handle: Any, sensor: int, cap: int) -> None:
        self._check()
        self.cap["power_cap"] = cap


UUID = "0eff74a0-0000-1000-80b6-d6cbad4b6ff4"


@pytest.fixture
def smi(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    module = StandIn()
    monkeypatch.setitem(sys.modules, "amdsmi", module)
    return module


def test_caps_are_in_watts(smi: StandIn) -> None:
    power = AmdPower()
    assert power.uuids() == (UUID,)
    assert power.describe(UUID) == GpuFacts(UUID, "AMD Instinct MI300X", 0.0, 750.0, 750.0)
    power.set_limit(UUID, 500.5)
    assert smi.cap["power_cap"] == 500_500_000
    reading = power.read(UUID)
    assert (reading.limit_watts, reading.usage_watts) == (500.5, 412)
    assert smi.opened == 1


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (1, "DriverRefused"),
        (2, "NotSupported"),
        (10, "NotPermitted"),
        (31, "GpuLost"),
        (34, "NoDriver"),
        (7, "DriverFailed"),
    ],
)
def test_codes_become_faults(smi: StandIn, code: int, fault: str) -> None:
    power = AmdPower()
    power.uuids()
    smi.code = code
    with pytest.raises(GpuError) as raised:
        power.set_limit(UUID, 500.0)
    assert raised.value.fault == fault


def test_a_driver_that_was_away_is_opened_anew(smi: StandIn) -> None:
    power = AmdPower()
    smi.code = 34
    with pytest.raises(GpuError):
        power.uuids()
    smi.code = 0
    assert power.uuids() == (UUID,)
    assert smi.opened == 2


def test_a_guest_without_a_cap_has_no_limit_and_no_clocks(smi: StandIn) -> None:
    smi.cap["max_power_cap"] = 0
    facts = AmdPower().describe(UUID)
    assert (facts.min_watts, facts.max_watts, facts.clocks_mhz) == (None, None, ())
    with pytest.raises(GpuError) as raised:
        AmdPower().lock_clocks(UUID, 1000)
    assert raised.value.fault is GpuFault.NOT_SUPPORTED


def test_without_the_package_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    with pytest.raises(GpuError, match="use an image that has ROCm") as raised:
        AmdPower().uuids()
    assert raised.value.fault is GpuFault.NO_DRIVER
