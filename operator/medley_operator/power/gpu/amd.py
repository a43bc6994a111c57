"""AMD's GPUs through AMD SMI, by the binding that AMD keeps (`amdsmi`); the only module that imports it.

It was written from the binding's own source (7.0) and has not met a GPU. It sets power caps. It locks no clocks, since
the binding takes a lock away only by resetting the performance levels of all clocks at once: boards are reported
without clocks. The package is not a dependency: ROCm brings the version that fits its library.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from medley_operator.power.gpu.protocol import Answer, GpuError, GpuFacts, GpuFault, GpuReading, known

MICRO = 1e6
SENSOR = 0

FAULTS: Mapping[int, GpuFault] = MappingProxyType(
    {
        1: GpuFault.REFUSED,  # invalid arguments
        2: GpuFault.NOT_SUPPORTED,
        3: GpuFault.NOT_SUPPORTED,  # not yet implemented
        8: GpuFault.TIMEOUT,
        10: GpuFault.NOT_PERMITTED,
        31: GpuFault.LOST,  # not found
        32: GpuFault.NO_DRIVER,  # not initialised
        34: GpuFault.NO_DRIVER,  # driver not loaded
        51: GpuFault.NO_DRIVER,  # no driver
    }
)
"""Return codes of amdsmi.h (amdsmi_status_t). Those that are not here are `FAILED`."""


class AmdPower:
    """`GpuPower` by AMD SMI. May be used from several threads: the library is not, so calls wait for each other."""

    vendor = "AMD SMI"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._handles: dict[str, Any] = {}
        self._smi: Any = None

    def uuids(self) -> tuple[str, ...]:
        with self._lock:
            smi = self._open()
            handles = self._call(smi.amdsmi_get_processor_handles)
            self._handles = {str(self._call(smi.amdsmi_get_gpu_device_uuid, handle)): handle for handle in handles}
            return tuple(self._handles)

    def describe(self, uuid: str) -> GpuFacts:
        with self._lock:
            smi, handle = self._handle(uuid)
            cap = self._maybe(smi.amdsmi_get_power_cap_info, handle) or {}
            name = str(self._call(smi.amdsmi_get_gpu_asic_info, handle).get("market_name", "AMD GPU"))
            least, most = _watts(cap, "min_power_cap"), _watts(cap, "max_power_cap")
            if not most:  # virtual machines show a cap of 0 that nobody can set
                return GpuFacts(uuid, name, None, None, None)
            return GpuFacts(uuid, name, least, most, _watts(cap, "default_power_cap"))

    def read(self, uuid: str) -> GpuReading:
        with self._lock:
            smi, handle = self._handle(uuid)
            cap = _watts(self._maybe(smi.amdsmi_get_power_cap_info, handle) or {}, "power_cap")
            power = self._maybe(smi.amdsmi_get_power_info, handle) or {}
            usage = next((power[key] for key in _USAGE_KEYS if isinstance(power.get(key), int) and power[key]), None)
            return GpuReading(limit_watts=cap, enforced_watts=cap, usage_watts=usage)

    def set_limit(self, uuid: str, watts: float) -> None:
        with self._lock:
            smi, handle = self._handle(uuid)
            self._call(smi.amdsmi_set_power_cap, handle, SENSOR, round(watts * MICRO))

    def lock_clocks(self, uuid: str, most_mhz: int) -> None:
        raise GpuError(GpuFault.NOT_SUPPORTED, f"{uuid}: clocks of AMD GPUs are not locked to {most_mhz} MHz")

    def reset_clocks(self, uuid: str) -> None:
        """Nothing to take away."""

    def _handle(self, uuid: str) -> tuple[Any, Any]:
        smi = self._open()
        if uuid not in self._handles:
            self.uuids()
        if uuid not in self._handles:
            raise GpuError(GpuFault.LOST, f"AMD SMI knows no GPU {uuid}")
        return smi, self._handles[uuid]

    def _open(self) -> Any:
        """The binding, opened; its import loads the library. Raises `NO_DRIVER` where either is missing."""
        if self._smi is None:
            try:
                import amdsmi
            except (ImportError, OSError, KeyError, AttributeError) as error:
                message = f"the Python package amdsmi cannot be used ({error}); use an image that has ROCm's"
                raise GpuError(GpuFault.NO_DRIVER, message) from error
            self._smi = amdsmi
            self._call(amdsmi.amdsmi_init)
        return self._smi

    def _call(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        smi = self._smi
        try:
            return function(*arguments)
        except smi.AmdSmiException as error:
            code = getattr(error, "err_code", None)
            fault = FAULTS.get(code, GpuFault.FAILED) if isinstance(code, int) else GpuFault.FAILED
            if fault is GpuFault.NO_DRIVER:
                self._smi, self._handles = None, {}  # to be opened anew
            raise GpuError(fault, f"{function.__name__} answered {code} ({error})") from error

    def _maybe(self, function: Callable[..., Answer], *arguments: object) -> Answer | None:
        return known(partial(self._call, function, *arguments))


_USAGE_KEYS = ("current_socket_power", "average_socket_power", "socket_power")


def _watts(cap: Mapping[str, int], key: str) -> float | None:
    value = cap.get(key)
    return None if value is None else value / MICRO
