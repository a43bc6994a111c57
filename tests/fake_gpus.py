"""GPUs in memory, as faithful to drivers as the node agent needs: registers, ranges, grids, and their faults.

Power follows the clock and the limit in force; energy follows power over a clock that tests move. What a real driver
forgets, refuses or gets wrong is set by fields and methods of a board.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from medley_operator.power.gpu.protocol import GpuError, GpuFacts, GpuFault, GpuReading, Throttle

GRID_MHZ = tuple(range(210, 1411, 15))
"""An A100's."""


@dataclass
class FakeBoard:
    """One board. `outside_watts` is a limit from outside the server; `fault` makes every call fail, `write_fault` only
    writes, and `clock_fault` only those of clocks."""

    uuid: str
    name: str = "NVIDIA A100-SXM4-80GB"
    min_watts: float = 100.0
    max_watts: float = 400.0
    default_watts: float = 400.0
    clocks_mhz: tuple[int, ...] = GRID_MHZ
    has_limit: bool = True
    tells_energy: bool = True
    tells_limit: bool = True
    mig: bool = False
    load: float = 1.0
    idle_watts: float = 60.0
    outside_watts: float | None = None
    fault: GpuFault | None = None
    write_fault: GpuFault | None = None
    clock_fault: GpuFault | None = None
    limit_watts: float = 0.0
    lock_mhz: int | None = None
    energy_joules: float = 1e6
    writes: list[tuple[float, str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limit_watts = self.default_watts

    def reload(self) -> None:
        """What unloading the driver does where nothing keeps it: limits, locks and the energy counter are gone."""
        self.limit_watts, self.lock_mhz, self.energy_joules = self.default_watts, None, 0.0

    @property
    def enforced_watts(self) -> float:
        limit = self.limit_watts if self.has_limit else self.max_watts
        return limit if self.outside_watts is None else min(limit, self.outside_watts)

    @property
    def clock_mhz(self) -> int:
        return self.lock_mhz or (self.clocks_mhz[-1] if self.clocks_mhz else GRID_MHZ[-1])

    @property
    def draws_watts(self) -> float:
        free = self.idle_watts + self.load * (self.max_watts - self.idle_watts)
        share = math.pow(self.clock_mhz / GRID_MHZ[-1], 1.2)
        return min(self.idle_watts + (free - self.idle_watts) * share, self.enforced_watts)


class FakeGpus:
    """`GpuPower` on `FakeBoard`s. `clock` gives seconds, and counts energy."""

    vendor = "fake"

    def __init__(self, boards: Iterable[FakeBoard], *, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.boards = {board.uuid: board for board in boards}
        self._clock = clock
        self._counted_at = clock()

    def advance(self) -> None:
        """Counts the energy since the last call."""
        now = self._clock()
        for board in self.boards.values():
            board.energy_joules += board.draws_watts * (now - self._counted_at)
        self._counted_at = now

    def uuids(self) -> tuple[str, ...]:
        self._raise_if_no_driver()
        return tuple(uuid for uuid, board in self.boards.items() if board.fault is not GpuFault.LOST)

    def _raise_if_no_driver(self) -> None:
        if self.boards and all(board.fault is GpuFault.NO_DRIVER for board in self.boards.values()):
            raise GpuError(GpuFault.NO_DRIVER, "the driver is not loaded")

    def _board(self, uuid: str) -> FakeBoard:
        board = self.boards.get(uuid)
        if board is None:
            raise GpuError(GpuFault.LOST, f"{uuid} is not there")
        if board.fault is not None:
            raise GpuError(board.fault, f"{uuid}: {board.fault}")
        return board

    def describe(self, uuid: str) -> GpuFacts:
        board = self._board(uuid)
        least, most, default = board.min_watts, board.max_watts, board.default_watts
        limits = (least, most, default) if board.has_limit else (None, None, None)
        return GpuFacts(uuid, board.name, limits[0], limits[1], limits[2], board.clocks_mhz, board.mig)

    def read(self, uuid: str) -> GpuReading:
        board = self._board(uuid)
        told = board.has_limit and board.tells_limit
        capped = board.draws_watts >= board.enforced_watts
        return GpuReading(
            limit_watts=board.limit_watts if told else None,
            enforced_watts=board.enforced_watts if told else None,
            usage_watts=board.draws_watts,
            clock_mhz=board.clock_mhz if board.clocks_mhz else None,
            energy_joules=board.energy_joules if board.tells_energy else None,
            throttle=Throttle.POWER_CAP if capped else Throttle.NONE,
        )

    def set_limit(self, uuid: str, watts: float) -> None:
        board = self._writable(uuid, has=self._board(uuid).has_limit)
        if not board.min_watts <= watts <= board.max_watts:
            raise GpuError(GpuFault.REFUSED, f"{watts} W is outside {board.min_watts} to {board.max_watts} W")
        board.limit_watts = watts
        board.writes.append((self._clock(), "limit", watts))

    def lock_clocks(self, uuid: str, most_mhz: int) -> None:
        board = self._clocked(uuid)
        if most_mhz not in board.clocks_mhz:
            raise GpuError(GpuFault.REFUSED, f"{most_mhz} MHz is not on the grid")
        board.lock_mhz = most_mhz
        board.writes.append((self._clock(), "lock", most_mhz))

    def reset_clocks(self, uuid: str) -> None:
        board = self._clocked(uuid)
        board.lock_mhz = None
        board.writes.append((self._clock(), "reset", 0.0))

    def _clocked(self, uuid: str) -> FakeBoard:
        board = self._writable(uuid, has=bool(self._board(uuid).clocks_mhz))
        if board.clock_fault is not None:
            raise GpuError(board.clock_fault, f"{uuid}: {board.clock_fault}")
        return board

    def _writable(self, uuid: str, *, has: bool) -> FakeBoard:
        board = self._board(uuid)
        if board.write_fault is not None:
            raise GpuError(board.write_fault, f"{uuid}: {board.write_fault}")
        if not has:
            raise GpuError(GpuFault.NOT_SUPPORTED, f"{uuid} has no such limit")
        return board
