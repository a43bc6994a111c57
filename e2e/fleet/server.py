"""The fleet with its surroundings: a clock that pushes it, a cluster that it follows, HTTP. One event loop."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from e2e.fleet.cluster import ClusterUnavailable, ClusterView
from e2e.fleet.control import Control
from e2e.fleet.http import HttpServer
from e2e.fleet.simulation import Fleet, SpecOf

TICK_SECONDS = 0.05
POLL_SECONDS = 0.5


def steady_clock() -> Callable[[], float]:
    """Unix seconds that never jump or go back."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


class FleetServer:
    """A running fleet. Made by `running`, which ends it with the context."""

    def __init__(self, view: ClusterView, *, spec_of: SpecOf, seed: int, clock: Callable[[], float]) -> None:
        self._view = view
        self._clock = clock
        self._view_problem = "not read yet"
        self._fleet = Fleet(spec_of=spec_of, seed=seed, start=clock())
        self._http = HttpServer(Control(self._fleet, clock=clock, view_problem=lambda: self._view_problem))
        self._tasks: list[asyncio.Task[None]] = []
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        view: ClusterView,
        *,
        spec_of: SpecOf,
        seed: int = 0,
        port: int = 0,
        clock: Callable[[], float] | None = None,
    ) -> AsyncIterator[FleetServer]:
        """A fleet on 127.0.0.1:`port` (0: a free one) that has read the cluster once, if it could."""
        server = cls(view, spec_of=spec_of, seed=seed, clock=clock or steady_clock())
        await server._poll()
        server.url = f"http://127.0.0.1:{await server._http.start(port)}"
        server._tasks = [asyncio.create_task(work) for work in (server._tick_always(), server._poll_always())]
        try:
            yield server
        finally:
            for task in server._tasks:
                task.cancel()
            ended = await asyncio.gather(*server._tasks, return_exceptions=True)
            await server._http.stop()
            for error in ended:
                if isinstance(error, Exception):
                    raise error

    async def broken(self) -> None:
        """Returns when the fleet can go on no longer; leaving the context then raises why."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _tick_always(self) -> None:
        while True:
            self._fleet.advance(self._clock())
            await asyncio.sleep(TICK_SECONDS)

    async def _poll_always(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._poll()

    async def _poll(self) -> None:
        try:
            state = await self._view.read()
        except ClusterUnavailable as error:
            if self._view_problem != str(error):
                print(f"fleet: cluster cannot be read: {error}", file=sys.stderr, flush=True)
            self._view_problem = str(error)
            return
        known = set(self._fleet.problems)
        self._fleet.apply(state, now=self._clock())
        self._view_problem = ""
        for key, problem in self._fleet.problems.items():
            if key not in known:
                print(f"fleet: {problem}", file=sys.stderr, flush=True)
