"""An event loop in a thread of its own, for what must go on while the test waits: the proxy, the gateway, the samples.

Apart: nothing that starts a process may run in it, since children die with the thread that started them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def running(
    serve: Callable[[asyncio.Event, Callable[[], None]], Coroutine[Any, Any, None]], *, timeout_seconds: float = 20
) -> Iterator[None]:
    """Runs `serve(stop, started)` until the end of the block; the block begins once it has called `started`.

    Raises what `serve` raises, at the end of the block.
    """
    begun, failures = threading.Event(), list[BaseException]()
    stops: list[Callable[[], None]] = []

    async def whole() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))  # type: ignore[arg-type]
        await serve(stop, begun.set)

    def run() -> None:
        try:
            asyncio.run(whole())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            failures.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run, name="chaos", daemon=True)
    thread.start()
    if not begun.wait(timeout_seconds):
        raise TimeoutError("the background of the fault suite did not start")
    try:
        if failures:
            raise failures[0]
        yield
    finally:
        if thread.is_alive():
            stops[0]()
            thread.join(timeout_seconds)
    if failures:
        raise failures[0]
