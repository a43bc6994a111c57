"""Child processes that never outlive this one: each dies with its parent, is known by its id and logs to a file.

Start children from a thread that lives as long as they should: the kernel ends them with the thread that started them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.controlplane.errors import StartError

_PR_SET_PDEATHSIG = 1
_LOG_TAIL_LINES = 30
_PROGRESS_SECONDS = 20.0
_LIBC = ctypes.CDLL(None)
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block, so that no child is started and then not recorded."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with_parent() -> Callable[[], None]:
    """A `preexec_fn` that makes the child the leader of its own group and lets the kernel end it with this process."""
    parent = os.getpid()

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Ctrl-C goes to the whole foreground group; the parent ends its children itself, in the right order.
        os.setpgrp()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING_SIGNALS)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a child that still runs and to the children it has started itself; does not wait."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def run_told(
    argv: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    still: Callable[[float], None],
    cwd: Path | None = None,
    tail_lines: int,
) -> tuple[int, str]:
    """Runs `argv` to its end: its exit status, and the last lines that it printed.

    `still` gets now and then the number of seconds that it has run. Where this process is interrupted, the child is
    ended.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [str(part) for part in argv],
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(),
        )
        try:
            while True:
                try:
                    status = process.wait(timeout=_PROGRESS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    still(time.monotonic() - started)
        except BaseException:
            kill_group(process)
            process.wait()
            raise
        output.seek(0)
        return status, "".join(output.readlines()[-tail_lines:])


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
        kill_group(self.process)
        self.process.wait()


def start(
    name: str,
    argv: Sequence[str],
    *,
    logs: Path,
    environment: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> Child:
    """Starts `argv` with stdout and stderr in `<logs>/<name>.log`. `root`: the folder that it has for its file system,
    by chroot(2)."""
    log = logs / f"{name}.log"
    prepare = die_with_parent()

    def prepare_within() -> None:
        prepare()
        if root is not None:
            os.chroot(root)
            os.chdir("/")

    with log.open("ab") as output:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            preexec_fn=prepare_within,
        )
    return Child(name, process, log)


def wait_ready(child: Child, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
    """Returns when `ready()`; raises `StartError` with the log's end when the process ends or the time is up."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        # First, since whoever holds the port of a child that could not listen may well answer in its place.
        if not child.alive():
            raise StartError(
                f"{child.name} ended with status {child.process.returncode}; end of {child.log}:\n{child.log_tail()}"
            )
        if ready():
            return
        if time.monotonic() > deadline:
            raise StartError(
                f"{child.name} is not ready after {timeout_seconds:.0f} s; end of {child.log}:\n{child.log_tail()}"
            )
        time.sleep(0.1)
