"""Memory that is free is the system's again."""

from __future__ import annotations

import subprocess
import sys

import pytest

GROWN = """
import ctypes, sys
from medley_operator.fleet.allocator import keep_no_freed_memory

def resident_kib():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

if sys.argv[1] == "on" and not keep_no_freed_memory():
    sys.exit(3)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
# A large block teaches the library; blocks of a megabyte come from its heap then, and one that stays lies on top.
libc.free(libc.malloc(30 << 20))
blocks = [libc.malloc(1 << 20) for _ in range(64)]
for block in blocks:
    ctypes.memset(block, 1, 1 << 20)
on_top = libc.malloc(64 << 10)
before = resident_kib()
for block in blocks:
    libc.free(block)
print(before - resident_kib())
"""


def given_back_kib(setting: str) -> int:
    done = subprocess.run([sys.executable, "-c", GROWN, setting], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("another C library than glibc")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_what_is_freed_below_a_block_in_use_is_given_back() -> None:
    """Answers of Prometheus of some megabytes stayed in memory from the first round on."""
    assert given_back_kib("on") > 60 * 1024
    assert given_back_kib("off") < 4 * 1024, "the library does it by itself"
