"""Faults as values: which calls one hits, and what it does to them. The proxy carries them out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from e2e.chaos.calls import WATCH, Call


class Effect(Enum):
    """The fault that a chosen call gets."""

    ANSWER = auto()
    """The API server never sees it; the client gets `status`."""
    LOSE_ANSWER = auto()
    """The API server answers, and the connection ends before the client hears of it."""
    CLOSE = auto()
    """The connection ends, and the API server never sees the call."""
    HANG = auto()
    """Nothing happens for `seconds`, and then the connection ends."""
    DELAY = auto()
    """It takes `seconds` longer."""
    STALE = auto()
    """A list is answered as the first list of that address was."""
    EXPIRE = auto()
    """A watch says 410 in its stream, as the API server does where history was compacted."""
    END_STREAM = auto()
    """A watch ends as if the connection broke."""
    MUTE = auto()
    """A watch says nothing more of what changes, and ends `seconds` later: what it did not say is never lost for good,
    as bytes within a connection are not."""
    DELAY_EVENTS = auto()
    """Each event of a watch comes `seconds` late."""
    KILL_BEFORE = auto()
    """The operator dies before the API server sees the call."""
    KILL_AFTER = auto()
    """The operator dies once the API server has answered."""


IN_STREAM = frozenset({Effect.EXPIRE, Effect.END_STREAM, Effect.MUTE, Effect.DELAY_EVENTS})
"""What strikes a watch that is under way, and not a request."""


@dataclass(slots=True)
class Fault:
    """Hits the calls that match from the `nth` on: `times` of them, or all that come within `lasts` seconds."""

    effect: Effect
    verbs: frozenset[str] = frozenset()
    """Empty: all but watches."""
    resource: str = ""
    """Empty: all."""
    writes: bool = False
    """Only calls that count as writes."""
    not_before: float = 0.0
    """Seconds from when the fault was made."""
    nth: int = 1
    times: int = 1
    lasts: float | None = None
    seconds: float = 0.0
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    made_at: float = field(default=0.0, init=False)
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)
    first_at: float | None = field(default=None, init=False)
    last_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.made_at = self.clock()

    def hit(self, call: Call) -> bool:
        """Counts a call; whether the fault strikes it."""
        if not self._matches(call):
            return False
        self.seen += 1
        if self.seen < self.nth or self.over:
            return False
        self.hits += 1
        self.last_at = self.clock()
        self.first_at = self.first_at or self.last_at
        return True

    @property
    def over(self) -> bool:
        """Whether it strikes no more."""
        if self.lasts is not None:
            return self.first_at is not None and self.clock() - self.first_at >= self.lasts
        return self.hits >= self.times

    @property
    def ended_at(self) -> float | None:
        """When what it does was over, in Unix seconds; None where it has not struck."""
        if self.first_at is None or self.last_at is None:
            return None
        return self.seconds + (self.last_at if self.lasts is None else self.first_at + self.lasts)

    def _matches(self, call: Call) -> bool:
        if self.clock() - self.made_at < self.not_before or (self.writes and not call.writes):
            return False
        if self.resource and call.resource != self.resource:
            return False
        return call.verb in self.verbs if self.verbs else call.verb != WATCH
