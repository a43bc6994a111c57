"""Child processes that never outlive this one: each dies with its parent, is known by its id and logs to a file."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.controlplane.errors import StartError

_PR_SET_PDEATHSIG = 1
_LOG_TAIL_LINES = 30
_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C goes to the whole foreground group; the parent ends its children itself, in the right order.
    os.setpgrp()


@dataclass(slots=True)
class Child:
    """One started component."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])

    def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL after the grace; no grace: SIGKILL at once. Returns when the process is gone."""
        if not self.alive():
            return
        if grace_seconds > 0:
            self.process.terminate()
            try:
                self.process.wait(timeout=grace_seconds)
                return
            except subprocess.TimeoutExpired:
                pass
        self.process.kill()
        self.process.wait()


def start(name: str, argv: Sequence[str], *, logs: Path, environment: Mapping[str, str] | None = None) -> Child:
    """Starts `argv` with stdout and stderr in `<logs>/<name>.log`."""
    log = logs / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            preexec_fn=_die_with_parent,
        )
    return Child(name, process, log)


def wait_ready(child: Child, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
    """Returns when `ready()`; raises `StartError` with the log's end when the process ends or the time is up."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if not child.alive():
            raise StartError(
                f"{child.name} ended with status {child.process.returncode}; end of {child.log}:\n{child.log_tail()}"
            )
        if time.monotonic() > deadline:
            raise StartError(
                f"{child.name} is not ready after {timeout_seconds:.0f} s; end of {child.log}:\n{child.log_tail()}"
            )
        time.sleep(0.1)
