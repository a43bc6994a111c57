"""The drivers of a node as one: each GPU is asked through the library that found it.

Apart: the backends know nothing of each other. A driver that is not ready when the agent starts is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence

from medley_operator.power.gpu.protocol import GpuError, GpuFacts, GpuFault, GpuPower, GpuReading


class Drivers:
    """`GpuPower` over several libraries, of which most nodes have one."""

    def __init__(self, libraries: Sequence[GpuPower]) -> None:
        self._libraries = libraries
        self._of: dict[str, GpuPower] = {}
        self.vendor = " and ".join(each.vendor for each in libraries)

    def uuids(self) -> tuple[str, ...]:
        """Raises only where no library answers."""
        found: dict[str, GpuPower] = {}
        errors = []
        for library in self._libraries:
            try:
                found |= dict.fromkeys(library.uuids(), library)
            except GpuError as error:
                errors.append(f"{library.vendor}: {error.message}")
        if len(errors) == len(self._libraries):
            raise GpuError(GpuFault.NO_DRIVER, "no driver of GPUs answers: " + "; ".join(errors))
        self._of |= found
        return tuple(found)

    def describe(self, uuid: str) -> GpuFacts:
        return self._library(uuid).describe(uuid)

    def read(self, uuid: str) -> GpuReading:
        return self._library(uuid).read(uuid)

    def set_limit(self, uuid: str, watts: float) -> None:
        self._library(uuid).set_limit(uuid, watts)

    def lock_clocks(self, uuid: str, most_mhz: int) -> None:
        self._library(uuid).lock_clocks(uuid, most_mhz)

    def reset_clocks(self, uuid: str) -> None:
        self._library(uuid).reset_clocks(uuid)

    def _library(self, uuid: str) -> GpuPower:
        if uuid not in self._of:
            raise GpuError(GpuFault.LOST, f"no driver of this node knows {uuid}")
        return self._of[uuid]
