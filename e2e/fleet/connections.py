"""The connections of one listener, each served until it ends, so that whoever stops the listener ends them all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class Connections:
    """`serve` is called by asyncio for each connection, in a task of its own."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, exchange: Callable[[], Awaitable[bool]], writer: asyncio.StreamWriter) -> None:
        """One request and its answer after the other, as long as `exchange` answers True. A client that goes, or that
        sends what is not HTTP, ends its connection and nothing else."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
                while await exchange():
                    pass
        except asyncio.CancelledError:
            pass  # the server stops; a cancelled connection is not an error
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def end(self, *, patience_seconds: float = 0.0) -> None:
        """Those that have not ended by themselves after that time are cut off."""
        tasks = tuple(self._tasks)
        if tasks and patience_seconds > 0.0:
            await asyncio.wait(tasks, timeout=patience_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
