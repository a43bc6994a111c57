"""How little demand any plan could leave out, beside what this one does: for a few services by its proof, else the
better of two relaxations, one in fractions of replicas with all cuts, one in whole replicas. Apart: it speaks of a plan
that stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medley_planner.model import Priority
from medley_planner.optimize.columns import least_unmet
from medley_planner.optimize.effort import FEW
from medley_planner.optimize.improve.local_search import unserved_by_priority
from medley_planner.optimize.program.fallback import priority_rank
from medley_planner.optimize.program.relaxed_fleet import (
    Floats,
    RelaxedFleet,
    ServingOptions,
    options_of,
    relaxed_fleet,
    unmet_of_rank,
)
from medley_planner.optimize.program.solve import Answer, UnservedFloor
from medley_planner.optimize.task.coverage import Coverage
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import shortfall
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.time_left import SecondsLeft

_FIRST = 100.0
"""How many times as much as the next priority one counts of which nothing is left out: any figure is true then."""
_ALIKE = 1e-6
"""Requests per second; nothing else is found out beside so nearly the same."""


def least_unserved(
    coverages: Sequence[Coverage],
    tasks: Sequence[Task],
    answers: Sequence[Answer],
    room: Room,
    *,
    known: UnservedFloor | None = None,
    seconds_left: SecondsLeft,
) -> UnservedFloor:
    """The least that any plan leaves out, by priority, and what these answers leave out; 0 where time is over. `known`
    is such a floor beside other answers of the same tasks."""
    unserved = tuple(unserved_by_priority(tasks, answers).values())
    # The proof of a larger group is one of its cost.
    proven = len(tasks) <= FEW.most_services and all(answer.proven for answer in answers)
    if not any(unserved) or proven:
        return UnservedFloor(unserved, unserved)
    found = _Floor(coverages, tasks, answers, room, np.array(unserved), seconds_left)
    least = []
    for rank, rate in enumerate(unserved):
        # What no plan does that leaves out so much of higher ones, none does that leaves out less of them.
        pairs = [] if known is None else list(zip(unserved[:rank], known.most[:rank], strict=True))
        before = known.least[rank] if known is not None and all(now <= then for now, then in pairs) else 0.0
        alike = known is not None and all(now > then - _ALIKE for now, then in pairs)
        floor = before if alike or rate <= before else max(before, found.least(rank))
        least.append(min(floor, rate))
    return UnservedFloor(unserved, tuple(least))


@dataclass(frozen=True, eq=False)
class _Floor:
    coverages: Sequence[Coverage]
    tasks: Sequence[Task]
    answers: Sequence[Answer]
    room: Room
    most: Floats
    seconds_left: SecondsLeft

    @cached_property
    def options(self) -> ServingOptions:
        return options_of(self.coverages, self.room)

    def least(self, rank: int) -> float:
        """Requests per second of this rank."""
        if self.seconds_left() <= 0:
            return 0.0
        options, most = self.options, self.most
        bound = float(options.certain[rank])
        relaxed = relaxed_fleet(options, unmet_of_rank(options, rank), most[:rank], seconds=self.seconds_left())
        if relaxed is not None:
            bound = max(bound, options.bound(rank, most, relaxed))
        short = any(shortfall(task, answer.replicas) for task, answer in zip(self.tasks, self.answers, strict=True))
        if short or self.seconds_left() <= 0:
            return bound
        weights = self._weights(rank, relaxed)
        return max(bound, self._in_whole(weights, relaxed) - float(weights[:rank] @ most[:rank]))

    def _weights(self, rank: int, relaxed: RelaxedFleet | None) -> Floats:
        """The worth of a request per second by rank: 1 of this one, 0 of those after it."""
        weights = np.zeros(len(Priority))
        weights[rank] = 1.0
        for before in reversed(range(rank)):
            nothing = weights[before + 1] * _FIRST
            weights[before] = nothing if self.most[before] <= 0 else 0.0 if relaxed is None else relaxed.worth[before]
        return weights

    def _in_whole(self, weights: Floats, relaxed: RelaxedFleet | None) -> float:
        """No plan leaves out less, weighed by rank: services take whole replicas, but for those that have a choice of
        what to leave out, which take fractions. 0 where that was not found out."""
        options, left = self.options, np.array(self.room.left, float)
        own = weights[[priority_rank(task) for task in self.tasks]]
        start = np.zeros(len(left)) if relaxed is None else relaxed.prices / np.where(left > 0, left, np.inf)
        floor = least_unmet(self.tasks, self.answers, self.room, own, start=start, seconds_left=self.seconds_left)
        if floor is None:
            return 0.0
        several = np.array([coverage.open for coverage in self.coverages])
        in_parts = options.parts(weights, floor.prices * left, np.zeros(len(own))) + own * options.certain_of
        parts = np.where(several, in_parts, np.maximum(in_parts, floor.parts))
        return float(parts.sum() - floor.prices @ left)
