"""GPUs whose draw can be limited, as a protocol over watts and megahertz: what the node agent needs of a driver.

Backends are `nvml` and `amd`; tests bring one in memory. Calls block, and may take seconds where a driver hangs: the
agent calls them in threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class GpuFault(StrEnum):
    """Why a GPU, or all of them, cannot be read or limited; a reason in the status of a NodePowerCap."""

    LOST = "GpuLost"
    """The GPU fell off its bus, or needs a reset."""
    NOT_PERMITTED = "NotPermitted"
    """The driver lets only a privileged process change this."""
    NOT_SUPPORTED = "NotSupported"
    """The board, or the driver under it, has no such limit: consumer boards, virtual GPUs, some MIG modes."""
    REFUSED = "DriverRefused"
    """The driver does not take this value."""
    NO_DRIVER = "NoDriver"
    """The library or the driver is not there, or is being reloaded."""
    TIMEOUT = "DriverTimeout"
    """The driver did not answer in time."""
    FAILED = "DriverFailed"
    """Any other answer of the driver."""


class GpuError(Exception):
    """A call that the driver did not carry out. `fault` is stable, the message is for people."""

    def __init__(self, fault: GpuFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message


def known(call: Callable[[], Answer]) -> Answer | None:
    """None where the board or the driver has no such figure. Raises `GpuError` for all other faults of the call."""
    try:
        return call()
    except GpuError as error:
        if error.fault in (GpuFault.NOT_SUPPORTED, GpuFault.NOT_PERMITTED):
            return None
        raise


class Throttle(Flag):
    """Reasons for a lower clock at this moment, as far as the driver says."""

    NONE = 0
    POWER_CAP = auto()
    """The limit in force, set in software."""
    THERMAL = auto()
    HARDWARE = auto()
    """The board slows itself down."""
    POWER_BRAKE = auto()
    """The facility's own brake, from outside the board."""


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """A board as its driver describes it. `uuid` names it for good, while indices move.

    Limits may be set from `min_watts` to `max_watts`; None: this board has no limit that can be set. `clocks_mhz` are
    the clocks that it can be locked to, rising; empty: none. `mig`: it is divided, and a limit holds for all parts.
    """

    uuid: str
    name: str
    min_watts: float | None
    max_watts: float | None
    default_watts: float | None
    clocks_mhz: tuple[int, ...] = ()
    mig: bool = False


@dataclass(frozen=True, slots=True)
class GpuReading:
    """A GPU at one moment. None: the driver does not say.

    `limit_watts` is the limit that was set last; `enforced_watts` is what the board holds, which a limit from outside
    the server may lower. `energy_joules` counts since the driver was loaded, so a fall shows a reload.
    """

    limit_watts: float | None = None
    enforced_watts: float | None = None
    usage_watts: float | None = None
    clock_mhz: int | None = None
    energy_joules: float | None = None
    throttle: Throttle = Throttle.NONE


class GpuPower(Protocol):
    """All methods raise `GpuError`, and none keeps anything of a GPU that the driver could change."""

    vendor: str
    """The library that answers, for messages and the status."""

    def uuids(self) -> tuple[str, ...]:
        """The GPUs of this node that answer. Those that are lost may be missing."""

    def describe(self, uuid: str) -> GpuFacts: ...

    def read(self, uuid: str) -> GpuReading: ...

    def set_limit(self, uuid: str, watts: float) -> None:
        """Sets the power limit; a board refuses what is outside its range."""

    def lock_clocks(self, uuid: str, most_mhz: int) -> None:
        """Lets the clock move between the board's lowest and `most_mhz`, one of `clocks_mhz`."""

    def reset_clocks(self, uuid: str) -> None:
        """Takes the lock away."""
