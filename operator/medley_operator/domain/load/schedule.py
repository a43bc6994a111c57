"""Known events of a service's load: which is in force when, and what a rate is without them. Pure.

Rates are kept without the events, so that one that ends leaves no jump in the history that forecasts learn from. An
event may begin or end a little early or late: near its edges no rate says what it would be without, and the one of
before counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from medley_operator.api.v1alpha1 import LLMService, ScheduledEvent, ScheduleStatus
from medley_operator.domain.values.leadtime import unix_seconds, utc_text

LATE_SECONDS = 600.0
"""An event may begin and end so long before or after its time."""


@dataclass(frozen=True, slots=True)
class LoadEvent:
    """`start`, `end`: of the first one, on the clock of its schedule; `every_seconds`: from one to the next, None where
    it comes once."""

    label: str
    start: float
    end: float
    factor: float
    every_seconds: float | None

    def last_start(self, at_seconds: float) -> float | None:
        """When the latest one has begun by then; None before the first."""
        if at_seconds < self.start or self.every_seconds is None:
            return None if at_seconds < self.start else self.start
        return self.start + math.floor((at_seconds - self.start) / self.every_seconds) * self.every_seconds

    def next_start(self, at_seconds: float) -> float | None:
        """When the next one begins after then."""
        last = self.last_start(at_seconds)
        if last is None:
            return self.start
        return None if self.every_seconds is None else last + self.every_seconds

    def in_force(self, at_seconds: float) -> bool:
        last = self.last_start(at_seconds)
        return last is not None and at_seconds < last + self.seconds

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def edges(self, after: float, until: float) -> Iterator[float]:
        """The times in between, `until` included, at which one begins or ends, in their order."""
        last = self.last_start(after)
        start = self.start if last is None else last
        while start <= until:
            for edge in (start, start + self.seconds):
                if after < edge <= until:
                    yield edge
            if self.every_seconds is None:
                return
            start += self.every_seconds

    def overlaps(self, other: LoadEvent) -> bool:
        """Whether both are ever in force at once."""
        if self.every_seconds is None and other.every_seconds is None:
            return self.start < other.end and other.start < self.end
        if self.every_seconds is not None and other.every_seconds is not None:
            # Both go on for ever, and a week is seven days: they meet where they do within the shorter period.
            period = min(self.every_seconds, other.every_seconds)
            return (other.start - self.start) % period < self.seconds or (
                self.start - other.start
            ) % period < other.seconds
        once, often = (self, other) if self.every_seconds is None else (other, self)
        coming = often.next_start(once.start)
        return often.in_force(once.start) or (coming is not None and coming < once.end)


@dataclass(frozen=True, slots=True)
class LoadSchedule:
    """The events of one service, of which no two are in force at once. `ahead_of_unix`: what their clock shows more
    than Unix seconds."""

    events: tuple[LoadEvent, ...] = ()
    ahead_of_unix: float = 0.0

    @classmethod
    def of(cls, service: LLMService, *, at_seconds: float, unix_seconds: float) -> LoadSchedule:
        """On the clock of `at_seconds`, which shows the same moment as `unix_seconds`."""
        ahead = at_seconds - unix_seconds
        given = service.spec.workload.schedule
        return cls(tuple(_event(place, each, ahead) for place, each in enumerate(given)), ahead)

    def contradiction(self) -> tuple[int, int] | None:
        """The places of two events that are in force at once."""
        places = enumerate(self.events)
        return next(((a, b) for (a, one), (b, other) in combinations(places, 2) if one.overlaps(other)), None)

    def factor_at(self, at_seconds: float) -> float:
        found = self._in_force(at_seconds)
        return 1.0 if found is None else found.factor

    def most_factor(self, start: float, end: float) -> float:
        """The largest factor from one time to the other, both included."""
        return max(map(self.factor_at, (start, *self._edges(start, end))))

    def usual_rps(self, rate_rps: float, at_seconds: float, *, window_seconds: float, kept_at: float | None) -> float:
        """The rate without the events; NaN near an edge of one, unless the last rate that was kept (`kept_at`) is too
        old to go on with."""
        since, near = at_seconds - window_seconds, LATE_SECONDS
        if not self._edges(since - near, at_seconds + near):
            return rate_rps / self.factor_at(at_seconds)
        if kept_at is not None and at_seconds - kept_at <= 2 * (window_seconds + 2 * near):
            return math.nan
        times = (since, *self._edges(since, at_seconds), at_seconds)
        weighed = sum(self.factor_at(a) * (b - a) for a, b in pairwise(times))
        return rate_rps * window_seconds / weighed

    def usual_history(
        self, history: Sequence[tuple[float, float]], *, window_seconds: float
    ) -> Sequence[tuple[float, float]]:
        """The rates without the events, less those near an edge."""
        if not self.events:
            return history
        usual = ((at, self.usual_rps(rate, at, window_seconds=window_seconds, kept_at=at)) for at, rate in history)
        return [(at, rate) for at, rate in usual if not math.isnan(rate)]

    def status(self, at_seconds: float) -> ScheduleStatus | None:
        """The event in force and the next one; None where nothing is left."""
        now = self._in_force(at_seconds)
        coming = [(start, each) for each in self.events if (start := each.next_start(at_seconds)) is not None]
        starts, after = min(coming, key=lambda each: each[0], default=(0.0, None))
        if now is None and after is None:
            return None
        ends = 0.0 if now is None else (now.last_start(at_seconds) or 0.0) + now.seconds
        return ScheduleStatus(
            event=None if now is None else now.label,
            factor=None if now is None else f"{now.factor:g}",
            until=None if now is None else utc_text(ends - self.ahead_of_unix),
            next_event=None if after is None else after.label,
            next_factor=None if after is None else f"{after.factor:g}",
            next_at=None if after is None else utc_text(starts - self.ahead_of_unix),
        )

    def _in_force(self, at_seconds: float) -> LoadEvent | None:
        return next((event for event in self.events if event.in_force(at_seconds)), None)

    def _edges(self, after: float, until: float) -> list[float]:
        return sorted(edge for event in self.events for edge in event.edges(after, until))


def _event(place: int, given: ScheduledEvent, ahead_of_unix: float) -> LoadEvent:
    start, end = ((unix_seconds(text) or 0.0) + ahead_of_unix for text in (given.start, given.end))
    every = given.repeat.seconds
    return LoadEvent(
        label=given.name or f"schedule[{place}]",
        start=start,
        end=end,
        factor=given.load_factor,
        every_seconds=None if every is None else float(every),
    )
