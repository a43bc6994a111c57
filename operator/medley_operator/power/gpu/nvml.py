"""NVIDIA's GPUs through NVML, by the binding that NVIDIA keeps (`nvidia-ml-py`, imported as `pynvml`).

The only module that imports it. NVML is opened when it is first needed and again after the driver was reloaded. Handles
are looked up by UUID in each call, since a GPU that comes back has a new one. Limits go through the calls without a
scope: the binding of those with one drops the driver's answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any

from medley_operator.power.gpu.protocol import Answer, GpuError, GpuFacts, GpuFault, GpuReading, Throttle, known

PACKAGE = "nvidia-ml-py"
MILLI = 1000.0

FAULTS: Mapping[int, GpuFault] = MappingProxyType(
    {
        1: GpuFault.NO_DRIVER,  # uninitialized
        2: GpuFault.REFUSED,  # invalid argument
        3: GpuFault.NOT_SUPPORTED,
        4: GpuFault.NOT_PERMITTED,
        6: GpuFault.LOST,  # not found
        9: GpuFault.NO_DRIVER,  # driver not loaded
        10: GpuFault.TIMEOUT,
        12: GpuFault.NO_DRIVER,  # library not found
        13: GpuFault.NOT_SUPPORTED,  # function not found: an older driver
        15: GpuFault.LOST,
        16: GpuFault.LOST,  # reset required
        18: GpuFault.NO_DRIVER,  # the library and the kernel module have different versions
        24: GpuFault.REFUSED,  # frequency not supported
        28: GpuFault.LOST,  # GPU not found
    }
)
"""Return codes of nvml.h (nvmlReturn_t). Those that are not here are `FAILED`."""

THROTTLES = (
    (0x04, Throttle.POWER_CAP),
    (0x08, Throttle.HARDWARE),
    (0x20, Throttle.THERMAL),
    (0x40, Throttle.THERMAL),
    (0x80, Throttle.POWER_BRAKE),
)
"""Bits of nvml.h (nvmlClocksEventReason...)."""


class NvmlPower:
    """`GpuPower` by NVML. May be used from several threads."""

    vendor = "NVML"

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._opened = 0
        """How often NVML was opened."""
        self._stale = True
        """Whether it is to be opened anew before the next call."""

    def uuids(self) -> tuple[str, ...]:
        nvml = self._open()
        count = self._call(nvml.nvmlDeviceGetCount)
        found = (self._uuid_at(nvml, index) for index in range(count))
        return tuple(uuid for uuid in found if uuid is not None)

    def _uuid_at(self, nvml: Any, index: int) -> str | None:
        try:
            handle = self._call(nvml.nvmlDeviceGetHandleByIndex, index)
            return str(self._call(nvml.nvmlDeviceGetUUID, handle))
        except GpuError as error:
            if error.fault is GpuFault.NO_DRIVER:
                raise
            return None  # one lost GPU hides no other

    def describe(self, uuid: str) -> GpuFacts:
        nvml, handle = self._handle(uuid)
        limits = self._maybe(nvml.nvmlDeviceGetPowerManagementLimitConstraints, handle)
        default = self._maybe(nvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)
        mig = self._maybe(nvml.nvmlDeviceGetMigMode, handle)
        return GpuFacts(
            uuid=uuid,
            name=str(self._call(nvml.nvmlDeviceGetName, handle)),
            min_watts=limits[0] / MILLI if limits else None,
            max_watts=limits[1] / MILLI if limits else None,
            default_watts=_from_milli(default),
            clocks_mhz=self._clocks(nvml, handle),
            mig=bool(mig and mig[0]),
        )

    def _clocks(self, nvml: Any, handle: Any) -> tuple[int, ...]:
        memory = self._maybe(nvml.nvmlDeviceGetSupportedMemoryClocks, handle) or []
        graphics = self._maybe(nvml.nvmlDeviceGetSupportedGraphicsClocks, handle, max(memory)) if memory else None
        return tuple(sorted(graphics or ()))

    def read(self, uuid: str) -> GpuReading:
        nvml, handle = self._handle(uuid)
        reasons = self._maybe(nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        if reasons is None:  # drivers before 535 know the older name only
            reasons = self._maybe(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        throttle = Throttle.NONE
        for bit, each in THROTTLES:
            if (reasons or 0) & bit:
                throttle |= each
        return GpuReading(
            limit_watts=_from_milli(self._maybe(nvml.nvmlDeviceGetPowerManagementLimit, handle)),
            enforced_watts=_from_milli(self._maybe(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
            usage_watts=_from_milli(self._maybe(nvml.nvmlDeviceGetPowerUsage, handle)),
            clock_mhz=self._maybe(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_GRAPHICS),
            energy_joules=_from_milli(self._maybe(nvml.nvmlDeviceGetTotalEnergyConsumption, handle)),
            throttle=throttle,
        )

    def set_limit(self, uuid: str, watts: float) -> None:
        nvml, handle = self._handle(uuid)
        self._call(nvml.nvmlDeviceSetPowerManagementLimit, handle, round(watts * MILLI))

    def lock_clocks(self, uuid: str, most_mhz: int) -> None:
        nvml, handle = self._handle(uuid)
        clocks = self._clocks(nvml, handle)
        self._call(nvml.nvmlDeviceSetGpuLockedClocks, handle, min(clocks, default=most_mhz), most_mhz)

    def reset_clocks(self, uuid: str) -> None:
        nvml, handle = self._handle(uuid)
        self._call(nvml.nvmlDeviceResetGpuLockedClocks, handle)

    def _handle(self, uuid: str) -> tuple[Any, Any]:
        nvml = self._open()
        return nvml, self._call(nvml.nvmlDeviceGetHandleByUUID, uuid)

    def _open(self) -> Any:
        """The binding, with NVML opened. Raises `NO_DRIVER` where package, library or driver is missing."""
        try:
            import pynvml
        except ImportError as error:
            message = f"the Python package {PACKAGE} is not installed; install medley-operator[agent]"
            raise GpuError(GpuFault.NO_DRIVER, message) from error
        with self._opening:
            if self._stale:
                with suppress(pynvml.NVMLError):
                    pynvml.nvmlShutdown()  # what was opened before a reload
                self._call(pynvml.nvmlInit)
                self._opened, self._stale = self._opened + 1, False
        return pynvml

    def _call(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        import pynvml

        opened = self._opened
        try:
            return function(*arguments)
        except pynvml.NVMLError as error:
            fault = FAULTS.get(error.value, GpuFault.FAILED)
            # After a reload NVML must be opened anew: once, though the calls of all threads fail.
            if fault in (GpuFault.NO_DRIVER, GpuFault.FAILED) and opened == self._opened:
                self._stale = True
            name = getattr(function, "__name__", str(function))
            raise GpuError(fault, f"{name} answered {error.value} ({error})") from error

    def _maybe(self, function: Callable[..., Answer], *arguments: object) -> Answer | None:
        return known(partial(self._call, function, *arguments))


def _from_milli(value: int | None) -> float | None:
    return None if value is None else value / MILLI
