"""Asks the C library to give memory back to the system as soon as it is free.

glibc keeps what is freed below blocks in use, in an arena for each thread, and learns from each large block that is
freed to serve the next one from there too. The answers of Prometheus, some megabytes each in every round, so stay in
memory for good: with 200 services 47 of 265 MiB.

Apart: the only talk with the C library, and nothing where it is another one.
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""
LARGE_BYTES = 128 * 1024
"""A block of this size is a mapping of its own, which ends when it is freed: the default, until the library learns."""
ARENAS = 2


def keep_no_freed_memory() -> bool:
    """To be called once, before threads start. False where the C library has no such setting."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((M_MMAP_THRESHOLD, LARGE_BYTES), (M_TRIM_THRESHOLD, LARGE_BYTES), (M_ARENA_MAX, ARENAS))
    return all([mallopt(option, value) == 1 for option, value in settings])
