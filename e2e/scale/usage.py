"""What one process and the whole machine used, from /proc: the operator's figures are not those of its neighbours."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
WORKER = "medley_operator.fleet.worker_process"


@dataclass(frozen=True, slots=True)
class Used:
    """A process's CPU seconds so far, and the most memory that it ever had, in MiB."""

    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Moment:
    """Operator, its worker and the machine at one time of the monotonic clock."""

    at: float
    operator: Used
    worker: Used
    busy_seconds: float
    """CPU seconds that the whole machine spent on anything since it started."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time between two moments: cores used on average."""

    seconds: float
    operator_cores: float
    worker_cores: float
    machine_cores: float


def between(before: Moment, after: Moment) -> Span:
    """A worker that was replaced meanwhile counts by what the new one used."""
    seconds = after.at - before.at
    worker = after.worker.cpu_seconds - before.worker.cpu_seconds
    if worker < 0:
        worker = after.worker.cpu_seconds
    return Span(
        seconds=seconds,
        operator_cores=(after.operator.cpu_seconds - before.operator.cpu_seconds) / seconds,
        worker_cores=worker / seconds,
        machine_cores=(after.busy_seconds - before.busy_seconds) / seconds,
    )


def moment(operator_pid: int, *, proc: Path = PROC) -> Moment:
    """Raises `OSError` where the operator is gone. A worker that does not run has used nothing."""
    worker = worker_of(operator_pid, proc=proc)
    return Moment(
        at=time.monotonic(),
        operator=used(operator_pid, proc=proc),
        worker=Used(0.0, 0.0) if worker is None else used(worker, proc=proc),
        busy_seconds=machine_busy((proc / "stat").read_text()),
    )


def used(pid: int, *, proc: Path = PROC) -> Used:
    fields = stat_fields((proc / str(pid) / "stat").read_text())
    status = (proc / str(pid) / "status").read_text()
    ticks = int(fields[11]) + int(fields[12])
    return Used(ticks / os.sysconf("SC_CLK_TCK"), _mib(status, "VmHWM"))


def started_at(pid: int, *, proc: Path = PROC) -> float:
    """Unix seconds, to a hundredth: the machine's start is kept in whole seconds, so the uptime is what is read."""
    fields = stat_fields((proc / str(pid) / "stat").read_text())
    uptime = float((proc / "uptime").read_text().split()[0])
    return time.time() - uptime + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def worker_of(operator_pid: int, *, proc: Path = PROC) -> int | None:
    """The planning process of this operator."""
    for folder in proc.glob("[0-9]*"):
        try:
            parent = int(stat_fields((folder / "stat").read_text())[1])
            if parent == operator_pid and WORKER in (folder / "cmdline").read_text():
                return int(folder.name)
        except OSError:
            continue  # it has just ended
    return None


def stat_fields(text: str) -> list[str]:
    """Fields of /proc/PID/stat from the state on (proc(5) counts it as the third); the name may hold anything."""
    return text.rpartition(")")[2].split()


def machine_busy(text: str) -> float:
    """Seconds of all processors that were not idle, from /proc/stat."""
    user, nice, system, _idle, _iowait, *rest = (int(part) for part in text.splitlines()[0].split()[1:])
    # Guest time, the last two, is within user and nice.
    return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")


def _mib(status: str, name: str) -> float:
    """A line of /proc/PID/status, in MiB; 0 where it is not there."""
    line = next((line for line in status.splitlines() if line.startswith(f"{name}:")), "")
    return int(line.split()[1]) / 1024 if line else 0.0
