"""The child process that plans: reads problems from standard input, writes outcomes to standard output.

It runs apart from the operator so that a solver that hangs, crashes or eats memory takes nothing with it. Messages are
pickles with a length before them; both ends are our own code and the pipes are private to them. It never outlives the
operator: the kernel ends it with its parent, and so does the end of its input.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from typing import IO, Any

from medley_planner.fleet_plan import PlanFailure

HEADER = struct.Struct("!Q")
PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""

READY = "ready"


def write_message(stream: IO[bytes], value: object) -> None:
    data = pickle.dumps(value)
    stream.write(HEADER.pack(len(data)) + data)
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[Any, ...]:
    """The next message. Raises `EOFError` where the other end is gone."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    (length,) = HEADER.unpack(header)
    message: tuple[Any, ...] = pickle.loads(stream.read(length))  # noqa: S301 - comes from our own parent
    return message


def load(target: str) -> Callable[..., Any]:
    """The function that `module:name` names."""
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def tie_to_parent(parent_pid: int) -> None:
    """From now on the kernel ends this process with its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it went before the kernel was asked
        sys.exit(0)


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> object:
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever the solver does is an outcome, not the end of the worker
        traceback.print_exc()
        return PlanFailure("SolverCrashed", f"the planner failed with {type(error).__name__}: {error}")


def main(target: str, parent_pid: int, memory_bytes: int) -> None:
    """Serve until standard input ends. `memory_bytes` caps the address space."""
    tie_to_parent(parent_pid)
    # Ctrl-C reaches the whole process group; the operator decides when the worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # A solver that prints must not garble the answers.
    os.dup2(2, 1)
    function = load(target)
    write_message(answers, READY)
    while True:
        try:
            arguments = read_message(requests)
        except EOFError:
            return
        write_message(answers, _answer(function, arguments))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
