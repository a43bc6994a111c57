"""The boards of the fake NVML, as a file that the C library and a test share. The layout is that of fake_nvml.c."""

from __future__ import annotations

import ctypes
import mmap
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

SOURCE = Path(__file__).parent / "fake_nvml.c"
LIBRARY = "libnvidia-ml.so.1"
MOST_BOARDS = 256
COMPILE_SECONDS = 120
MAGIC = 0x4D4C564E


class NoCompilerError(Exception):
    """There is no C compiler here: what needs the fake NVML cannot run."""


class BoardRegisters(ctypes.Structure):
    """One board; watts are in milliwatts, as in NVML. 0 stands for: no limit from outside, no lock, no fault."""

    _fields_: ClassVar = [
        ("uuid", ctypes.c_char * 48),
        ("name", ctypes.c_char * 64),
        *(
            (name, ctypes.c_uint32)
            for name in (
                *("min_mw", "max_mw", "default_mw", "limit_mw", "outside_mw"),
                *("low_mhz", "high_mhz", "step_mhz", "locked_mhz"),
                *("fault", "write_fault", "clock_fault", "has_limit", "mig"),
                *("load_permille", "idle_mw", "delay_ms", "writes"),
            )
        ),
        *((name, ctypes.c_uint64) for name in ("energy_mj", "counted_ns", "reasons")),
    ]


class _Registers(ctypes.Structure):
    _fields_: ClassVar = [
        *((name, ctypes.c_uint32) for name in ("magic", "boards", "driver_fault", "loads")),
        ("board", BoardRegisters * MOST_BOARDS),
    ]


@dataclass(frozen=True, slots=True)
class BoardModel:
    """What a test wants a board to be; an A100 by default."""

    uuid: str
    name: str = "NVIDIA A100-SXM4-80GB"
    min_watts: int = 100
    max_watts: int = 400
    default_watts: int = 400
    clocks_mhz: tuple[int, int, int] = (210, 1410, 15)
    """Lowest, highest and step; (0, 0, 0): the board's clocks cannot be locked."""
    has_limit: bool = True
    mig: bool = False


class FakeRegisters:
    """Use as `with FakeRegisters(path, boards) as registers`; `registers[0].limit_mw` is what is set now."""

    def __init__(self, path: Path, boards: Sequence[BoardModel]) -> None:
        self.path = path
        path.write_bytes(bytes(ctypes.sizeof(_Registers)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._all = _Registers.from_buffer(self._map)
        for index, board in enumerate(boards):
            self._make(self._all.board[index], board)
        self._all.boards = len(boards)
        self._all.loads = 1
        self._all.magic = MAGIC

    @staticmethod
    def _make(registers: BoardRegisters, board: BoardModel) -> None:
        registers.uuid, registers.name = board.uuid.encode(), board.name.encode()
        registers.min_mw, registers.max_mw = board.min_watts * 1000, board.max_watts * 1000
        registers.default_mw = registers.limit_mw = board.default_watts * 1000
        registers.low_mhz, registers.high_mhz, registers.step_mhz = board.clocks_mhz
        registers.has_limit, registers.mig = board.has_limit, board.mig
        registers.load_permille, registers.idle_mw = 1000, 60_000
        registers.energy_mj = 1_000_000_000

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The memory stays mapped while any of its boards is looked at."""
        self.path.unlink(missing_ok=True)

    def __getitem__(self, index: int) -> BoardRegisters:
        found: BoardRegisters = self._all.board[index]
        return found

    def driver_fails(self, code: int) -> None:
        """Every call answers with this code of NVML; 0: the driver works."""
        self._all.driver_fault = code

    def reload(self, *, keeps_handles: bool = False) -> None:
        """Limits, locks and energy are as after loading the driver; a process must open NVML anew, unless it was only
        the boards that were reset."""
        for board in self._all.board[: self._all.boards]:
            board.limit_mw, board.locked_mhz, board.energy_mj, board.counted_ns = board.default_mw, 0, 0, 0
        self._all.loads += 0 if keeps_handles else 1


def build(folder: Path, *, older_driver: bool = False) -> dict[str, str]:
    """Compiles the library into `folder`; returns the environment by which a new process loads it, but for
    FAKE_NVML_REGISTERS. Raises `NoCompilerError`."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompilerError("there is no C compiler (cc, gcc or clang) on the PATH to build the fake NVML with")
    define = ["-DOLDER_DRIVER"] if older_driver else []
    output = folder / LIBRARY
    flags = ["-shared", "-fPIC", "-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    command = [compiler, *flags, *define, "-o", str(output), str(SOURCE), "-lm"]
    subprocess.run(command, check=True, timeout=COMPILE_SECONDS)
    return {"LD_LIBRARY_PATH": str(folder)}
