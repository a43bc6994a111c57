"""The mixed-integer program of the services that are planned together.

For service s, variant j, class c of requests that the router cannot tell apart: y_sj whole replicas, x_sjc the share of
class c that variant j gets, W_sjc the load in replicas that all of class c would put on variant j.

  by size     sum_j x_jc = 1,  sum_c W_jc x_jc <= y_j     (a class is a bucket, or of an InferencePool a prompt size)
  HTTPRoute   one class, so with w_j its shares and sum_j w_j = 1:  sum_j y_j / W_j >= 1
  Service     x_j = y_j / n with n = sum_j y_j, so for every variant in use:  n >= W_j; of the variants one is the
              slowest in use, and with it chosen (z_k) there are at least W_k of those that are no slower

with y within the limits of variants and services, the services' own requirements (`task/rules.py`) and what is shared:
GPUs, places on nodes, watts. Pools that are paid by the node have a whole number of nodes instead of a price for each
replica. Demand and minima can be made soft (u: the part of demand not served, v: replicas short of a minimum) for when
not everything fits. Coefficients are tightened by what y being whole allows (a replica that can carry everything counts
as exactly enough); this also keeps every row near 1, so that the solver's tolerances mean the same for 0.01 and for a
million requests per second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from medley_planner.model import Priority
from medley_planner.optimize.program.linear_program import ProgramBuilder
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.nodes import paid_by_node
from medley_planner.optimize.task.rules import REQUIREMENTS, most_replicas, spare
from medley_planner.optimize.task.task import Task

_FAINT = 1e-4
"""A class with less load than this could hide on zero replicas within the solver's tolerance; it gets a row."""
_NO_LOAD = 1e-11
"""Below the solver's precision; such a class only has to go where there is a replica."""


@dataclass(frozen=True, slots=True)
class Formulation:
    """The rows, where each task's replica columns are, and the objectives, by column."""

    builder: ProgramBuilder
    replicas: list[list[int]] = field(default_factory=list)
    cost: dict[int, float] = field(default_factory=dict)
    unmet: dict[Priority, dict[int, float]] = field(default_factory=dict)
    """Part of all demand that is not served, in [0, 1], by priority."""
    shortfall: dict[int, float] = field(default_factory=dict)
    """Replicas short of the minima."""
    shared: dict[int, int] = field(default_factory=dict)
    """Row of the program by row of the room."""

    def leave_out(self, task: Task, rate_rps: float, demand_rps: float) -> int:
        """A column for the part of `rate_rps` that is left out, at its priority."""
        column = self.builder.column(upper=1.0)
        self.unmet.setdefault(task.service.priority, {})[column] = rate_rps / demand_rps
        return column


def formulate(tasks: Sequence[Task], room: Room, *, soft_demand: bool, soft_minima: bool) -> Formulation:
    """The program of `tasks` within `room`."""
    made = Formulation(ProgramBuilder())
    demand_rps = math.fsum(task.rate_rps for task in tasks)
    for task in tasks:
        columns = _add_replicas(made, task, soft_minima=soft_minima)
        if task.rate_rps > 0:
            _add_load(made, task, columns, demand_rps if soft_demand else None)
    _add_shared(made, tasks, room)
    _add_nodes(made, tasks, room)
    return made


def _add_shared(made: Formulation, tasks: Sequence[Task], room: Room) -> None:
    rows: dict[int, dict[int, float]] = {}
    for task, columns in zip(tasks, made.replicas, strict=True):
        for variant, column in zip(task.variants, columns, strict=True):
            for row, amount in room.uses(variant):
                rows.setdefault(row, {})[column] = amount
    for row in sorted(rows):
        # In units of the largest use, so that watts and GPUs mean the same to the solver's tolerances.
        unit = max(rows[row].values())
        made.shared[row] = len(made.builder.row_lower)
        made.builder.row({column: use / unit for column, use in rows[row].items()}, upper=room.left[row] / unit)


def _add_nodes(made: Formulation, tasks: Sequence[Task], room: Room) -> None:
    for name, pool in paid_by_node(room.pools).items():
        price = pool.node_price
        sizes: dict[int, list[int]] = {}
        for task, columns in zip(tasks, made.replicas, strict=True):
            for variant, column, own in zip(task.variants, columns, task.cost, strict=True):
                if variant.pool == name and price is not None:
                    sizes.setdefault(variant.gpus_per_replica, []).append(column)
                    made.cost[column] = made.cost[column] - own
        if price is None or not sizes:
            continue
        nodes = made.builder.column(upper=math.inf if price.max_nodes is None else float(price.max_nodes), integer=True)
        made.cost[nodes] = price.cost_per_hour
        for size in sizes:
            places = price.gpus // size
            if places:
                taken = {column: other / size for other, found in sizes.items() if other >= size for column in found}
                made.builder.row(taken | {nodes: -float(places)}, upper=0.0)


def _add_replicas(made: Formulation, task: Task, *, soft_minima: bool) -> list[int]:
    service = task.service
    columns = [
        made.builder.column(upper=most_replicas(task, index), integer=True) for index in range(len(task.variants))
    ]
    made.replicas.append(columns)
    made.cost.update(zip(columns, task.cost, strict=True))
    _add_switching(made.builder, task, columns, made.cost)
    minima = [({column: 1.0}, variant.min_replicas) for column, variant in zip(columns, task.variants, strict=True)]
    minima.append((dict.fromkeys(columns, 1.0), service.min_replicas))
    lasting = {column: 1.0 for column, spot in zip(columns, task.spot, strict=True) if not spot}
    minima.append((lasting, service.on_demand_min_replicas))
    for terms, least in minima:
        if least == 0:
            continue
        if soft_minima:
            short = made.builder.column(upper=float(least))
            made.shortfall[short] = 1.0
            terms = terms | {short: 1.0}
        made.builder.row(terms, lower=float(least))
    if service.max_replicas is not None:
        made.builder.row(dict.fromkeys(columns, 1.0), upper=float(service.max_replicas))
    _add_requirements(made.builder, task, columns)
    return columns


def _add_switching(builder: ProgramBuilder, task: Task, columns: Sequence[int], cost: dict[int, float]) -> None:
    """Each replica beyond the current ones costs what its start is charged."""
    for column, price, running in zip(columns, task.starting, task.current, strict=True):
        if price <= 0:
            continue
        if running == 0:
            cost[column] += price
            continue
        started = builder.column()
        builder.row({started: 1.0, column: -1.0}, lower=-float(running))
        cost[started] = price


def _add_requirements(builder: ProgramBuilder, task: Task, columns: Sequence[int]) -> None:
    """The rows that the service's own requirements make of its replica columns, whatever its routing."""
    for requirement in REQUIREMENTS:
        rows = requirement.rows(task) if requirement.binds(task) else []
        switch = builder.column(upper=1.0, integer=True) if any(row.switch for row in rows) else None
        for row in rows:
            terms = {columns[index]: weight for index, weight in row.weights.items()}
            if switch is not None:
                terms[switch] = row.switch
            builder.row(terms, lower=row.lower, upper=row.upper)


def _add_load(made: Formulation, task: Task, columns: list[int], demand_rps: float | None) -> None:
    if task.service.routing.equal_pods:
        _add_equal_pods(made, task, columns, demand_rps)
    elif task.blind:
        _add_by_weight(made, task, columns, demand_rps)
    else:
        _add_by_class(made, task, columns, demand_rps)


def _used(made: Formulation, task: Task, index: int, column: int) -> int:
    """A column that is 1 where the variant has replicas."""
    used = made.builder.column(upper=1.0, integer=True)
    made.builder.row({column: 1.0, used: -most_replicas(task, index)}, upper=0.0)
    return used


def _add_by_weight(made: Formulation, task: Task, columns: list[int], demand_rps: float | None) -> None:
    work = {
        index: total
        for index, (total, able) in enumerate(zip(task.total_work(), task.able, strict=True))
        if able and math.isfinite(total)
    }
    scale = max(1.0, min(work.values(), default=1.0))
    parts = {index: scale / max(1.0, total) for index, total in work.items()}
    terms = {columns[index]: part for index, part in parts.items()}
    if demand_rps is not None:
        terms[made.leave_out(task, task.rate_rps, demand_rps)] = scale
    if not spare(task):
        made.builder.row(terms, lower=scale)
        return
    for index, part in parts.items():
        used = _used(made, task, index, columns[index])
        made.builder.row(terms | {used: -part}, lower=scale)
    if not parts:
        made.builder.row(terms, lower=scale)


def _add_equal_pods(made: Formulation, task: Task, columns: list[int], demand_rps: float | None) -> None:
    """One level for each variant that may be the slowest in use: who may be in use then, and how many must there be.

    Written level by level (a disjunction), as then the relaxation of one service is already exact; with one binary for
    each variant in use and n >= W_j instead, four services coupled by stock were not proven within ten seconds.
    """
    builder = made.builder
    lost = spare(task)
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
                most = min(most_replicas(task, index), float(_pods_at(task, math.ceil(needed) + lost)))
                builder.row({part: 1.0, level: -most}, upper=0.0)
        if demand_rps is None:
            builder.row(pods | {level: -float(math.ceil(needed) + lost)}, lower=0.0)
        else:
            unmet = made.leave_out(task, task.rate_rps, demand_rps)
            builder.row({unmet: 1.0, level: -1.0}, upper=0.0)
            terms = dict.fromkeys(pods, 1 / needed)
            builder.row(terms | {level: -1.0 - lost / needed, unmet: 1.0}, lower=0.0)
    builder.row(chosen, lower=1.0, upper=1.0)
    for terms in parts.values():
        builder.row(terms, lower=0.0, upper=0.0)


def _pods_at(task: Task, needed: int) -> int:
    """No cheapest plan has more of one variant at this level: enough for the level or for the largest minimum."""
    minima = (variant.min_replicas for variant in task.variants)
    return max(needed, task.service.min_replicas, task.service.on_demand_min_replicas, *minima)


def _add_by_class(made: Formulation, task: Task, columns: list[int], demand_rps: float | None) -> None:
    builder = made.builder
    whole: list[dict[int, float]] = [{} for _ in task.classes]
    for index, column in enumerate(columns):
        loads = [float(load) for load in task.work[index]]
        served = [number for number, load in enumerate(loads) if math.isfinite(load)]
        if not (task.able[index] and served):
            continue
        # With N+1 the load of a variant in use must fit on one replica less.
        room = {column: -1.0}
        if spare(task):
            room[_used(made, task, index, column)] = float(spare(task))
        scale = min(1.0, math.fsum(loads[number] for number in served)) or 1.0
        terms: dict[int, float] = {}
        faint: dict[int, float] = {}
        for number in served:
            share = builder.column(upper=1.0)
            whole[number][share] = 1.0
            load = loads[number] / scale
            if load > _NO_LOAD:
                terms[share] = load
            if load < _FAINT:
                faint[share] = 1.0
        builder.row(terms | room, upper=0.0)
        if faint:
            builder.row({share: 1 / len(faint) for share in faint} | room, upper=0.0)
    for number, shares in enumerate(whole):
        if demand_rps is not None:
            shares[made.leave_out(task, task.rates[number], demand_rps)] = 1.0
        builder.row(shares, lower=1.0, upper=1.0)
