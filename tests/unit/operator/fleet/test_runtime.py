"""Memory that is free is the system's again, and threads that compute do not hold up the event loop."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from medley_operator.fleet.runtime import answer_while_computing

GROWN = """
import ctypes, sys
from medley_operator.fleet.runtime import keep_no_freed_memory

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


@pytest.fixture
def default_runtime() -> Iterator[None]:
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)


def _waits_seconds(number: int = 40) -> float:
    """Of short waits, as a loop has them that talks to a server, beside a thread that computes."""
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(range(2000))

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        began = time.perf_counter()
        for _ in range(number):
            time.sleep(0.0001)
        return time.perf_counter() - began
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("default_runtime")
def test_a_thread_that_computes_holds_up_no_talk_with_servers() -> None:
    before = min(_waits_seconds() for _ in range(3))
    answer_while_computing()
    after = min(_waits_seconds() for _ in range(3))
    assert after < before / 2


@pytest.mark.usefixtures("default_runtime")
def test_reading_a_large_answer_searches_for_cycles_a_few_times() -> None:
    answer_while_computing()
    before = gc.get_stats()[0]["collections"]
    answer = [{"metric": {"le": str(number)}, "value": [float(number)]} for number in range(30_000)]
    assert len(answer) == 30_000
    assert gc.get_stats()[0]["collections"] - before < 10
