"""Simulated time: what happens when, in order. Actions at the same time happen in the order in which they were noted.

Apart: the one clock of the replay, which everything in the world reads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from heapq import heappop, heappush

EPOCH_UNIX_SECONDS = 1_767_571_200.0
"""The replay's second 0 as Unix time: Monday, 5 January 2026, 0:00 UTC."""


class Agenda:
    """`now` is in seconds since the replay's start."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    @property
    def unix_seconds(self) -> float:
        return EPOCH_UNIX_SECONDS + self.now

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Notes an action for a time, which is now where it has passed."""
        heappush(self._due, (max(seconds, self.now), next(self._order), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def every(self, seconds: float, action: Callable[[], None], *, first: float) -> None:
        """The action at `first` and then after each `seconds`."""

        def again() -> None:
            action()
            self.after(seconds, again)

        self.at(first, again)

    def run(self, until_seconds: float) -> None:
        """All actions up to that time, which is now afterwards."""
        while self._due and self._due[0][0] <= until_seconds:
            self.now, _, action = heappop(self._due)
            action()
        self.now = max(self.now, until_seconds)
