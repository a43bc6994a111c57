"""When does the next round start? Events come in bursts; a round waits until they pause, but never for long.

A value machine without I/O and without a clock: each call gets the time, in seconds of any monotonic clock. The loop
sleeps as long as `seconds_until_due` says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

RESYNC = "resync"
RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Batch:
    """The cause of a round. `first_event_at` is None where no event did (a resync or a retry)."""

    reasons: dict[str, int]
    first_event_at: float | None


@dataclass(slots=True)
class Debounce:
    """`idle_seconds` after the last event, `max_seconds` after the first, `resync_seconds` after the last round."""

    idle_seconds: float
    max_seconds: float
    resync_seconds: float
    started_at: float
    _first_event_at: float | None = field(default=None, init=False)
    _last_event_at: float = field(default=0.0, init=False)
    _reasons: Counter[str] = field(default_factory=Counter, init=False)
    _retry_at: float | None = field(default=None, init=False)
    _resync_at: float | None = field(default=None, init=False)

    def mark(self, reason: str, *, now: float) -> None:
        """An event of that reason arrived at `now`."""
        if self._first_event_at is None:
            self._first_event_at = now
        self._last_event_at = max(now, self._last_event_at)
        self._reasons[reason] += 1

    def retry_in(self, delay_seconds: float, *, now: float) -> None:
        """A round failed: start another one after the delay even if nothing happens."""
        self._retry_at = now + delay_seconds

    def seconds_until_due(self, now: float) -> float:
        """Seconds until the next round may start; 0 where it is due. The very first round is due at once."""
        due = self.started_at if self._resync_at is None else self._resync_at
        if self._retry_at is not None:
            due = min(due, self._retry_at)
        if self._first_event_at is not None:
            due = min(due, self._last_event_at + self.idle_seconds, self._first_event_at + self.max_seconds)
        return max(0.0, due - now)

    def take(self, now: float) -> Batch:
        """Start a round: hands out what led to it and begins to gather anew."""
        reasons = dict(self._reasons)
        if not reasons:
            reasons = {RETRY if self._retry_at is not None and self._retry_at <= now else RESYNC: 1}
        batch = Batch(reasons=reasons, first_event_at=self._first_event_at)
        self._reasons.clear()
        self._first_event_at = None
        self._retry_at = None
        self._resync_at = now + self.resync_seconds
        return batch
