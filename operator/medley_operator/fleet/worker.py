"""The operator's side of the planning worker: one process, started ahead, killed where it is late, replaced where gone.

Solving in a separate process keeps the event loop free and makes a hard deadline and a memory cap possible. Nothing
here raises for what a solver may do: every bad end is a `PlanFailure` with a reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from medley_operator.fleet.worker_process import HEADER
from medley_planner.check import Subject
from medley_planner.fleet_plan import PlanFailure, PlanOrFailure
from medley_planner.model import Problem

PLANS = "medley_operator.fleet.planning:plan_and_verify"
START_TIMEOUT_SECONDS = 60.0
KILL_FACTOR = 2.0
"""The solver gets a deadline; the process is killed at this multiple of it."""

log = logging.getLogger(__name__)


class PlanWorker:
    """Use `start`, then `solve` (one at a time), then `close`. `memory_bytes` caps the process's address space."""

    def __init__(self, *, memory_bytes: int, target: str = PLANS) -> None:
        self._target = target
        self._memory_bytes = memory_bytes
        self._process: Process | None = None
        self._ready = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process and return; it imports the solver while the operator does other things."""
        if self._process is None:
            self._ready = False
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "medley_operator.fleet.worker_process",
                self._target,
                str(os.getpid()),
                str(self._memory_bytes),
                stdin=PIPE,
                stdout=PIPE,
            )

    async def solve(
        self, problem: Problem, *, deadline_seconds: float, subjects: Mapping[str, Subject] = MappingProxyType({})
    ) -> PlanOrFailure:
        """The verified plan, or why there is none (SolverTimeout, SolverCrashed, PlanRejected).

        The plans of the services in `subjects` are checked by simulation.
        """
        limit = KILL_FACTOR * deadline_seconds
        finished = False
        try:
            await self.start()
            if not self._ready:
                async with asyncio.timeout(START_TIMEOUT_SECONDS):
                    await self._receive()
                self._ready = True
            await self._send((problem, deadline_seconds, dict(subjects)))
            async with asyncio.timeout(limit):
                outcome = await self._receive()
            finished = True
            return cast(PlanOrFailure, outcome)
        except TimeoutError:
            what = f"returned no plan within {limit:g} s" if self._ready else "did not start in time"
            return PlanFailure(
                "SolverTimeout",
                f"the planning process {what} and was killed; the last plan stays. If this continues, raise "
                "--solve-deadline-seconds",
            )
        except (EOFError, OSError) as error:
            return PlanFailure("SolverCrashed", await self._obituary(error))
        finally:
            if not finished:
                # Also where this task is cancelled: an answer to an old problem must never meet a new one.
                await self.close()

    async def close(self) -> None:
        """Kill the process if there is one. `solve` starts a new one."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Shielded, so that a cancelled round leaves no zombie.
        await asyncio.shield(process.wait())
        if process.stdin is not None:
            process.stdin.close()
        log.debug("planning process ended", extra={"pid": process.pid, "status": process.returncode})

    async def _obituary(self, error: Exception) -> str:
        status: int | None = None
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    status = await self._process.wait()
        end = f"signal {-status}" if status is not None and status < 0 else f"exit status {status}"
        return (
            f"the planning process ended with {end} ({type(error).__name__}) (memory limit "
            f"{self._memory_bytes // 1024**2} MiB); the last plan stays. The operator's log has its last output; where "
            "memory was short, raise the container's memory limit or --worker-memory-mib"
        )

    async def _send(self, value: object) -> None:
        assert self._process is not None and self._process.stdin is not None  # noqa: S101, PT018 - started above
        # In a thread, as below: a large fleet is a megabyte of values, and events must not wait.
        data = await asyncio.to_thread(pickle.dumps, value)
        self._process.stdin.write(HEADER.pack(len(data)) + data)
        await self._process.stdin.drain()

    async def _receive(self) -> object:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 - started above
        try:
            (length,) = HEADER.unpack(await self._process.stdout.readexactly(HEADER.size))
            data = await self._process.stdout.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise EOFError("end of output") from error
        return await asyncio.to_thread(pickle.loads, data)
