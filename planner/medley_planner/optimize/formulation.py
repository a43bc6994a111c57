"""The mixed-integer program of the services that are planned together.

For service s, variant j, bucket b: y_sj whole replicas, x_sjb the share of bucket b that variant j gets, W_sjb the load
in replicas that all of bucket b would put on variant j (rate / (capacity x utilisation limit)).

  PerBucket   sum_j x_jb = 1,  sum_b W_jb x_jb <= y_j
  HTTPRoute   x_jb = w_j for all b and sum_j w_j = 1, so with W_j = sum_b W_jb:  sum_j y_j / W_j >= 1
  Service     x_jb = y_j / n with n = sum_j y_j, so for every variant in use:  n >= W_j; of the variants one is the
              slowest in use, and with it chosen (z_k) there are at least W_k of those that are no slower

with y within the limits of variants and services and the GPUs of each pool within its stock. Demand and minima can be
made soft (u: the part of demand not served, v: replicas short of a minimum) for when not everything fits. Coefficients
are tightened by what y being whole allows (a replica that can carry everything counts as exactly enough); this also
keeps every row near 1, so that the solver's tolerances mean the same for 0.01 and for a million requests per second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medley_planner.model import RoutingMode
from medley_planner.optimize.program import ProgramBuilder
from medley_planner.optimize.task import Task

_FAINT = 1e-4
"""A bucket with less load than this could hide on zero replicas within the solver's tolerance; it gets a row."""
_NO_LOAD = 1e-11
"""Below the solver's precision; such a bucket only has to go where there is a replica."""


@dataclass(frozen=True, slots=True)
class Formulation:
    """The rows, where each task's replica columns are, and three objectives, by column."""

    builder: ProgramBuilder
    replicas: list[list[int]] = field(default_factory=list)
    shortfalls: list[list[int]] = field(default_factory=list)
    cost: dict[int, float] = field(default_factory=dict)
    unmet: dict[int, float] = field(default_factory=dict)
    """Part of all demand that is not served, in [0, 1]."""
    shortfall: dict[int, float] = field(default_factory=dict)
    """Replicas short of the minima."""


def formulate(tasks: Sequence[Task], stocks: Mapping[str, int], *, soft_demand: bool, soft_minima: bool) -> Formulation:
    """The program of `tasks` on pools of which those in `stocks` are finite."""
    made = Formulation(ProgramBuilder())
    demand_rps = math.fsum(task.rate_rps for task in tasks)
    for task in tasks:
        columns = _add_replicas(made, task, soft_minima=soft_minima)
        if task.rate_rps > 0:
            weight = 1 / demand_rps
            _ADD_LOAD[task.service.routing](made, task, columns, weight if soft_demand else None)
    for pool, stock in sorted(stocks.items()):
        gpus = {
            column: float(variant.gpus_per_replica)
            for task, columns in zip(tasks, made.replicas, strict=True)
            for variant, column in zip(task.variants, columns, strict=True)
            if variant.pool == pool
        }
        if gpus:
            made.builder.row(gpus, upper=float(stock))
    return made


def _add_replicas(made: Formulation, task: Task, *, soft_minima: bool) -> list[int]:
    service = task.service
    columns = [
        made.builder.column(upper=_most_replicas(task, index), integer=True) for index in range(len(task.variants))
    ]
    made.replicas.append(columns)
    made.cost.update((column, variant.cost_per_hour) for column, variant in zip(columns, task.variants, strict=True))
    minima = [({column: 1.0}, variant.min_replicas) for column, variant in zip(columns, task.variants, strict=True)]
    minima.append((dict.fromkeys(columns, 1.0), service.min_replicas))
    short: list[int] = []
    for terms, least in minima:
        if least == 0:
            continue
        if soft_minima:
            short.append(made.builder.column(upper=float(least)))
            made.shortfall[short[-1]] = 1.0
            terms = terms | {short[-1]: 1.0}
        made.builder.row(terms, lower=float(least))
    made.shortfalls.append(short)
    if service.max_replicas is not None:
        made.builder.row(dict.fromkeys(columns, 1.0), upper=float(service.max_replicas))
    return columns


def _most_replicas(task: Task, index: int) -> float:
    """No cheapest plan has more: enough for all the demand, or for a minimum; none where it cannot serve."""
    variant = task.variants[index]
    if not task.able[index]:
        return min(task.caps[index], float(variant.min_replicas))
    if task.service.routing is RoutingMode.SERVICE:
        work = max(
            (total for total, cap in zip(task.total_work(), task.caps, strict=True) if cap >= 1 and total < math.inf),
            default=0.0,
        )
    else:
        work = math.fsum(float(load) for load in task.work[index] if math.isfinite(load))
    enough = max(math.ceil(work), variant.min_replicas, task.service.min_replicas)
    return min(task.caps[index], float(enough))


def _add_http_route(made: Formulation, task: Task, columns: list[int], weight: float | None) -> None:
    work = {
        column: total
        for column, total, able in zip(columns, task.total_work(), task.able, strict=True)
        if able and math.isfinite(total)
    }
    scale = max(1.0, min(work.values()))
    terms = {column: scale / max(1.0, total) for column, total in work.items()}
    if weight is not None:
        unmet = made.builder.column(upper=1.0)
        made.unmet[unmet] = weight * task.rate_rps
        terms[unmet] = scale
    made.builder.row(terms, lower=scale)


def _add_service(made: Formulation, task: Task, columns: list[int], weight: float | None) -> None:
    """One level for each variant that may be the slowest in use: who may be in use then, and how many must there be.

    Written level by level (a disjunction), as then the relaxation of one service is already exact; with one binary for
    each variant in use and n >= W_j instead, four services coupled by stock were not proven within ten seconds.
    """
    builder = made.builder
    work = {
        index: max(1.0, total)
        for index, total in enumerate(task.total_work())
        if task.able[index] and task.caps[index] >= 1 and math.isfinite(total)
    }
    chosen: dict[int, float] = {}
    parts: dict[int, dict[int, float]] = {index: {columns[index]: -1.0} for index in work}
    for needed in work.values():
        level = builder.column(upper=1.0, integer=True)
        chosen[level] = 1.0
        pods: dict[int, float] = {}
        for index in work:
            if work[index] <= needed:
                part = builder.column()
                pods[part] = 1.0
                parts[index][part] = 1.0
                most = min(_most_replicas(task, index), float(_pods_at(task, needed)))
                builder.row({part: 1.0, level: -most}, upper=0.0)
        if weight is None:
            builder.row(pods | {level: -float(math.ceil(needed))}, lower=0.0)
        else:
            unmet = builder.column(upper=1.0)
            made.unmet[unmet] = weight * task.rate_rps
            builder.row({unmet: 1.0, level: -1.0}, upper=0.0)
            terms = dict.fromkeys(pods, 1 / needed)
            builder.row(terms | {level: -1.0, unmet: 1.0}, lower=0.0)
    builder.row(chosen, lower=1.0, upper=1.0)
    for terms in parts.values():
        builder.row(terms, lower=0.0, upper=0.0)


def _pods_at(task: Task, needed: float) -> int:
    """No cheapest plan has more of one variant at this level: enough for the level or for the larger minimum."""
    return max(math.ceil(needed), task.service.min_replicas, *(variant.min_replicas for variant in task.variants))


def _add_per_bucket(made: Formulation, task: Task, columns: list[int], weight: float | None) -> None:
    builder = made.builder
    whole: list[dict[int, float]] = [{} for _ in task.buckets]
    for index, column in enumerate(columns):
        loads = [float(load) for load in task.work[index]]
        served = [bucket for bucket, load in enumerate(loads) if math.isfinite(load)]
        if not (task.able[index] and served):
            continue
        scale = min(1.0, math.fsum(loads[bucket] for bucket in served)) or 1.0
        terms: dict[int, float] = {}
        faint: dict[int, float] = {}
        for bucket in served:
            share = builder.column(upper=1.0)
            whole[bucket][share] = 1.0
            load = loads[bucket] / scale
            if load > _NO_LOAD:
                terms[share] = load
            if load < _FAINT:
                faint[share] = 1.0
        builder.row(terms | {column: -1.0}, upper=0.0)
        if faint:
            builder.row({share: 1 / len(faint) for share in faint} | {column: -1.0}, upper=0.0)
    for bucket, shares in enumerate(whole):
        if weight is not None:
            unmet = builder.column(upper=1.0)
            made.unmet[unmet] = weight * task.rates[bucket]
            shares[unmet] = 1.0
        builder.row(shares, lower=1.0, upper=1.0)


_ADD_LOAD = {
    RoutingMode.HTTP_ROUTE: _add_http_route,
    RoutingMode.SERVICE: _add_service,
    RoutingMode.PER_BUCKET: _add_per_bucket,
}
