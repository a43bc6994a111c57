"""Is the operator alive, and does it do its work? Two probes that follow from what parts report. The clock is given.

Alive is what progresses: each step of a round and each write counts, however slow the API server is, because a restart
would meet the same server. Ready is a leader whose rounds succeed, or a follower that can see the Lease.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from medley_operator.metrics.server import Probe

LEAST_LIMIT_SECONDS = 180.0
"""Longer than one write may take with all its waits and tries."""
FAILED_ROUNDS = 3
FAILED_SECONDS = 60.0
"""So many rounds in a row, or rounds for so long, may fail before an operator that was ready is not."""
PART: ContextVar[str] = ContextVar("part", default="")
"""The loop that a task works for: one that goes on must not hide one that hangs."""


class Heartbeat:
    """The event loop's thread reports; the threads of the metrics server ask.

    `longest_step_seconds` is how long one step of a round may take where all is well, such as the solver.
    """

    def __init__(self, *, resync_seconds: float, clock: Callable[[], float], longest_step_seconds: float = 0.0) -> None:
        self._limit_seconds = max(LEAST_LIMIT_SECONDS, 3 * resync_seconds, longest_step_seconds + FAILED_SECONDS)
        self._clock = clock
        self._last = {PART.get(): clock()}
        self._degraded = ""
        self._succeeded = False
        self._failures = 0
        self._failing_since: float | None = None
        self._error = "no round has ended yet"
        self._following: Probe | None = None

    def begin(self, part: str) -> None:
        """The task that calls, and what it starts, works on that part from now on."""
        PART.set(part)
        self.progress()

    def rest(self) -> None:
        """The part of the task that calls has nothing to do until something happens."""
        self._last.pop(PART.get(), None)

    def progress(self) -> None:
        """Something went on in the part of the task that calls: a step, a write, a look at the Lease."""
        self._last[PART.get()] = self._clock()

    def follow(self, holder: str, error: str = "") -> None:
        """This replica waits for the Lease. `error` says why it cannot even see who leads."""
        self.progress()
        text = f"follower: cannot take part in leader election: {error}" if error else f"follower: {holder} leads"
        self._following = Probe(not error, text)

    def lead(self) -> None:
        """This replica leads from now on: each of its loops reports for itself."""
        self._last.clear()
        self._following = None

    def beat(self, *, error: str = "") -> None:
        """A round ended; `error` says why it failed, empty where it did not."""
        self.progress()
        self._succeeded = self._succeeded or not error
        self._failures = self._failures + 1 if error else 0
        if not error:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = self._clock()
        self._error = error

    def degrade(self, reason: str) -> None:
        """Rounds go on without something that they should have; empty: they have all."""
        self._degraded = reason

    def healthy(self) -> Probe:
        """A loop that fails is alive: restarting it would cure nothing. One in which nothing goes on is stuck."""
        age, part = max(((self._clock() - at, part) for part, at in list(self._last.items())), default=(0.0, ""))
        if age > self._limit_seconds:
            where = f" in the {part}" if part else ""
            return Probe(False, f"nothing has gone on{where} for {age:.0f} s (limit {self._limit_seconds:.0f} s)")
        if self._following is not None:
            return Probe(True, self._following.message)
        return Probe(True, f"last round failed: {self._error}" if self._error else "ok")

    def ready(self) -> Probe:
        """A leader is ready after the first round that did not fail, until several in a row do or one lacks something
        that it should see."""
        alive = self.healthy()
        if not alive.ok:
            return alive
        if self._following is not None:
            return self._following
        if not self._succeeded:
            return Probe(False, f"not ready: {self._error}")
        if self._degraded:
            return Probe(False, f"not ready: {self._degraded}")
        since = self._failing_since
        lasting = since is not None and self._clock() - since >= FAILED_SECONDS
        if self._failures >= FAILED_ROUNDS or lasting:
            return Probe(
                False, f"not ready: {self._failures} rounds in a row failed, the last one because {self._error}"
            )
        return alive
