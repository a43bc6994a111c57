"""The last result of a pure function for each object, so that what did not change is not worked out again.

Rounds and passes ask for the same manifests, differences and counts of thousands of children that stay as they are. A
result is used again only where all that it is made from is the same: the very object that was observed, which nobody
changes once it is handed out, and equal values beside it. So it decides nothing, and losing it costs time alone. May be
asked from two threads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MOST = 32_768
"""Results of one function, some for each child of a thousand services. What is gone stays until there are so many."""

Result = TypeVar("Result")


class Recall(Generic[Result]):
    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._known: dict[Hashable, tuple[object, object, Result]] = {}

    def get(
        self, key: Hashable, make: Callable[[], Result], *, observed: object = None, equal: object = None
    ) -> Result:
        """The result of `make`, which follows from `observed`, compared by identity, and `equal`, by value, alone.
        `key` is that of the object that it is about."""
        known = self._known.get(key)
        if known is not None and known[0] is observed and known[1] == equal:
            return known[2]
        if len(self._known) >= self._most:
            self._known.clear()
        result = make()
        self._known[key] = (observed, equal, result)
        return result
