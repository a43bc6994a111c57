"""Something that is done again and again beside what a run does: samples, marks, loads that move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(action: Callable[[], object], *, every_seconds: float) -> Iterator[None]:
    """Calls `action` so often, in a thread that ends with the context; for the first time after the first wait."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every_seconds):
            action()

    thread = threading.Thread(target=run, name="repeated", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
