"""Rows of the program that a service's own rules make of its replica columns, whatever its routing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medley_planner.optimize.program.linear_program import ProgramBuilder
from medley_planner.optimize.task.rules import limits_spot, zone_rows
from medley_planner.optimize.task.task import Task


def most_replicas(task: Task, index: int) -> float:
    """No cheapest plan has more: enough for all the demand, for a minimum or for a rule; none where it cannot serve."""
    service, variant = task.service, task.variants[index]
    if not task.able[index]:
        return min(task.caps[index], float(variant.min_replicas))
    enough = _carrying(task, index)
    if limits_spot(task) and not task.spot[index] and service.spot_max_share > 0:
        # Replicas outside of spot pools may be there only to allow for those inside.
        most_spot = max((_carrying(task, other) for other, spot in enumerate(task.spot) if spot), default=0)
        enough = max(enough, math.ceil(most_spot * (1 - service.spot_max_share) / service.spot_max_share))
    minima = (variant.min_replicas, service.min_replicas, service.on_demand_min_replicas)
    return min(task.caps[index], float(max(enough, *minima)))


def _carrying(task: Task, index: int) -> int:
    """As many as carry all the demand; one more of N+1."""
    if task.service.routing.equal_pods:
        # Pods may be added for the sake of a slower variant's part, up to the largest minimum.
        work = max(
            (total for total, cap in zip(task.total_work(), task.caps, strict=True) if cap >= 1 and total < math.inf),
            default=0.0,
        )
    elif task.work.shape[1] == 1:
        work = float(task.work[index, 0])
        work = work if math.isfinite(work) else 0.0
    else:
        work = math.fsum(float(load) for load in task.work[index] if math.isfinite(load))
    return math.ceil(work) + (1 if task.service.n_plus_one else 0)


def add_switching(builder: ProgramBuilder, task: Task, columns: Sequence[int], cost: dict[int, float]) -> None:
    """Each replica beyond the current ones costs its start-up time against the horizon."""
    for column, price, running in zip(columns, task.starting, task.current, strict=True):
        if price <= 0:
            continue
        if running == 0:
            cost[column] += price
            continue
        started = builder.column()
        builder.row({started: 1.0, column: -1.0}, lower=-float(running))
        cost[started] = price


def add_rules(builder: ProgramBuilder, task: Task, columns: Sequence[int]) -> None:
    """Spot share, budget and zone spread."""
    service = task.service
    if limits_spot(task):
        share = service.spot_max_share
        builder.row(
            {column: (1.0 if spot else 0.0) - share for column, spot in zip(columns, task.spot, strict=True)}, upper=0.0
        )
    if service.max_cost_per_hour is not None and columns:
        unit = max(task.cost)
        terms = {column: price / unit for column, price in zip(columns, task.cost, strict=True)}
        builder.row(terms, upper=service.max_cost_per_hour / unit)
    if service.zone_spread and columns:
        most = math.fsum(most_replicas(task, index) for index in range(len(columns)))
        several = builder.column(upper=1.0, integer=True)
        builder.row(dict.fromkeys(columns, 1.0) | {several: 1.0 - max(1.0, most)}, upper=1.0)
        for outside in zone_rows(task):
            builder.row({columns[index]: 1.0 for index in outside} | {several: -1.0}, lower=0.0)
