"""`plan`: one deadline, services solved one by one, and jointly only where what they share does not hold them all.

Services that share no limit do not know of each other. Those that do are first solved alone; if the answers fit
together they are the optimum together as well, and only otherwise is the joint program built. Bounds add up. More than
a few that are coupled, and many that are not, are solved by columns (`coupled.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from medley_planner.clock import Clock, monotonic
from medley_planner.model import LimitUse, Plan, PlanStatus, Problem, ServicePlan, UnservedReason
from medley_planner.optimize.answer.assemble import service_plan
from medley_planner.optimize.answer.reasons import shed_reason
from medley_planner.optimize.columns import relaxed_prices, servable
from medley_planner.optimize.coupled import solve_many
from medley_planner.optimize.enumerate_one import solve_small
from medley_planner.optimize.improve.fewest_changes import steady
from medley_planner.optimize.improve.local_search import objective_of, polish, rank, ranks
from medley_planner.optimize.improve.priority_exchange import give_way
from medley_planner.optimize.program.distribute import unmet_rps
from medley_planner.optimize.program.fallback import floor_of, greedy
from medley_planner.optimize.program.solve import Answer, Answers, fleet_of, solve_tasks
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.groups import coupled, gathered
from medley_planner.optimize.task.limits import Room, shared_room
from medley_planner.optimize.task.nodes import node_counts, paid_by_node
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.validate.problem import validate

_FEW = 3
"""Up to so many services a group is solved by the joint program alone."""
_WRITE_SECONDS = 0.0008
"""What making the plan of one service from its replicas takes, measured; kept back from the deadline."""
_GIVING_ROUNDS = 5
"""How often low priority may give way and what that leaves be used; mostly once."""
_PRICE_SECONDS = 0.2
"""What prices of limits may take where no relaxation over configurations was needed for the plan itself."""
_REASON_SECONDS = 0.2
"""What finding out which limits bind may take, on top of the deadline; it takes some milliseconds a service."""


@dataclass(frozen=True, slots=True, eq=False)
class _FleetCase:
    """What the groups have in common. `prices` are the last plan's, by row of the room."""

    problem: Problem
    room: Room
    prices: tuple[float, ...]
    relative_gap: float


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
    far is kept as `Feasible` with its gap. Where replicas run, `steady_within` lets a slightly dearer plan with fewer
    changes be taken, which the gap tells too. Demand that cannot be served is left out and listed; replicas
    short of a minimum that other limits contradict make a service `Partial`, even with nothing unserved. The bound of a
    plan that leaves out demand is on the cost of serving as much as it does. `last` is a plan of a similar problem, to
    begin the search from.

    Raises `InvalidProblem` for values that make no sense. The plan is not checked here: callers `verify` it.
    """
    started = clock()
    validate(problem)
    ends = started + deadline_seconds - min(deadline_seconds / 2, _WRITE_SECONDS * len(problem.services))
    room = shared_room(problem)
    case = _FleetCase(problem, room, _last_prices(room, last), relative_gap)
    groups = gathered(problem, coupled(problem, room), few=_FEW)
    planned: dict[int, tuple[Task, Answer]] = {}
    prices: dict[int, float] = {}
    bound = 0.0
    for position, group in enumerate(groups):

        def seconds_left(done: int = position) -> float:
            return max(0.0, ends - clock()) / (len(groups) - done)

        tasks, answers = _solve_group(case, group, seconds_left=seconds_left)
        calm = steady(tasks, answers, room, within=problem.steady_within, seconds_left=seconds_left)
        kept = _by_priority(tasks, calm, room)
        if kept != calm:
            # The bound was one on the cost of leaving out other demand.
            answers = Answers(kept, floor_of(tasks, kept))
        planned |= dict(zip(group, zip(tasks, kept, strict=True), strict=True))
        if all(answer.split.complete for answer in kept):
            # Where demand is left out a limit is worth service, not money.
            prices |= answers.prices or _prices_of_scarce(tasks, kept, room, seconds_left=seconds_left)
        bound += answers.bound
    fleet = [planned[index] for index in range(len(problem.services))]
    services, limits = _assemble(fleet, room, prices, clock=clock)
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
    )


def _last_prices(room: Room, last: Plan | None) -> tuple[float, ...]:
    known = {(use.kind, use.name, use.size): use.shadow_price_per_hour for use in last.limits} if last else {}
    return tuple(known.get((limit.kind, limit.name, limit.size)) or 0.0 for limit in room.limits)


def _solve_group(
    case: _FleetCase, group: Sequence[int], *, seconds_left: Callable[[], float]
) -> tuple[list[Task], Answers]:
    """The limits that the group uses are used by no other group."""
    if len(group) > _FEW:
        return _solve_many(case, group, seconds_left=seconds_left)
    room = case.room
    tasks: list[Task] = []
    alone: list[Answers] = []
    for done, index in enumerate(group):
        # Half of the time stays for the joint program, which is the harder one.
        parts = 1 if len(group) == 1 else 2 * (len(group) - done)
        task, answers = _solve_alone(
            _prepare(case, index),
            room,
            seconds_left=lambda parts=parts: seconds_left() / parts,  # type: ignore[misc]
            relative_gap=case.relative_gap,
        )
        tasks.append(task)
        alone.append(answers)
    if len(group) == 1:
        return tasks, alone[0]
    left = room.after_all(fleet_of(tasks, [answers.answers[0] for answers in alone]))
    # Alone each pays for whole nodes, of which together they may need fewer.
    share_nodes = _share_nodes(tasks, room)
    if left.fits() and not share_nodes:
        return tasks, Answers(tuple(one.answers[0] for one in alone), math.fsum(one.bound for one in alone))
    joint = _solve_jointly(tasks, room, seconds_left=seconds_left, relative_gap=case.relative_gap)
    # What each service costs alone bounds what it costs among others, as long as it serves as much.
    floors = (
        one.bound if not share_nodes and rank(task, one.answers[0])[:-1] == rank(task, answer)[:-1] else 0.0
        for task, one, answer in zip(tasks, alone, joint.answers, strict=True)
    )
    return tasks, _bounded(tasks, Answers(joint.answers, max(joint.bound, math.fsum(floors)), joint.prices), room)


def _by_priority(tasks: Sequence[Task], answers: Sequence[Answer], room: Room) -> tuple[Answer, ...]:
    """After low priority gave way, which may leave room in which one type alone is cheaper for somebody."""
    kept = tuple(answers)
    for _ in range(_GIVING_ROUNDS):
        given = give_way(tasks, kept, room)
        if given == kept:
            break
        kept = polish(tasks, given, room, seconds_left=lambda: 0.0, relative_gap=0.0)
    return kept


def _prices_of_scarce(
    tasks: Sequence[Task], answers: Sequence[Answer], room: Room, *, seconds_left: Callable[[], float]
) -> dict[int, float]:
    """Where a limit keeps a replica out, what one more of it would save; 0 of those that keep none out."""
    left = room.after_all(fleet_of(tasks, answers))
    used = {row for task in tasks for variant in task.variants for row, _ in room.uses(variant)}
    able = [variant for task in tasks for variant, able in zip(task.variants, task.able, strict=True) if able]
    if not any(left.scarce(variant) for variant in able):
        return dict.fromkeys(used, 0.0)
    return relaxed_prices(tasks, room, seconds=min(_PRICE_SECONDS, seconds_left()))


def _prepare(case: _FleetCase, index: int) -> tuple[Task, ...]:
    return prepare(case.problem.services[index], case.room, horizon_seconds=case.problem.horizon_seconds)


def _share_nodes(tasks: Sequence[Task], room: Room) -> bool:
    paid = paid_by_node(room.pools)
    users = [{variant.pool for variant in task.variants} & paid.keys() for task in tasks]
    return bool(paid) and sum(len(pools) for pools in users) > len(set().union(*users))


def _solve_many(
    case: _FleetCase, group: Sequence[int], *, seconds_left: Callable[[], float]
) -> tuple[list[Task], Answers]:
    room = case.room
    candidates = [_prepare(case, index) for index in group]
    tasks = [choices[0] for choices in candidates]
    open_rows = [row for row, choices in enumerate(candidates) if len(choices) > 1]
    if open_rows:
        # Which part of the demand to serve depends on what fits; mostly all that any one variant covers does.
        whole = servable([tasks[row] for row in open_rows], room)
        for row in (row for row, served in zip(open_rows, whole, strict=True) if not served):
            tasks[row], _ = _solve_alone(
                candidates[row], room, seconds_left=lambda: 0.02 * seconds_left(), relative_gap=case.relative_gap
            )
    answers = solve_many(tasks, room, start=case.prices, seconds_left=seconds_left, relative_gap=case.relative_gap)
    return tasks, _bounded(tasks, answers, room)


def _solve_jointly(
    tasks: Sequence[Task], room: Room, *, seconds_left: Callable[[], float], relative_gap: float
) -> Answers:
    """A simple plan first, bettered service by service: it is there if time runs out, and a start for the solver."""
    first_ends = 0.8 * seconds_left()
    simple = polish(
        tasks,
        greedy(tasks, room).answers,
        room,
        seconds_left=lambda: seconds_left() - first_ends,
        relative_gap=relative_gap,
    )
    last_ends = 0.2 * seconds_left()
    solved = solve_tasks(
        tasks,
        room,
        seconds_left=lambda: seconds_left() - last_ends,
        relative_gap=relative_gap,
        start=[answer.replicas for answer in simple],
    )
    if solved is not None and solved.proven:
        return solved
    bound = solved.bound if solved is not None else -math.inf
    better = solved is not None and ranks(tasks, solved.answers, room) < ranks(tasks, simple, room)
    best = solved.answers if solved is not None and better else simple
    return Answers(polish(tasks, best, room, seconds_left=seconds_left, relative_gap=relative_gap), bound)


def _solve_alone(
    candidates: tuple[Task, ...], room: Room, *, seconds_left: Callable[[], float], relative_gap: float
) -> tuple[Task, Answers]:
    """The first candidate if its demand fits; else the one that leaves least of the service's demand unserved."""
    best: tuple[float, Task, Answers] | None = None
    for task in candidates:
        solved = solve_small(task, room)
        if solved is None:
            solved = solve_tasks([task], room, seconds_left=seconds_left, relative_gap=relative_gap)
        answers = _never_worse_than_greedy([task], solved, room)
        missed = unmet_rps(task, answers.answers[0].split) + math.fsum(entry.rate_rps for entry in task.unserved)
        if best is None or missed < best[0] * (1 - 1e-9):
            best = missed, task, answers
        if answers.answers[0].split.complete:
            break
    if best is None:
        raise AssertionError("a service always has a candidate")
    return best[1], best[2]


def _never_worse_than_greedy(tasks: Sequence[Task], solved: Answers | None, room: Room) -> Answers:
    """An unproven answer must at least beat the simple fleets; the bound holds for whichever is taken."""
    if solved is not None and solved.proven:
        return _bounded(tasks, solved, room)
    simple = greedy(tasks, room)
    if solved is None:
        return _bounded(tasks, simple, room)
    better = (
        simple.answers if ranks(tasks, simple.answers, room) < ranks(tasks, solved.answers, room) else solved.answers
    )
    return _bounded(tasks, Answers(better, solved.bound), room)


def _bounded(tasks: Sequence[Task], answers: Answers, room: Room) -> Answers:
    """With the better of the solver's bound and the one that needs no solver, which is never above the objective."""
    floor = floor_of(tasks, answers.answers)
    objective = objective_of(tasks, answers.answers, room)
    return Answers(answers.answers, min(objective, max(answers.bound, floor)), answers.prices)


def _assemble(
    fleet: Sequence[tuple[Task, Answer]], room: Room, prices: Mapping[int, float], *, clock: Clock
) -> tuple[tuple[ServicePlan, ...], tuple[LimitUse, ...]]:
    left = room.after_all((task, answer.replicas) for task, answer in fleet)
    plans = []
    ends = clock() + _REASON_SECONDS
    for task, answer in fleet:
        reason: tuple[UnservedReason, tuple[str, ...]] = (UnservedReason.STOCK, ())
        if not answer.split.complete:
            reason = shed_reason(task, left, seconds=max(0.01, ends - clock()))
        plans.append(service_plan(task, answer, shed_reason=reason, room=room, left=left))
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
