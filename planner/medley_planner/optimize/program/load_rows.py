"""The rows of the integer program by which replicas carry the load, by routing mode; the symbols are in `formulation`.

Where demand may be left out, of each class one cut k is taken (z_k = 1), and of it the part u_k is left out: with W of
the cut, sum_j x_jk = z_k - u_k by size and sum_j y_j / W_jk >= z_k - u_k by weight. Behind a Service the slowest in use
is chosen together with the cut, or nothing is served; then there are the variants' own minima only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from medley_planner.optimize.task.rules import allowing_spot, spare
from medley_planner.optimize.task.task import Cut, Task

if TYPE_CHECKING:
    from medley_planner.optimize.program.formulation import Formulation

_FAINT = 1e-4
"""A class with less load than this could hide on zero replicas within the solver's tolerance; it gets a row."""
_NO_LOAD = 1e-11
"""Below the solver's precision; such a class only has to go where there is a replica."""


def add_load(
    made: Formulation, task: Task, columns: list[int], cuts: list[list[Cut]], demand_rps: float | None
) -> None:
    """`cuts` of each class; `demand_rps` is all demand of the program, None where none may be left out and the first
    cut of each class is served."""
    if demand_rps is None:
        cuts = [each[:1] for each in cuts]
    if task.service.routing.equal_pods:
        _add_equal_pods(made, task, columns, cuts[0], demand_rps)
    elif task.blind:
        _add_by_weight(made, task, columns, cuts[0], demand_rps)
    else:
        _add_by_class(made, task, columns, cuts, demand_rps)


def _used(made: Formulation, task: Task, index: int, column: int) -> int:
    """A column that is 1 where the variant has replicas."""
    used = made.builder.column(upper=1.0, integer=True)
    made.builder.row({column: 1.0, used: -made.most(task, index)}, upper=0.0)
    return used


def _chosen(made: Formulation, task: Task, place: int, cuts: Sequence[Cut], demand_rps: float | None) -> list[int]:
    """A column for each cut of a class; exactly one of them is 1. No columns where there is no choice."""
    if demand_rps is None or len(cuts) == 1:
        return []
    chosen = [made.builder.column(upper=1.0, integer=True) for _ in cuts]
    for column, cut, taken in zip(chosen, cuts, made.choices[-1][place], strict=True):
        made.count_unmet(task, column, cut.rest_rps / demand_rps)
        taken.append(column)
    made.builder.row(dict.fromkeys(chosen, 1.0), lower=1.0, upper=1.0)
    return chosen


def _add_by_weight(
    made: Formulation, task: Task, columns: list[int], cuts: Sequence[Cut], demand_rps: float | None
) -> None:
    chosen = _chosen(made, task, 0, cuts, demand_rps)
    parts: list[dict[int, float]] = [{column: -1.0} for column in columns]
    for number, cut in enumerate(cuts):
        own = list(columns)
        if chosen:
            # The replicas while this cut is taken, none while it is not.
            own = [made.builder.column() for _ in columns]
            for index, column in enumerate(own):
                made.builder.row({column: 1.0, chosen[number]: -made.most(task, index)}, upper=0.0)
                parts[index][column] = 1.0
        _carry_by_weight(made, task, own, cut, demand_rps, chosen[number] if chosen else None)
    if chosen:
        for terms in parts:
            made.builder.row(terms, upper=0.0)
        _keep_out_idle(made, task, columns, [cuts], [chosen])


def _keep_out_idle(
    made: Formulation,
    task: Task,
    columns: Sequence[int],
    cuts: Sequence[Sequence[Cut]],
    chosen: Sequence[Sequence[int]],
) -> None:
    """A variant that serves none of the cuts that are taken is there for its own minimum only, not for rules' sake."""
    for index, column in enumerate(columns):
        able = [
            (choice[number] if choice else None)
            for each, choice in zip(cuts, chosen, strict=True)
            for number, cut in enumerate(each)
            if math.isfinite(cut.work[index])
        ]
        if None not in able:
            taken = {choice: -made.most(task, index) for choice in able if choice is not None}
            made.builder.row({column: 1.0} | taken, upper=float(task.variants[index].min_replicas))


def _carry_by_weight(
    made: Formulation, task: Task, columns: list[int], cut: Cut, demand_rps: float | None, chosen: int | None
) -> None:
    work = {index: float(total) for index, total in enumerate(cut.work) if math.isfinite(total)}
    scale = max(1.0, min(work.values(), default=1.0))
    parts = {index: scale / max(1.0, total) for index, total in work.items()}
    terms = {columns[index]: part for index, part in parts.items()}
    if demand_rps is not None:
        terms[made.leave_out(task, cut.rate_rps, demand_rps)] = scale
    if chosen is not None:
        terms[chosen] = -scale
    least = scale if chosen is None else 0.0
    if not spare(task):
        made.builder.row(terms, lower=least)
        return
    for index, part in parts.items():
        used = _used(made, task, index, columns[index])
        made.builder.row(terms | {used: -part}, lower=least)
    if not parts:
        made.builder.row(terms, lower=least)


def _add_equal_pods(
    made: Formulation, task: Task, columns: list[int], cuts: Sequence[Cut], demand_rps: float | None
) -> None:
    """One level for each variant that may be the slowest in use: who may be in use then, and how many must there be.

    Written level by level (a disjunction), as then the relaxation of one service is already exact; with one binary for
    each variant in use and n >= W_j instead, four services coupled by stock were not proven within ten seconds.
    """
    builder = made.builder
    lost = spare(task)
    levels: dict[int, float] = {}
    parts: list[dict[int, float]] = [{column: -1.0} for column in columns]
    if demand_rps is not None:
        nothing = builder.column(upper=1.0, integer=True)
        levels[nothing] = 1.0
        made.count_unmet(task, nothing, (cuts[0].rate_rps + cuts[0].rest_rps) / demand_rps)
        for index, terms in enumerate(parts):
            part = builder.column()
            terms[part] = 1.0
            # What gets no requests is there for its own minimum only.
            builder.row({part: 1.0, nothing: -float(task.variants[index].min_replicas)}, upper=0.0)
    for number, cut in enumerate(cuts):
        work = {
            index: max(1.0, float(total))
            for index, total in enumerate(cut.work)
            if task.caps[index] >= 1 and math.isfinite(total)
        }
        for needed in work.values():
            level = builder.column(upper=1.0, integer=True)
            levels[level] = 1.0
            pods: dict[int, float] = {}
            for index in work:
                if work[index] <= needed:
                    part = builder.column()
                    pods[part] = 1.0
                    parts[index][part] = 1.0
                    most = min(made.most(task, index), float(_pods_at(made, task, index, math.ceil(needed) + lost)))
                    builder.row({part: 1.0, level: -most}, upper=0.0)
            if demand_rps is None:
                builder.row(pods | {level: -float(math.ceil(needed) + lost)}, lower=0.0)
                continue
            if len(cuts) > 1:
                made.count_unmet(task, level, cut.rest_rps / demand_rps)
                made.choices[-1][0][number].append(level)
            unmet = made.leave_out(task, cut.rate_rps, demand_rps)
            builder.row({unmet: 1.0, level: -1.0}, upper=0.0)
            terms = dict.fromkeys(pods, 1 / needed)
            builder.row(terms | {level: -1.0 - lost / needed, unmet: 1.0}, lower=0.0)
    builder.row(levels, lower=1.0, upper=1.0)
    for index, terms in enumerate(parts):
        if len(terms) > 1 or made.most(task, index) > 0:
            builder.row(terms, lower=0.0, upper=0.0)


def _pods_at(made: Formulation, task: Task, index: int, needed: int) -> int:
    """No cheapest plan has more of the variant at this level: enough for the level, for the largest minimum, or to
    allow for spot replicas."""
    minima = (variant.min_replicas for variant in task.variants)
    running = max(task.current, default=0) if made.keep_running else 0
    allowing = 0 if task.spot[index] else allowing_spot(task, [needed] * len(task.variants))
    return max(needed, allowing, task.service.min_replicas, task.service.on_demand_min_replicas, running, *minima)


def _add_by_class(
    made: Formulation, task: Task, columns: list[int], cuts: list[list[Cut]], demand_rps: float | None
) -> None:
    builder = made.builder
    chosen = [_chosen(made, task, place, each, demand_rps) for place, each in enumerate(cuts)]
    served = [cut for each in cuts for cut in each]
    whole: list[dict[int, float]] = [{} for _ in served]
    for index, column in enumerate(columns):
        loads = [float(cut.work[index]) for cut in served]
        able = [number for number, load in enumerate(loads) if math.isfinite(load)]
        if not able:
            continue
        # With N+1 the load of a variant in use must fit on one replica less.
        room = {column: -1.0}
        if spare(task):
            room[_used(made, task, index, column)] = float(spare(task))
        scale = min(1.0, math.fsum(loads[number] for number in able)) or 1.0
        terms: dict[int, float] = {}
        faint: dict[int, float] = {}
        for number in able:
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
    if any(chosen):
        _keep_out_idle(made, task, columns, cuts, chosen)
    taken: list[int | None] = []
    for each, own in zip(cuts, chosen, strict=True):
        taken.extend(own if own else [None] * len(each))
    for cut, choice, shares in zip(served, taken, whole, strict=True):
        if demand_rps is not None:
            shares[made.leave_out(task, cut.rate_rps, demand_rps)] = 1.0
        least = 1.0
        if choice is not None:
            shares[choice] = -1.0
            least = 0.0
        builder.row(shares, lower=least, upper=least)
