from __future__ import annotations

import threading

from e2e.repeated import repeated


def test_it_goes_on_until_the_context_ends() -> None:
    calls, third = list[int](), threading.Event()

    def act() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            third.set()

    threads = threading.active_count()
    with repeated(act, every_seconds=0.001):
        assert third.wait(30)
    assert threading.active_count() == threads
    assert calls[:3] == [0, 1, 2]
