"""The record that replicas keep while they run: what became of each request, and of each engine. Values only."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineState:
    """An engine at the end of a step. `steps` and `preemptions`: so far; `blocks`: of the KV cache
    that are taken; `running`: requests in the batch, with the tokens that each has generated; `waiting`: in the
    queue."""

    seconds: float = 0.0
    steps: int = 0
    preemptions: int = 0
    blocks: int = 0
    running: tuple[tuple[int, int], ...] = ()
    waiting: int = 0

    @classmethod
    def of(
        cls,
        now: float,
        steps: int,
        preemptions: int,
        used: int,
        running: dict[int, int],
        waiting: deque[int],
        generations: list[int],
    ) -> EngineState:
        """The locals of `replica`: they are fast to use because they are in no object."""
        generated = tuple(
            (request, generations[request] - ends_at + steps if ends_at else 0) for request, ends_at in running.items()
        )
        return cls(now, steps, preemptions, used, generated, len(waiting))


@dataclass(slots=True)
class Log:
    """Shared by the replicas while they run. Per request: seconds of arrival, and, written by them, of its schedule, of
    its first and last token, how much later than their steps its tokens come, and how often it was preempted."""

    arrivals: list[float]
    first_token: list[float]
    last_token: list[float]
    lag: list[float]
    scheduled: list[float]
    preempted: list[int]
    unfinished: list[int]
    """Per replica: requests waiting or running, which a least-loaded router looks at (it adds, replicas take off)."""
    batched: list[int]
    """Per replica: requests in the batch of the step that it is in."""
    blocks: list[int]
    """Per replica: blocks of its KV cache that were taken when the step began."""
    busy_seconds: list[float]
    steps: list[int]
    preemptions: list[int]
    states: list[EngineState]
    """Per replica: as it was noted last."""
    asked_at: float = 0.0
    """The time that states are noted for."""

    @classmethod
    def empty(cls, arrivals: list[float], *, replicas: int) -> Log:
        log = cls(
            arrivals=[],
            first_token=[],
            last_token=[],
            lag=[],
            scheduled=[],
            preempted=[],
            unfinished=[0] * replicas,
            batched=[0] * replicas,
            blocks=[0] * replicas,
            busy_seconds=[0.0] * replicas,
            steps=[0] * replicas,
            preemptions=[0] * replicas,
            states=[EngineState()] * replicas,
        )
        log.extend(arrivals)
        return log

    def extend(self, arrivals: list[float]) -> None:
        """Adds requests that arrive no earlier than those that are there."""
        unknown = [math.nan] * len(arrivals)
        self.arrivals.extend(arrivals)
        self.first_token.extend(unknown)
        self.last_token.extend(unknown)
        self.scheduled.extend(unknown)
        self.lag.extend([0.0] * len(arrivals))
        self.preempted.extend([0] * len(arrivals))
