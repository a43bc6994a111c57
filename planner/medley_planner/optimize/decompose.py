"""`plan`: one deadline, and services in groups of those that a shared limit or whole nodes tie to each other.

Groups do not know of each other, so their bounds add up. How a group is solved is in `solve_group.py`; here the time is
dealt out, what low priority gives up is settled, and the plan is put together.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence

from medley_planner.clock import Clock, monotonic
from medley_planner.model import (
    CheaperFleet,
    LimitUse,
    Plan,
    PlanStatus,
    Priority,
    PriorityShortage,
    Problem,
    Service,
    ServicePlan,
    UnservedReason,
)
from medley_planner.optimize.answer.assemble import service_plan
from medley_planner.optimize.answer.reasons import shed_reason
from medley_planner.optimize.answer.shortages import least_unserved
from medley_planner.optimize.cheaper import cheaper_fleets
from medley_planner.optimize.effort import FEW
from medley_planner.optimize.improve.fewest_changes import steady
from medley_planner.optimize.improve.local_search import polish, unserved_by_priority
from medley_planner.optimize.improve.priority_exchange import give_way
from medley_planner.optimize.one_more import savings_of_one_more
from medley_planner.optimize.program.fallback import floor_of
from medley_planner.optimize.program.solve import Answer, Answers
from medley_planner.optimize.solve_group import FleetCase, solve_group
from medley_planner.optimize.task.coverage import Coverage
from medley_planner.optimize.task.limits import Room, shared_room
from medley_planner.optimize.task.nodes import node_counts
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.time_left import keeping
from medley_planner.optimize.validate.problem import validate

_WRITE_SECONDS, _SHARE_SECONDS = 0.0015, 0.003
"""Measured seconds to make the plan of one service from its replicas, and to find its shares anew where the router sees
sizes; kept back from the deadline."""
_OTHERS_SECONDS = 0.02
"""Seconds for each service of the groups that are yet to be planned, kept back while one group is."""
_GIVING_ROUNDS = 5
"""How often low priority may give way and what that leaves be used; mostly once."""
_REASON_SECONDS = 0.2
"""Seconds that there are at least to find out which limits bind, be it on top of the deadline; it takes some
milliseconds a service."""


def plan(
    problem: Problem,
    *,
    deadline_seconds: float = 10.0,
    relative_gap: float = 1e-5,
    last: Plan | None = None,
    clock: Clock = monotonic,
) -> Plan:
    """The cheapest plan for all services, with what it proves; a plan for every well-formed problem.

    Equal arguments give equal plans unless the deadline binds, `solve_seconds` apart. Where it binds the best plan so
    far is kept as `Feasible` with its gap. Where replicas run, `steady_within` allows a slightly more expensive plan
    with fewer changes, which the gap shows too. Demand that cannot be served is left out and listed; replicas short of
    a minimum that other limits contradict make a service `Partial`, even with nothing unserved. The bound of a plan
    that leaves out demand is on the cost of serving as much as it does. `last` is a plan of a similar problem, to begin
    the search from.

    Raises `InvalidProblem` for values that make no sense. The plan is not checked here: callers `verify` it.
    """
    started = clock()
    validate(problem)
    sized = sum(not service.routing.blind for service in problem.services)
    writing = _WRITE_SECONDS * len(problem.services) + _SHARE_SECONDS * sized
    ends = started + deadline_seconds - min(deadline_seconds / 2, writing)
    room = shared_room(problem)
    case = FleetCase(problem, room, _last_prices(room, last), relative_gap)
    few = int(FEW.most_services)
    groups = _gathered(problem, _coupled(problem, room), few=few)
    planned: dict[int, tuple[Task, Answer]] = {}
    prices: dict[int, float] = {}
    cheaper: dict[int, CheaperFleet | None] = {}
    least = dict.fromkeys(Priority, 0.0)
    bound = 0.0
    waiting = len(problem.services)
    # Small groups first: a large one may take all of the time.
    for group in sorted(groups, key=len):
        waiting -= len(group)
        seconds_left = keeping(lambda: max(0.0, ends - clock()), _OTHERS_SECONDS * waiting)
        coverages, tasks, answers = solve_group(case, group, seconds_left=seconds_left)
        best, floor = answers.answers, answers.floor
        calm = steady(tasks, answers, room, within=problem.steady_within, seconds_left=seconds_left)
        tasks, kept = _by_priority(coverages, tasks, calm, room)
        if kept != calm:
            # The bound was one on the cost of leaving out other demand.
            answers = Answers(kept, floor_of(tasks, kept))
        planned |= dict(zip(group, zip(tasks, kept, strict=True), strict=True))
        if all(answer.split.complete for answer in kept):
            # Where demand is left out a limit is worth service, not money.
            prices |= savings_of_one_more(tasks, best, room, answers.prices, seconds_left=seconds_left)
        found = cheaper_fleets(
            tasks, kept, room, answers.prices, least_part=problem.steady_within, seconds_left=seconds_left
        )
        cheaper |= dict(zip(group, found, strict=True))
        bound += answers.bound
        floor = least_unserved(coverages, tasks, kept, room, known=floor, seconds_left=seconds_left)
        for priority, rate in zip(Priority, floor.least, strict=True):
            least[priority] += rate
    fleet = [planned[index] for index in range(len(problem.services))]
    others = [cheaper[index] for index in range(len(problem.services))]
    services, limits = _assemble(fleet, others, room, prices, ends=ends, clock=clock)
    nodes = node_counts(room.pools, ((task, answer.replicas) for task, answer in fleet))
    idle = math.fsum(count.idle_cost_per_hour for count in nodes)
    cost = math.fsum(service.cost_per_hour for service in services) + idle
    switching = math.fsum(service.switching_cost_per_hour for service in services)
    objective = cost + switching
    bound = min(bound, objective)
    return Plan(
        status=_fleet_status(services),
        services=services,
        cost_per_hour=cost,
        lower_bound_per_hour=bound,
        gap=(objective - bound) / objective if objective > 0 else 0.0,
        solve_seconds=clock() - started,
        switching_cost_per_hour=switching,
        nodes=nodes,
        limits=limits,
        shortages=_shortages(fleet, least),
    )


def _shortages(fleet: Sequence[tuple[Task, Answer]], least: Mapping[Priority, float]) -> tuple[PriorityShortage, ...]:
    unserved = unserved_by_priority(*zip(*fleet, strict=True)) if fleet else {}
    return tuple(
        PriorityShortage(priority, rate, min(rate, least[priority])) for priority, rate in unserved.items() if rate > 0
    )


def _coupled(problem: Problem, room: Room) -> list[list[int]]:
    """Services (by index) that are tied together, in the problem's order."""
    joined = list(range(len(problem.services)))

    def group_of(index: int) -> int:
        while joined[index] != index:
            joined[index] = joined[joined[index]]
            index = joined[index]
        return index

    first_user: dict[Hashable, int] = {}
    for index, service in enumerate(problem.services):
        for tie in set(_ties(service, room)):
            mine, theirs = group_of(index), group_of(first_user.setdefault(tie, index))
            joined[max(mine, theirs)] = min(mine, theirs)
    groups: dict[int, list[int]] = {}
    for index in range(len(problem.services)):
        groups.setdefault(group_of(index), []).append(index)
    return [groups[first] for first in sorted(groups)]


def _ties(service: Service, room: Room) -> Iterator[Hashable]:
    for variant in service.variants:
        for row, _ in room.uses(variant):
            yield row
        if room.pools[variant.pool].node_price is not None:
            yield variant.pool


def _gathered(problem: Problem, groups: list[list[int]], *, few: int) -> list[list[int]]:
    """Services that are alone in their groups as one group, if there are more than a few: their configurations are
    found in one pass. Those that are routed by size stay apart: each takes its own program in any case."""
    alone = [group[0] for group in groups if len(group) == 1 and problem.services[group[0]].routing.blind]
    if len(alone) <= few:
        return groups
    return [*(group for group in groups if group[0] not in alone), alone]


def _last_prices(room: Room, last: Plan | None) -> tuple[float, ...]:
    known = {(use.kind, use.name, use.size): use.shadow_price_per_hour for use in last.limits} if last else {}
    return tuple(known.get((limit.kind, limit.name, limit.size)) or 0.0 for limit in room.limits)


def _by_priority(
    coverages: Sequence[Coverage], tasks: Sequence[Task], answers: Sequence[Answer], room: Room
) -> tuple[list[Task], tuple[Answer, ...]]:
    """After low priority gave way, which may leave room in which one type alone is cheaper for some service."""
    chosen, kept = list(tasks), tuple(answers)
    for _ in range(_GIVING_ROUNDS):
        chosen, given = give_way(coverages, chosen, kept, room)
        if given == kept:
            break
        kept = polish(chosen, given, room, seconds_left=lambda: 0.0, relative_gap=0.0)
    return chosen, kept


def _assemble(
    fleet: Sequence[tuple[Task, Answer]],
    others: Sequence[CheaperFleet | None],
    room: Room,
    prices: Mapping[int, float],
    *,
    ends: float,
    clock: Clock,
) -> tuple[tuple[ServicePlan, ...], tuple[LimitUse, ...]]:
    """`ends` is when there is no more time to find out which limits bind."""
    left = room.after_all((task, answer.replicas) for task, answer in fleet)
    plans = []
    ends = max(ends, clock() + _REASON_SECONDS)
    for (task, answer), cheaper in zip(fleet, others, strict=True):
        reason: tuple[UnservedReason, tuple[str, ...]] = (UnservedReason.STOCK, ())
        if not answer.split.complete:
            reason = shed_reason(task, left, seconds=max(0.01, ends - clock()))
        plans.append(service_plan(task, answer, shed_reason=reason, room=room, left=left, cheaper=cheaper))
    uses = tuple(
        LimitUse(limit.kind, limit.name, limit.size, limit.total - rest, limit.total, prices.get(row))
        for row, (limit, rest) in enumerate(zip(room.limits, left.left, strict=True))
    )
    return tuple(plans), uses


def _fleet_status(services: Sequence[ServicePlan]) -> PlanStatus:
    """The worst of the services; infeasible only where none could be planned."""
    statuses = {service.status for service in services}
    if statuses == {PlanStatus.INFEASIBLE}:
        return PlanStatus.INFEASIBLE
    if statuses & {PlanStatus.INFEASIBLE, PlanStatus.PARTIAL}:
        return PlanStatus.PARTIAL
    return PlanStatus.FEASIBLE if PlanStatus.FEASIBLE in statuses else PlanStatus.OPTIMAL
