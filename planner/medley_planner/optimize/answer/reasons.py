"""Why demand that some variant could serve is left out: the service's own limits, or what is shared and has an end.

A limit of the service is named only where its demand would not fit with all the GPUs and watts in the world either, and
of several the one without which it would fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medley_planner.model import UnservedReason
from medley_planner.optimize.program.formulation import formulate
from medley_planner.optimize.program.linear_program import Proof
from medley_planner.optimize.program.mip import solve_integer
from medley_planner.optimize.task.coverage import shared_reason
from medley_planner.optimize.task.limits import NOTHING_SHARED, Limit, Room
from medley_planner.optimize.task.rules import limiting, spare, special
from medley_planner.optimize.task.task import ROUNDING_SLACK, Task

_NODES = 300
"""Nodes that a program may search for any fleet that serves all."""


def shed_reason(task: Task, left: Room, *, seconds: float) -> tuple[UnservedReason, tuple[str, ...]]:
    """The reason and the names of the shared limits that bind; `left` is what the whole plan leaves."""
    free = task.without_sharing()
    if not _fits(free, seconds=seconds):
        for reason, relaxed in _relaxed(free):
            if _fits(relaxed, seconds=seconds):
                return reason, ()
        return UnservedReason.MAX_REPLICAS, ()
    scarce = _scarce(task, left)
    return shared_reason(scarce) if scarce else _own(task), tuple(sorted({limit.name for limit in scarce}))


def cut_reason(task: Task, variants: Sequence[int], left: Room) -> tuple[UnservedReason, tuple[str, ...]]:
    """Why a bucket is left out that these variants could serve along with the rest: what keeps more of them out."""
    scarce = [limit for index in variants for limit in left.scarce(task.variants[index])]
    return shared_reason(scarce) if scarce else _own(task), tuple(sorted({limit.name for limit in scarce}))


def _scarce(task: Task, left: Room) -> list[Limit]:
    """The reasons that keep another replica out, by the variants that could carry the demand, the cheapest first."""
    order = sorted(range(len(task.variants)), key=lambda index: task.cost[index])
    able = [task.variants[index] for index in order if task.able[index]]
    one = [limit for variant in able for limit in left.scarce(variant)]
    # Where a replica may be lost, one alone serves nothing.
    return one or [limit for variant in able for limit in left.scarce(variant, count=1 + spare(task))]


def _own(task: Task) -> UnservedReason:
    """Where nothing shared is used up, the service's rules bind together with what is shared."""
    return next((reason for reason, _ in limiting(task)), UnservedReason.STOCK)


def _relaxed(free: Task) -> Iterator[tuple[UnservedReason, Task]]:
    for reason, requirement in limiting(free):
        yield reason, replace(free, service=requirement.lifted(free.service))


def _fits(free: Task, *, seconds: float) -> bool:
    """Whether all demand fits. Only rules and routing by size need a solver, and `seconds` for it; without an answer in
    that time or its nodes it is taken to fit."""
    plain = not special(free)
    if plain and free.service.routing.equal_pods:
        return any(_enough_pods(free, work) for work in _usable(free))
    if plain and free.blind:
        return _most_by_weight(free) >= 1 - ROUNDING_SLACK
    made = formulate([free], NOTHING_SHARED, soft_demand=False, soft_minima=False)
    outcome = solve_integer(made.builder.minimise({}), seconds=seconds, relative_gap=1.0, node_limit=_NODES)
    return outcome.proof is not Proof.INFEASIBLE


def _usable(free: Task) -> dict[float, float]:
    """Number of replicas that may carry a variant's load, by load in replicas of the whole demand."""
    found: dict[float, float] = {}
    for work, able, cap in zip(free.total_work(), free.able, free.caps, strict=True):
        if able and cap >= 1 and math.isfinite(work):
            found[work] = found.get(work, 0.0) + cap
    return found


def _most_by_weight(free: Task) -> float:
    """The part of the demand that the fastest replicas carry, as many as the maxima allow."""
    left = _most(free)
    carried = 0.0
    for work, cap in sorted(_usable(free).items()):
        # More than what could carry everything is never needed, and keeps infinite maxima out of the sum.
        count = min(cap, left, math.ceil(work) + 1)
        carried += count / max(work, 1e-300)
        left -= count
    return carried


def _enough_pods(free: Task, slowest: float) -> bool:
    """Whether, with this one the slowest in use, there may be so many pods that each carries its part of the demand."""
    pods = sum(cap for work, cap in _usable(free).items() if work <= slowest)
    return min(pods, _most(free)) >= slowest * (1 - ROUNDING_SLACK)


def _most(free: Task) -> float:
    return math.inf if free.service.max_replicas is None else float(free.service.max_replicas)
