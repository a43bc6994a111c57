"""The cost per hour of a service's replicas, and the charge for starting new ones in the comparison of plans."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medley_planner.optimize.task.task import Task

_HOUR_SECONDS = 3600.0


def cost_per_hour(task: Task, replicas: Sequence[int]) -> float:
    return math.fsum(price * count for price, count in zip(task.cost, replicas, strict=True))


def switching_per_hour(task: Task, replicas: Sequence[int]) -> float:
    """The cost of starts by how long they are taken to stay, for each replica beyond the current ones."""
    return math.fsum(
        price * max(0, count - running)
        for price, count, running in zip(task.starting, replicas, task.current, strict=True)
    )


def start_cost(task: Task, replicas: Sequence[int]) -> float:
    """US dollars that each replica beyond the current ones is paid before it serves and when it no longer does."""
    seconds = math.fsum(
        max(0, count - running) * variant.cost_per_hour * (variant.startup_seconds + variant.drain_seconds)
        for variant, count, running in zip(task.variants, replicas, task.current, strict=True)
    )
    return seconds / _HOUR_SECONDS


def objective_per_hour(task: Task, replicas: Sequence[int]) -> float:
    """The figure by which plans are compared: cost and switching cost together."""
    return cost_per_hour(task, replicas) + switching_per_hour(task, replicas)


def changes(task: Task, replicas: Sequence[int]) -> int:
    """Replicas started or stopped."""
    return sum(abs(count - running) for count, running in zip(replicas, task.current, strict=True))
