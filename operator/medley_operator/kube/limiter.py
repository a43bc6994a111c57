"""How fast requests go to the API server: a token bucket, and patience where the server asks for it.

Reads and writes have a bucket each, of the same size. client-go counts every request, because one that is forgotten is
the one that floods; but it has one bucket for each client, and a burst of a thousand writes would keep the next look
from seeing what they did. What only reports or marks leaves a part of the burst to children: hundreds of statuses take
the rate for half a minute, and a child that must be put back then goes out at once all the same. Only answers that say
"come again later" are repeated, and nothing was done then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from medley_operator.kube.client import KubeClient
from medley_operator.kube.errors import Throttled
from medley_operator.kube.layer import Layer, Write

MOST_TRIES = 3
SPARED_SHARE = 0.2
"""The part of the burst that `LATER` leaves to all other writes: more than one publisher has under way at once."""
LATER = frozenset({"status", "event", "annotate"})
"""Verbs of writes by which no child comes, goes or changes."""
LONGEST_PAUSE_SECONDS = 10.0
"""A server that asks for more is asked again after this time: a round must not wait for minutes."""

Answer = TypeVar("Answer")


@dataclass(slots=True)
class TokenBucket:
    """`burst` requests at once, then `qps` a second; nobody goes before `paused_until`. The time is given."""

    qps: float
    burst: int
    _tokens: float = field(init=False)
    _at: float | None = field(default=None, init=False)
    paused_until: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._tokens = float(self.burst)

    def take(self, now: float, *, spared: float = 0.0) -> float:
        """Take a token, which may be one of the future; seconds until it is there, and `spared` others with it."""
        if self._at is not None:
            self._tokens = min(float(self.burst), self._tokens + self.qps * (now - self._at))
        self._at = now
        self._tokens -= 1.0
        return max(0.0, (spared - self._tokens) / self.qps)

    def pause(self, seconds: float, *, now: float) -> None:
        self.paused_until = max(self.paused_until, now + min(seconds, LONGEST_PAUSE_SECONDS))


class RateLimited(Layer):
    """Waits for a token before each request, and for the end of a pause that a server asked for."""

    def __init__(
        self,
        inner: KubeClient,
        *,
        qps: float,
        burst: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(inner)
        self._clock = clock
        self._sleep = sleep
        self._reads = TokenBucket(qps, burst)
        self._writes = TokenBucket(qps, burst)

    async def _reading(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        return await self._sent(self._reads, send)

    async def _writing(self, write: Write, send: Callable[[], Awaitable[Answer]]) -> Answer:
        spared = SPARED_SHARE * self._writes.burst if write.verb in LATER else 0.0
        return await self._sent(self._writes, send, spared=spared)

    async def _sent(self, bucket: TokenBucket, send: Callable[[], Awaitable[Answer]], *, spared: float = 0.0) -> Answer:
        for _ in range(MOST_TRIES - 1):
            await self._turn(bucket, spared)
            try:
                return await send()
            except Throttled as error:
                bucket.pause(error.retry_after_seconds, now=self._clock())
        await self._turn(bucket, spared)
        try:
            return await send()
        except Throttled as error:
            # The others wait; this request is the next round's.
            bucket.pause(error.retry_after_seconds, now=self._clock())
            raise

    async def _turn(self, bucket: TokenBucket, spared: float) -> None:
        seconds = bucket.take(self._clock(), spared=spared)
        # Others may have been put off meanwhile.
        while (seconds := max(seconds, bucket.paused_until - self._clock())) > 0:
            await self._sleep(seconds)
            seconds = 0.0
