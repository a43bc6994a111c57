"""Settings of the C library and of the interpreter that the operator runs on; once, before threads start.

Apart: nothing else of the operator depends on what runs it.
"""

from __future__ import annotations

import ctypes
import gc
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""
LARGE_BYTES = 128 * 1024
"""A block of this size is a mapping of its own, which ends when it is freed: the default, until the library learns."""
ARENAS = 2
SWITCH_SECONDS = 0.0005
COLLECTED_EVERY = (20_000, 20, 10)
"""Objects made since the last search for cycles among the young ones, and searches before one goes further."""


def keep_no_freed_memory() -> bool:
    """Gives memory back to the system as soon as it is free. False where the C library has no such setting.

    glibc keeps what is freed below blocks in use, in an arena for each thread, and learns from each large block that is
    freed to serve the next one from there too. The answers of Prometheus, some megabytes each in every round, so stay
    in memory for good: with 200 services 47 of 265 MiB.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((M_MMAP_THRESHOLD, LARGE_BYTES), (M_TRIM_THRESHOLD, LARGE_BYTES), (M_ARENA_MAX, ARENAS))
    return all([mallopt(option, value) == 1 for option, value in settings])


def answer_while_computing() -> None:
    """Lets the event loop go on while threads compute plans and read metrics.

    A thread that computes keeps the interpreter for a switch interval each time that another asks for it. A request to
    the API server asks some dozen times, so that with the default of 5 ms writes took a second while a round of 500
    services was on. And a search for cycles stops every thread: an answer of Prometheus with 26,000 series made some
    thousand of them, for half of the time that reading it took, and found nothing.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTED_EVERY)
