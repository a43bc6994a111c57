"""The mixed-integer program of the services that are planned together.

For service s, variant j, class c of requests that the router cannot tell apart: y_sj whole replicas, x_sjc the share of
class c that variant j gets, W_sjc the load in replicas that all of class c would put on variant j.

  by size     sum_j x_jc = 1,  sum_c W_jc x_jc <= y_j     (a class is a bucket, or of an InferencePool a prompt size)
  HTTPRoute   one class, so with w_j its shares and sum_j w_j = 1:  sum_j y_j / W_j >= 1
  Service     x_j = y_j / n with n = sum_j y_j, so for every variant in use:  n >= W_j. z_k = 1 says that variant k is
              the slowest in use. Then at least W_k replicas are of variants that are no slower than k. A variant that
              cannot serve the load has no replica: it would get a part of the load

These rows are in `load_rows.py`. With y within the limits of variants and services, the services' own requirements
(`task/rules.py`) and what is shared: GPUs, places on nodes, watts. Pools that are paid by the node have a whole number
of nodes instead of a price for each replica. Demand and minima can be made soft (u: the part of demand not served, v:
replicas short of a minimum) for when not everything fits; then what is served of a class may be chosen as well.
Coefficients are tightened by what y being whole allows (a replica that can carry everything counts as exactly enough);
this also keeps every row near 1, so that the solver's tolerances mean the same for 0.01 and for a million requests per
second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from medley_planner.model import Priority
from medley_planner.optimize.program.linear_program import ProgramBuilder
from medley_planner.optimize.program.load_rows import add_load
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.nodes import paid_by_node
from medley_planner.optimize.task.rules import REQUIREMENTS, most_replicas
from medley_planner.optimize.task.task import Cut, Task


@dataclass(frozen=True, slots=True)
class Formulation:
    """The rows, where each task's replica columns are, and the objectives, by column."""

    builder: ProgramBuilder
    keep_running: bool = False
    """Whether replicas that run may stay though nothing needs them."""
    replicas: list[list[int]] = field(default_factory=list)
    cost: dict[int, float] = field(default_factory=dict)
    unmet: dict[Priority, dict[int, float]] = field(default_factory=dict)
    """Part of all demand that is not served, in [0, 1], by priority."""
    shortfall: dict[int, float] = field(default_factory=dict)
    """Replicas short of the minima."""
    shared: dict[int, int] = field(default_factory=dict)
    """Row of the program by row of the room."""

    limits: dict[Task, list[float]] = field(default_factory=dict)
    """No cheapest plan has more replicas, by variant."""
    choices: list[list[list[list[int]]]] = field(default_factory=list)
    """The columns of which one is 1 where a cut is taken, by task, class and cut; none where a cut is the only one."""

    def most(self, task: Task, index: int) -> float:
        """No replicas of the variant beyond these are of any use."""
        if task not in self.limits:
            self.limits[task] = most_replicas(task)
        most = self.limits[task][index]
        return max(most, min(task.caps[index], float(task.current[index]))) if self.keep_running else most

    def leave_out(self, task: Task, rate_rps: float, demand_rps: float) -> int:
        """A column for the part of `rate_rps` that is left out, at its priority."""
        column = self.builder.column(upper=1.0)
        self.count_unmet(task, column, rate_rps / demand_rps)
        return column

    def count_unmet(self, task: Task, column: int, part: float) -> None:
        """That so much of all demand is not served where the column is 1."""
        if part > 0:
            self.unmet.setdefault(task.service.priority, {})[column] = part


def formulate(
    tasks: Sequence[Task],
    room: Room,
    *,
    soft_demand: bool,
    soft_minima: bool,
    keep_running: bool = False,
    cuts: Sequence[list[list[Cut]]] | None = None,
) -> Formulation:
    """The program of `tasks` within `room`. `keep_running`: replicas that run may stay though nothing needs them.
    `cuts`: where demand is soft, what may be served of each class of each task, one of them each; by default what the
    task serves."""
    made = Formulation(ProgramBuilder(), keep_running=keep_running)
    given = [task.cuts() for task in tasks] if cuts is None else cuts
    demand_rps = math.fsum(each[0].rate_rps + each[0].rest_rps for classes in given for each in classes)
    for task, own in zip(tasks, given, strict=True):
        columns = _add_replicas(made, task, soft_minima=soft_minima)
        made.choices.append([[[] for _ in each] for each in own])
        if task.rate_rps > 0:
            add_load(made, task, columns, own, demand_rps if soft_demand else None)
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
    columns = [made.builder.column(upper=made.most(task, index), integer=True) for index in range(len(task.variants))]
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
