"""Stretches whose load is more than any fleet within the limits serves, cut to what a plan of it serves.

Apart: schedules serve the whole load; this is for callers whose load may be too large for their limits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medley_planner.model import Demand, Problem
from medley_planner.optimize import plan
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import shared_room
from medley_planner.optimize.validate.problem import validate
from medley_planner.over_time.billing import BilledParts, Stretch
from medley_planner.over_time.fleets_served import most_needed, serve, within_limits

_MARGIN = 1e-6
"""Relative. So much less than the plan serves is asked, so that no rounding makes it too much."""


def within_reach(problem: Problem, stretches: Sequence[Stretch]) -> list[Stretch]:
    """The stretches, each with as much of its demand as a plan of the problem's one service serves of it.

    Raises `InvalidProblem` for a problem that is not sound, or with more than one service.
    """
    kept = {demand: _within_reach(problem, demand) for demand in {stretch.demand for stretch in stretches}}
    return [replace(stretch, demand=kept[stretch.demand]) for stretch in stretches]


def _within_reach(problem: Problem, demand: Demand) -> Demand:
    service = replace(BilledParts.of(problem).service, demand=demand)
    validate(replace(problem, services=(service,)))
    room = shared_room(problem)
    task = prepare(service, room).first
    # One variant alone often serves all, which is seen sooner than a plan is made.
    alone = np.diag(np.array([most_needed(task, place) for place in range(len(service.variants))], np.int64))
    if (serve(task, alone) & within_limits(service, room, alone)).any():
        return demand
    idle = tuple(replace(variant, current_replicas=0, startup_seconds=0.0) for variant in service.variants)
    made = plan(replace(problem, services=(replace(service, variants=idle),)))
    lost = {part.bucket: 0.0 for part in made.services[0].unserved}
    for part in made.services[0].unserved:
        lost[part.bucket] += part.rate_rps
    if not lost:
        return demand
    rates = [
        max(demand.bucket_rate_rps(bucket) - lost.get(bucket, 0.0), 0.0) * (1 - _MARGIN)
        for bucket in range(len(demand.buckets))
    ]
    total = math.fsum(rates)
    if total <= 0.0:
        return replace(demand, rate_rps=0.0)
    return replace(demand, rate_rps=total, shares=tuple(rate / total for rate in rates))
