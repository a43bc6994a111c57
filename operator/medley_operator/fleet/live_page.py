"""The live page: what the loop hands over, and what the server's threads make of it for whoever asks.

The loop only hands over tuples that it has anyway, every other second and only where something changed. The text is
made once for all readers, by the thread of the first of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Protocol

from medley_operator.api.v1alpha1 import GPUPool, LLMService
from medley_operator.metrics.server import ServedPage
from medley_operator.pages.document import Live, policy
from medley_operator.pages.fleet import WhatIfAnswers, fleet_page

PAGE, SCRIPT = "/ui", "/ui/refresh.js"
LIVE = Live("ui/refresh.js")
LOOK_SECONDS = 2.0
NOT_ASKED = "Not asked yet: the replica that leads asks after its first plan."
Seen = tuple[tuple[LLMService, ...], tuple[GPUPool, ...]]


class Shown(Protocol):
    """The part that knows the fleet; asked on the loop's thread."""

    def shown(self) -> Seen: ...


class LivePage:
    """`offer` and `answered` on the loop's thread, `served` on any."""

    def __init__(self, *, timestamp: Callable[[], str]) -> None:
        self._timestamp = timestamp
        self._lock = threading.Lock()
        self._seen: Seen = ((), ())
        self._answers = WhatIfAnswers(why=NOT_ASKED)
        self._at = timestamp()
        self._version = 0
        self._body: bytes | None = None

    def offer(self, seen: Seen) -> None:
        """The fleet as it is now. What is the same objects as before is no news."""
        if not all(_same(new, old) for new, old in zip(seen, self._seen, strict=True)):
            self._take(seen, self._answers)

    def answered(self, answers: WhatIfAnswers) -> None:
        self._take(self._seen, answers)

    def served(self) -> Mapping[str, Callable[[], ServedPage]]:
        """The page and its script by path."""
        script = resources.files("medley_operator.pages").joinpath("refresh.js").read_bytes()
        headers = {
            "Content-Security-Policy": f"{policy(LIVE)}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return {
            PAGE: lambda: ServedPage("text/html; charset=utf-8", self._text(), headers),
            SCRIPT: lambda: ServedPage("text/javascript; charset=utf-8", script, headers),
        }

    async def follow(self, cluster: Shown) -> None:
        """Hands over what the cluster shows, until cancelled."""
        while True:
            self.offer(cluster.shown())
            await asyncio.sleep(LOOK_SECONDS)

    def _take(self, seen: Seen, answers: WhatIfAnswers) -> None:
        with self._lock:
            self._seen, self._answers, self._at, self._body = seen, answers, self._timestamp(), None
            self._version += 1

    def _text(self) -> bytes:
        with self._lock:
            if self._body is not None:
                return self._body
            seen, answers, at, version = self._seen, self._answers, self._at, self._version
        # Not while the lock is held, which the loop may want: readers at the same moment may make it twice.
        body = fleet_page(*seen, answers, at=at, live=LIVE).encode()
        with self._lock:
            if self._version == version:
                self._body = body
        return body


def _same(new: tuple[object, ...], old: tuple[object, ...]) -> bool:
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))
