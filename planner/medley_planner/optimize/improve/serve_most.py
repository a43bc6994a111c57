"""Where a fleet leaves out demand: the relaxation of all services, and whole replicas near it.

Columns are configurations that were found at some prices, and what each leaves out comes in steps. The relaxation says
where each GPU serves most, high priority first. Then an integer program takes whole replicas of
the variants that it uses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from medley_planner.model import Priority
from medley_planner.optimize.improve.local_search import ranks
from medley_planner.optimize.program.distribute import distribute
from medley_planner.optimize.program.fallback import floor_of
from medley_planner.optimize.program.linear_program import ProgramBuilder
from medley_planner.optimize.program.mip import solve_integer
from medley_planner.optimize.program.relaxed_fleet import (
    Floats,
    ServingOptions,
    options_of,
    relaxed_fleet,
    unmet_of_rank,
)
from medley_planner.optimize.program.solve import Answer, Answers
from medley_planner.optimize.task.coverage import Coverage
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import obeys
from medley_planner.optimize.task.task import Cut, Task
from medley_planner.optimize.time_left import SecondsLeft

_HELD = 1e-5
"""Relative, and in requests per second: how far a later level may give up what an earlier one reached."""
_MORE = 2
"""So many whole replicas more than the relaxation has there may be."""
_WORK, _MOST_NODES = 400_000, 300
"""Options times nodes that the program of one level may search, and its most nodes."""
_MOST_ALL = 12_000
"""Options up to which the program has them all; of more it has those that the relaxation uses."""
_GAP = 1e-4


def serve_most(
    coverages: Sequence[Coverage],
    tasks: Sequence[Task],
    answers: Answers,
    room: Room,
    *,
    seconds_left: SecondsLeft,
) -> tuple[list[Task], Answers]:
    """Tasks and answers that leave out no more, of high priority first; as they are where rounding finds none."""
    options = options_of(coverages, room)
    weights = _lexicographic(options, seconds_left=seconds_left)
    if weights is None:
        return list(tasks), answers
    found = [coverage.task(cuts) for coverage, cuts in zip(coverages, _cuts(options, weights, coverages), strict=True)]
    counts = _whole(options, weights, found, seconds_left=seconds_left)
    if counts is None:
        return list(tasks), answers
    kept = tuple(
        Answer(own, distribute(task, own), proven=False)
        for task, own in zip(found, (_allowed(task, own) for task, own in zip(found, counts, strict=True)), strict=True)
    )
    left = room.after_all((task, answer.replicas) for task, answer in zip(found, kept, strict=True))
    if not left.fits() or ranks(found, kept, room) >= ranks(tasks, answers.answers, room):
        return list(tasks), answers
    # The bound was one on the cost of leaving out other demand.
    return found, Answers(kept, floor_of(found, kept))


def _lexicographic(options: ServingOptions, *, seconds_left: SecondsLeft) -> Floats | None:
    """Weights of the options with least unmet demand, of high priority first, then least cost."""
    reached, weights = np.empty(0), None
    for rank in range(len(Priority)):
        relaxed = relaxed_fleet(options, unmet_of_rank(options, rank), reached, seconds=seconds_left())
        if relaxed is None:
            return None
        least = float((relaxed.weights * options.unmet)[options.ranks() == rank].sum()) + options.certain[rank]
        reached = np.append(reached, least)
        weights = relaxed.weights
    cost = options.work * options.cost[options.place]
    cheapest = relaxed_fleet(options, cost, reached, seconds=seconds_left())
    return weights if cheapest is None else cheapest.weights


def _cuts(options: ServingOptions, weights: Floats, coverages: Sequence[Coverage]) -> Iterator[list[Cut]]:
    """The cut of each class of each service of which the relaxation serves most; the first where it serves none."""
    found: list[list[int]] = [[] for _ in coverages]
    ends = [*options.first[1:].tolist(), len(options)]
    for number, (first, end) in enumerate(zip(options.first.tolist(), ends, strict=True)):
        if number in options.idle:
            continue
        own = np.bincount(options.cut[first:end] + 1, weights=weights[first:end], minlength=2)[1:]
        found[int(options.service[number])].append(int(own.argmax()))
    for coverage, chosen in zip(coverages, found, strict=True):
        yield [own[number] for own, number in zip(coverage.cuts(), chosen, strict=True)]


def _whole(
    options: ServingOptions, weights: Floats, tasks: Sequence[Task], *, seconds_left: SecondsLeft
) -> list[list[int]] | None:
    """Replicas by task and variant; None where none were found."""
    builder = ProgramBuilder()
    load = np.bincount(options.place, weights=weights * options.work, minlength=len(options.use))
    every = len(options) <= _MOST_ALL
    caps, minima = [0.0], [0]
    for task in tasks:
        caps += task.caps
        minima += [variant.min_replicas for variant in task.variants]
    kept = (weights > 0) | (options.work == 0) | every
    counts: dict[int, int] = {}
    wanted = np.bincount(options.place[kept & (options.work > 0)], minlength=len(options.use)) > 0
    for place in np.flatnonzero(wanted | (np.array(minima) > 0)).tolist():
        most = min(max(minima[place], math.floor(load[place]) + _MORE), caps[place])
        counts[place] = builder.column(lower=float(min(minima[place], most)), upper=float(most), integer=True)
    unmet: list[dict[int, float]] = [{} for _ in Priority]
    classes: dict[int, dict[int, float]] = {}
    loads: dict[int, dict[int, float]] = {place: {column: -1.0} for place, column in counts.items()}
    ranks_of = options.ranks().tolist()
    for option in np.flatnonzero(kept).tolist():
        part = builder.column(upper=1.0)
        classes.setdefault(int(options.of[option]), {})[part] = 1.0
        if options.work[option] > 0:
            loads[int(options.place[option])][part] = float(options.work[option])
        if options.unmet[option] > 0:
            unmet[ranks_of[option]][part] = float(options.unmet[option])
    for terms in classes.values():
        builder.row(terms, lower=1.0, upper=1.0)
    for terms in loads.values():
        builder.row(terms, upper=0.0)
    for limit in range(options.use.shape[1]):
        used = {column: float(options.use[place, limit]) for place, column in counts.items()}
        builder.row({column: amount for column, amount in used.items() if amount > 0}, upper=1.0)
    for start, task in zip(options.rows.tolist(), tasks, strict=True):
        own = {counts[place]: 1.0 for place in range(start, start + len(task.variants)) if place in counts}
        most_of_all = task.service.max_replicas
        if task.service.routing.equal_pods and len(own) > 1:
            # Each pod gets the same share, and one of another variant would hold the others back.
            kinds = [builder.column(upper=1.0, integer=True) for _ in own]
            for kind, column in zip(kinds, own, strict=True):
                builder.row({column: 1.0, kind: -builder.upper[column]}, upper=0.0)
            builder.row(dict.fromkeys(kinds, 1.0), upper=1.0)
        builder.row(own, lower=float(task.service.min_replicas), upper=math.inf if most_of_all is None else most_of_all)
    cost = {column: float(options.cost[place]) for place, column in counts.items()}
    values: tuple[float, ...] = ()
    for level in (*unmet, cost):
        if not level:
            continue
        outcome = solve_integer(
            builder.minimise(level),
            seconds=seconds_left(),
            relative_gap=_GAP,
            hint=dict(enumerate(values)),
            cuts=True,
            node_limit=int(min(_MOST_NODES, _WORK / len(options)) + 1),
        )
        if not outcome.solved:
            break
        values = outcome.values
        reached = math.fsum(weight * values[column] for column, weight in level.items())
        builder.row(level, upper=reached * (1 + _HELD) + _HELD)
    if not values:
        return None
    whole = {place: round(values[column]) for place, column in counts.items()}
    return [
        [whole.get(start + index, 0) for index in range(len(task.variants))]
        for start, task in zip(options.rows.tolist(), tasks, strict=True)
    ]


def _allowed(task: Task, counts: Sequence[int]) -> tuple[int, ...]:
    """These, or its variants' minima alone where the service's rules forbid that fleet."""
    replicas = [count if able else 0 for count, able in zip(counts, task.able, strict=True)]
    if not obeys(task, replicas):
        replicas = [variant.min_replicas for variant in task.variants]
    return tuple(replicas)
