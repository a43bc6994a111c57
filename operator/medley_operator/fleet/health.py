"""Is the loop alive? Two probes that follow from when rounds end. Pure; the clock is injected."""

from __future__ import annotations

from collections.abc import Callable

from medley_operator.metrics.server import Probe

LEAST_LIMIT_SECONDS = 180.0


class Heartbeat:
    """The loop reports each round that ends; the threads of the metrics server ask."""

    def __init__(self, *, resync_seconds: float, clock: Callable[[], float]) -> None:
        self._limit_seconds = max(LEAST_LIMIT_SECONDS, 3 * resync_seconds)
        self._clock = clock
        self._last = clock()
        self._degraded = ""
        self._error = "no round has ended yet"

    def beat(self, *, error: str = "") -> None:
        """A round ended; `error` says why it failed, empty where it did not."""
        self._last = self._clock()
        self._error = error

    def degrade(self, reason: str) -> None:
        """Rounds go on without something that they should have; empty: they have all."""
        self._degraded = reason

    def healthy(self) -> Probe:
        """A loop that fails is alive: restarting it would cure nothing. One that ends no round is stuck."""
        age = self._clock() - self._last
        if age > self._limit_seconds:
            return Probe(False, f"no round has ended for {age:.0f} s (limit {self._limit_seconds:.0f} s)")
        return Probe(True, f"last round failed: {self._error}" if self._error else "ok")

    def ready(self) -> Probe:
        """Ready while rounds do not fail and see all that they should."""
        reason = self._error or self._degraded
        return Probe(False, f"not ready: {reason}") if reason else self.healthy()
