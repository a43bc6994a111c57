"""All services within the shared limits in fractions of replicas: how little demand is left out, and where it fits.

Each class of each service takes one cut, or parts of several, on variants that serve it, or is left out; a service has
its least number of replicas, with some of them idle if need be. Other rules of services (spot share, budget, zones,
N+1) and the minima of variants are not in it, so its bounds are true and its replicas need a second look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medley_planner.model import Priority
from medley_planner.optimize.program.fallback import priority_rank
from medley_planner.optimize.program.linear_program import Program
from medley_planner.optimize.program.mip import solve_relaxed
from medley_planner.optimize.task.coverage import Coverage
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Cut, Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST_OPTIONS = 60_000
"""Options that a linear program may have: it takes about a second with as many."""
_HELD = 1e-4
"""Relative, and in requests per second: how far a level may give up what another reached; GLOP can do no less."""


@dataclass(frozen=True, slots=True, eq=False)
class ServingOptions:
    """The ways to serve each class, sorted by class.

    Option o of class `of[o]` leaves out `unmet[o]` requests per second and takes `work[o]` replicas of row `place[o]`
    of `use` (by limit, as parts of what there is) and `cost`; it is cut `cut[o]` of its class, -1 where nothing is
    served. `service[c]` and `rank[c]` are the service of class c and its priority, `first[c]` where its options begin.
    Variant j of service s is row `rows[s] + j`; row 0 is nothing. `certain[rank]` requests per second are left out in
    any case, `certain_of[s]` of service s, which has at least `least[s]` replicas; those that are idle are options of a
    class of its own, one of `idle`.
    """

    of: Ints
    unmet: Floats
    work: Floats
    place: Ints
    cut: Ints
    service: Ints
    rank: Ints
    first: Ints
    rows: Ints
    use: Floats
    cost: Floats
    certain: Floats
    certain_of: Floats
    least: Floats
    idle: frozenset[int]

    def __len__(self) -> int:
        return len(self.of)

    def ranks(self) -> Ints:
        """The priority of each option (its rank)."""
        found: Ints = self.rank[self.of]
        return found

    def services(self) -> Ints:
        """The service of each option."""
        found: Ints = self.service[self.of]
        return found

    def bound(self, rank: int, most: Floats, relaxed: RelaxedFleet) -> float:
        """No plan that leaves out at most `most[r]` requests per second of each rank r before this one leaves out less
        of this one (Lagrange): true at any prices."""
        weights = np.zeros(len(Priority))
        weights[:rank], weights[rank] = relaxed.worth[:rank], 1.0
        least = float(self.parts(weights, relaxed.prices, relaxed.replica).sum())
        return least + float(weights @ self.certain - relaxed.prices.sum() - relaxed.worth[:rank] @ most[:rank])

    def parts(self, weights: Floats, prices: Floats, replica: Floats) -> Floats:
        """The least that each service leaves out, weighed by rank, and takes at `prices` of all that a limit holds, if
        `replica[s]` is paid for each of its replicas up to its minimum; without what is left out in any case."""
        own = (self.use @ prices)[self.place] - replica[self.services()]
        price = weights[self.ranks()] * self.unmet + self.work * own
        least = np.minimum.reduceat(price, self.first) if len(self.first) else np.empty(0)
        found: Floats = np.bincount(self.service, weights=least, minlength=len(self.least)) + replica * self.least
        return found


@dataclass(frozen=True, slots=True, eq=False)
class RelaxedFleet:
    """`weights` of the options; prices of all that a limit holds, of a request per second that a rank leaves out, and
    what a replica of its minimum costs each service."""

    weights: Floats
    prices: Floats
    worth: Floats
    replica: Floats


def options_of(coverages: Sequence[Coverage], room: Room) -> ServingOptions:
    """The options of services that share the room."""
    left = np.array(room.left, float)
    pieces: list[tuple[Ints, Floats, Floats, Ints, Ints]] = []
    service: list[int] = []
    rank: list[int] = []
    rows: list[int] = []
    uses, costs = [np.zeros(len(left))], [0.0]
    certain, least, idle_classes = list[float](), list[int](), set[int]()
    for index, coverage in enumerate(coverages):
        task = coverage.first
        own = priority_rank(task)
        rows.append(len(uses))
        uses += [_use(room, left, task, variant) for variant in range(len(task.variants))]
        costs += task.cost
        usable = np.array(task.caps) >= 1
        certain.append(task.service.demand.rate_rps)
        for cuts in coverage.cuts():
            whole = cuts[0].rate_rps + cuts[0].rest_rps
            certain[-1] -= whole
            pieces.append(_whole_class(len(rank), whole))
            for number, cut in enumerate(cuts):
                able = np.flatnonzero(np.isfinite(cut.work) & usable)
                part = _most_part(task, cut, able)
                out = np.full(len(able), cut.rest_rps + cut.rate_rps * (1 - part))
                of = np.full(len(able), len(rank))
                pieces.append((of, out, cut.work[able] * part, rows[-1] + able, np.full(len(able), number)))
            service.append(index)
            rank.append(own)
        least.append(task.service.min_replicas if usable.any() else 0)
        if least[-1]:
            idle = np.flatnonzero(usable)
            idle_classes.add(len(rank))
            pieces.append(_whole_class(len(rank), 0.0))
            of, none = np.full(len(idle), len(rank)), np.full(len(idle), -1)
            pieces.append((of, np.zeros(len(idle)), np.full(len(idle), float(least[-1])), rows[-1] + idle, none))
            service.append(index)
            rank.append(own)
    ranks = np.array([priority_rank(coverage.first) for coverage in coverages], np.int64)
    columns = [np.concatenate(each) for each in zip(*pieces, strict=True)] if pieces else [np.zeros(0)] * 5
    whose = columns[0].astype(np.int64)
    return ServingOptions(
        of=whose,
        unmet=columns[1],
        work=columns[2],
        place=columns[3].astype(np.int64),
        cut=columns[4].astype(np.int64),
        service=np.array(service, np.int64),
        rank=np.array(rank, np.int64),
        first=np.searchsorted(whose, np.arange(len(rank))),
        rows=np.array(rows, np.int64),
        use=np.array(uses),
        cost=np.array(costs),
        certain=np.bincount(ranks, weights=np.maximum(certain, 0.0), minlength=len(Priority)).astype(float),
        certain_of=np.maximum(certain, 0.0),
        least=np.array(least, float),
        idle=frozenset(idle_classes),
    )


def relaxed_fleet(options: ServingOptions, objective: Floats, most: Floats, *, seconds: float) -> RelaxedFleet | None:
    """Least `objective` (by option) at most `most[r]` requests per second left out of rank r, of the ranks before
    `len(most)`. None where there is no such fleet, or there are too many options or too little
    time."""
    if not 0 < len(options) <= _MOST_OPTIONS or seconds <= 0:
        return None
    ranks, unmet, classes = options.ranks(), options.unmet, len(options.first)
    use = options.use[options.place] * options.work[:, None]
    option, limit = np.nonzero(use)
    limits, held = use.shape[1], len(most)
    holding = np.flatnonzero((ranks < held) & (unmet > 0))
    services = options.services()
    counted = np.flatnonzero((options.least[services] > 0) & (options.work > 0))
    above = classes + limits + held
    rows = np.concatenate([options.of, classes + limit, classes + limits + ranks[holding], above + services[counted]])
    columns = np.concatenate([np.arange(len(options)), option, holding, counted])
    values = np.concatenate([np.ones(len(options)), use[option, limit], unmet[holding], options.work[counted]])
    order = np.lexsort((columns, rows))
    allowed = np.maximum(most - options.certain[:held], 0.0) * (1 + _HELD) + _HELD
    outcome, duals = solve_relaxed(
        Program(
            costs=tuple(objective.tolist()),
            lower=(0.0,) * len(options),
            upper=(math.inf,) * len(options),
            integer=(False,) * len(options),
            row_lower=(*(1.0,) * classes, *(-math.inf,) * (limits + held), *options.least.tolist()),
            row_upper=(*(1.0,) * (classes + limits), *allowed.tolist(), *(math.inf,) * len(options.least)),
            rows=tuple(rows[order].tolist()),
            columns=tuple(columns[order].tolist()),
            values=tuple(values[order].tolist()),
        ),
        seconds=seconds,
    )
    if not outcome.solved:
        return None
    prices, worth, own = np.split(np.array(duals[classes:]), [limits, limits + held])
    return RelaxedFleet(
        np.array(outcome.values), np.maximum(-prices, 0.0), np.maximum(-worth, 0.0), np.maximum(own, 0.0)
    )


def unmet_of_rank(options: ServingOptions, rank: int) -> Floats:
    """The objective by option that is the unmet demand of a rank."""
    found: Floats = np.where(options.ranks() == rank, options.unmet, 0.0)
    return found


def _whole_class(number: int, whole: float) -> tuple[Ints, Floats, Floats, Ints, Ints]:
    nothing = np.zeros(1, np.int64)
    return nothing + number, np.array([whole]), np.zeros(1), nothing, nothing - 1


def _use(room: Room, left: Floats, task: Task, index: int) -> Floats:
    use = np.zeros(len(left))
    for row, amount in room.uses(task.variants[index]):
        # What is used up leaves no room for the variant at all.
        use[row] = amount / left[row] if left[row] > 0 else 0.0
    return use


def _most_part(task: Task, cut: Cut, able: Ints) -> float:
    """The part of a cut that the replica limits allow at most, where the service has no other class."""
    if not task.blind:
        return 1.0
    free = math.inf if task.service.max_replicas is None else float(task.service.max_replicas)
    part = 0.0
    for index in sorted(able.tolist(), key=lambda index: float(cut.work[index])):
        load = max(float(cut.work[index]), 1e-9)
        count = min(task.caps[index], free, math.ceil(load))
        part += count / load
        free -= count
    return min(1.0, part)
