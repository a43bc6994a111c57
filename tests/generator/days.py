"""A day of demand in steps: a curve with a low and a high, and noise on every bucket that is drawn anew each step."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

from medley_planner.model import Problem, Service

STEPS_A_DAY = 288


def day(
    problem: Problem, *, seed: int, steps: int = STEPS_A_DAY, noise: float = 0.1, trough: float = 0.4
) -> Iterator[Problem]:
    """The problem at each of `steps` over one day.

    Every bucket's rate is its own in `problem` (the day's high) x the curve x a factor drawn from 1 +- `noise`. The
    curve is one cosine from `trough` (at the first step) to 1 and back; `trough` 1 makes a flat day.
    """
    draw = random.Random(f"day {seed}")  # noqa: S311 - instances, not secrets
    for step in range(steps):
        curve = trough + (1 - trough) * (0.5 - 0.5 * math.cos(2 * math.pi * step / steps))
        yield replace(problem, services=tuple(_at(draw, service, curve, noise) for service in problem.services))


def _at(draw: random.Random, service: Service, curve: float, noise: float) -> Service:
    demand = service.demand
    weights = [share * draw.uniform(1 - noise, 1 + noise) for share in demand.shares]
    total = math.fsum(weights)
    shares = tuple(weight / total for weight in weights)
    return replace(service, demand=replace(demand, rate_rps=demand.rate_rps * curve * total, shares=shares))
