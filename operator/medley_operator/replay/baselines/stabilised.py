"""Wanted replicas over time, held back as a HorizontalPodAutoscaler does: windows of stabilisation, steps per period.

Up goes only as far as the least that was wanted within the window of scaling up, down only as far as the most within
that of scaling down (Kubernetes: "Horizontal Pod Autoscaling", stabilization window, scaling policies). Pure.

Apart: pace is tested without a world.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pace:
    """`up_share` and `up_pods`: the most that is added in `up_seconds`, whichever is more; `down_pods`: the most that
    is taken off in `down_seconds`, None: all at once. `up_window` and `down_window`: seconds of stabilisation."""

    up_window: float
    down_window: float
    up_share: float
    up_pods: int
    up_seconds: float
    down_pods: int | None
    down_seconds: float


@dataclass(slots=True)
class Stabilised:
    pace: Pace
    _wanted: list[tuple[float, int]] = field(default_factory=list)
    _moved: list[tuple[float, int]] = field(default_factory=list)
    """(time, change of replicas), as far back as a period reaches."""

    def step(self, now: float, current: int, wanted: int) -> int:
        """Replicas from now on, where `current` run and so many are wanted."""
        pace = self.pace
        longest = max(pace.up_window, pace.down_window)
        self._wanted = [entry for entry in self._wanted if entry[0] > now - longest] + [(now, wanted)]
        low = min(count for at, count in self._wanted if at == now or at > now - pace.up_window)
        high = max(count for at, count in self._wanted if at == now or at > now - pace.down_window)
        replicas = low if low > current else high if high < current else current
        self._moved = [entry for entry in self._moved if entry[0] > now - max(pace.up_seconds, pace.down_seconds)]
        if replicas > current:
            before = current - sum(move for at, move in self._moved if move > 0 and at > now - pace.up_seconds)
            replicas = min(replicas, before + max(math.ceil(before * pace.up_share), pace.up_pods))
            replicas = max(replicas, current)
        if replicas < current and pace.down_pods is not None:
            gone = -sum(move for at, move in self._moved if move < 0 and at > now - pace.down_seconds)
            replicas = min(max(replicas, current - max(pace.down_pods - gone, 0)), current)
        if replicas != current:
            self._moved.append((now, replicas - current))
        return replicas
