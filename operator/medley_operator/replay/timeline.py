"""The course of a replay, a point each minute: load, replicas, what they cost, what waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medley_operator.replay.world import World


@dataclass(frozen=True, slots=True)
class Point:
    """`replicas`: pods with GPUs by variant; `ready`: pods that get requests. `unfinished`: requests that wait or
    run."""

    seconds: float
    replicas: Mapping[str, int]
    ready: int
    cost_per_hour: float
    unfinished: int


@dataclass(slots=True)
class Timeline:
    step_seconds: float = 60.0
    points: list[Point] = field(default_factory=list)

    def note(self, world: World) -> None:
        """Adds how the world is now."""
        world.advance()
        replicas: dict[str, int] = {}
        cost = 0.0
        for pod in world.cluster.pods.values():
            if pod.node:
                replicas[pod.workload.variant] = replicas.get(pod.workload.variant, 0) + 1
                cost += world.prices[pod.workload.pool].at(world.now) * pod.workload.gpus
        ready = sum(pod.ready for pod in world.cluster.pods.values())
        self.points.append(Point(world.now, replicas, ready, cost, world.unfinished_requests()))
