"""`plan`: one deadline, services solved one by one, and jointly only where a finite pool does not hold them all.

Services that share no finite pool do not know of each other. Those that do are first solved alone; if the answers fit
the stock together they are the optimum together as well, and only otherwise is the joint program built. Bounds add up.
More than a few that are coupled, and many that are not, are solved by columns (`many.py`).
This is the only file of the planner that reads a clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from medley_planner.model import Plan, PlanStatus, Problem, RoutingMode, ServicePlan, UnservedReason
from medley_planner.optimize.assemble import service_plan
from medley_planner.optimize.columns import servable
from medley_planner.optimize.coverage import prepare
from medley_planner.optimize.distribute import unmet_rps
from medley_planner.optimize.fallback import floor_per_hour, greedy
from medley_planner.optimize.many import solve_many
from medley_planner.optimize.maxima import maxima_forbid
from medley_planner.optimize.polish import polish, rank
from medley_planner.optimize.solve import Answer, Answers, cost_per_hour, solve_tasks
from medley_planner.optimize.stock import finite_stocks, fits, left_after
from medley_planner.optimize.task import Task
from medley_planner.optimize.validate import validate

_FEW = 3
"""Up to so many services a group is solved by the joint program alone."""
_WRITE_SECONDS = 0.0008
"""What making the plan of one service from its replicas takes, measured; kept back from the deadline."""
_REASON_SECONDS = 0.2
"""What finding out which limits bind may take, on top of the deadline; it takes some milliseconds a service."""


def plan(problem: Problem, *, deadline_seconds: float = 10.0, relative_gap: float = 1e-5) -> Plan:
    """The cheapest plan for all services, with what it proves; a plan for every well-formed problem.

    Equal problems give equal plans unless the deadline binds, `solve_seconds` apart. Where it binds the best plan so
    far is kept as `Feasible` with its gap. Demand that cannot be served is left out and listed; replicas short of a
    minimum that maxima or stock contradict make a service `Partial`, even with nothing unserved. The bound of a plan
    that leaves out demand is on the cost of serving as much as it does.

    Raises `InvalidProblem` for values that make no sense. The plan is not checked here: callers `verify` it.
    """
    started = time.monotonic()
    validate(problem)
    ends = started + deadline_seconds - min(deadline_seconds / 2, _WRITE_SECONDS * len(problem.services))
    stocks = finite_stocks(problem.pools)
    groups = _gathered(problem, _coupled(problem, stocks))
    planned: dict[int, tuple[Task, Answer]] = {}
    bound = 0.0
    for position, group in enumerate(groups):

        def seconds_left(done: int = position) -> float:
            return max(0.0, ends - time.monotonic()) / (len(groups) - done)

        tasks, answers = _solve_group(problem, group, stocks, seconds_left=seconds_left, relative_gap=relative_gap)
        planned |= dict(zip(group, zip(tasks, answers.answers, strict=True), strict=True))
        bound += answers.bound
    services = _assemble(problem, planned, stocks)
    cost = math.fsum(service.cost_per_hour for service in services)
    bound = min(bound, cost)
    return Plan(
        status=_fleet_status(services),
        services=services,
        cost_per_hour=cost,
        lower_bound_per_hour=bound,
        gap=(cost - bound) / cost if cost > 0 else 0.0,
        solve_seconds=time.monotonic() - started,
    )


def _coupled(problem: Problem, stocks: Mapping[str, int]) -> list[list[int]]:
    """Services (by index) that finite pools tie together, in the problem's order."""
    joined = list(range(len(problem.services)))

    def group_of(index: int) -> int:
        while joined[index] != index:
            joined[index] = joined[joined[index]]
            index = joined[index]
        return index

    first_user: dict[str, int] = {}
    for index, service in enumerate(problem.services):
        for pool in sorted({variant.pool for variant in service.variants} & stocks.keys()):
            mine, theirs = group_of(index), group_of(first_user.setdefault(pool, index))
            joined[max(mine, theirs)] = min(mine, theirs)
    groups: dict[int, list[int]] = {}
    for index in range(len(problem.services)):
        groups.setdefault(group_of(index), []).append(index)
    return [groups[first] for first in sorted(groups)]


def _gathered(problem: Problem, groups: list[list[int]]) -> list[list[int]]:
    """Services that are alone in their groups as one group, if there are many: their configurations are found in one
    pass. Not those that are routed by size, each of which takes a program of its own in any case."""
    alone = [
        group[0]
        for group in groups
        if len(group) == 1 and problem.services[group[0]].routing is not RoutingMode.PER_BUCKET
    ]
    if len(alone) <= _FEW:
        return groups
    return [*(group for group in groups if group[0] not in alone), alone]


def _solve_group(
    problem: Problem,
    group: Sequence[int],
    stocks: Mapping[str, int],
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> tuple[list[Task], Answers]:
    """The group's own pools are finite in `stocks`; no other group uses them."""
    if len(group) > _FEW:
        return _solve_many(problem, group, stocks, seconds_left=seconds_left, relative_gap=relative_gap)
    tasks: list[Task] = []
    alone: list[Answers] = []
    for done, index in enumerate(group):
        # Half of the time stays for the joint program, which is the harder one.
        parts = 1 if len(group) == 1 else 2 * (len(group) - done)
        task, answers = _solve_alone(
            prepare(problem.services[index], stocks),
            stocks,
            seconds_left=lambda parts=parts: seconds_left() / parts,  # type: ignore[misc]
            relative_gap=relative_gap,
        )
        tasks.append(task)
        alone.append(answers)
    left = dict(stocks)
    for task, answers in zip(tasks, alone, strict=True):
        left = left_after(left, task, answers.answers[0].replicas)
    if fits(left):
        return tasks, Answers(tuple(one.answers[0] for one in alone), math.fsum(one.bound for one in alone))
    joint = _solve_jointly(tasks, stocks, seconds_left=seconds_left, relative_gap=relative_gap)
    # What each service costs alone bounds what it costs among others, as long as it serves as much.
    floors = (
        one.bound if rank(task, one.answers[0])[:2] == rank(task, answer)[:2] else 0.0
        for task, one, answer in zip(tasks, alone, joint.answers, strict=True)
    )
    return tasks, _bounded(tasks, Answers(joint.answers, max(joint.bound, math.fsum(floors))))


def _solve_many(
    problem: Problem,
    group: Sequence[int],
    stocks: Mapping[str, int],
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> tuple[list[Task], Answers]:
    candidates = [prepare(problem.services[index], stocks) for index in group]
    tasks = [choices[0] for choices in candidates]
    open_rows = [row for row, choices in enumerate(candidates) if len(choices) > 1]
    if open_rows:
        # Which part of the demand to serve depends on what fits; mostly all that any one variant covers does.
        whole = servable([tasks[row] for row in open_rows], stocks)
        for row in (row for row, served in zip(open_rows, whole, strict=True) if not served):
            tasks[row], _ = _solve_alone(
                candidates[row], stocks, seconds_left=lambda: 0.02 * seconds_left(), relative_gap=relative_gap
            )
    answers = solve_many(tasks, stocks, seconds_left=seconds_left, relative_gap=relative_gap)
    return tasks, _bounded(tasks, answers)


def _solve_jointly(
    tasks: Sequence[Task], stocks: Mapping[str, int], *, seconds_left: Callable[[], float], relative_gap: float
) -> Answers:
    """A simple plan first, bettered service by service: it is there if time runs out, and a start for the solver."""
    first_ends = 0.8 * seconds_left()
    simple = polish(
        tasks,
        greedy(tasks, stocks).answers,
        stocks,
        seconds_left=lambda: seconds_left() - first_ends,
        relative_gap=relative_gap,
    )
    last_ends = 0.2 * seconds_left()
    solved = solve_tasks(
        tasks,
        stocks,
        seconds_left=lambda: seconds_left() - last_ends,
        relative_gap=relative_gap,
        start=[answer.replicas for answer in simple],
    )
    if solved is not None and solved.proven:
        return solved
    bound = solved.bound if solved is not None else -math.inf
    best = solved.answers if solved is not None and _rank(tasks, solved.answers) < _rank(tasks, simple) else simple
    return Answers(polish(tasks, best, stocks, seconds_left=seconds_left, relative_gap=relative_gap), bound)


def _solve_alone(
    candidates: tuple[Task, ...],
    stocks: Mapping[str, int],
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
) -> tuple[Task, Answers]:
    """The first candidate if its demand fits; else the one that leaves least of the service's demand unserved."""
    best: tuple[float, Task, Answers] | None = None
    for task in candidates:
        solved = solve_tasks([task], stocks, seconds_left=seconds_left, relative_gap=relative_gap)
        answers = _never_worse_than_greedy([task], solved, stocks)
        missed = unmet_rps(task, answers.answers[0].split) + math.fsum(entry.rate_rps for entry in task.unserved)
        if best is None or missed < best[0] * (1 - 1e-9):
            best = missed, task, answers
        if answers.answers[0].split.complete:
            break
    if best is None:
        raise AssertionError("a service always has a candidate")
    return best[1], best[2]


def _never_worse_than_greedy(tasks: Sequence[Task], solved: Answers | None, stocks: Mapping[str, int]) -> Answers:
    """An unproven answer must at least beat the simple fleets; the bound holds for whichever is taken."""
    if solved is not None and solved.proven:
        return _bounded(tasks, solved)
    simple = greedy(tasks, stocks)
    if solved is None:
        return _bounded(tasks, simple)
    better = simple.answers if _rank(tasks, simple.answers) < _rank(tasks, solved.answers) else solved.answers
    return _bounded(tasks, Answers(better, solved.bound))


def _bounded(tasks: Sequence[Task], answers: Answers) -> Answers:
    """With the better of the solver's bound and the one that needs no solver, which is never above the cost."""
    floors = (floor_per_hour(task, answer.split) for task, answer in zip(tasks, answers.answers, strict=True))
    cost = math.fsum(cost_per_hour(task, answer.replicas) for task, answer in zip(tasks, answers.answers, strict=True))
    return Answers(answers.answers, min(cost, max(answers.bound, math.fsum(floors))))


def _rank(tasks: Sequence[Task], answers: Sequence[Answer]) -> tuple[float, ...]:
    """The answers' ranks, added up level by level."""
    ranks = [rank(task, answer) for task, answer in zip(tasks, answers, strict=True)]
    return tuple(round(math.fsum(level), 9) for level in zip(*ranks, strict=True))


def _assemble(
    problem: Problem,
    planned: Mapping[int, tuple[Task, Answer]],
    stocks: Mapping[str, int],
) -> tuple[ServicePlan, ...]:
    left = dict(stocks)
    for task, answer in planned.values():
        left = left_after(left, task, answer.replicas)
    plans = []
    ends = time.monotonic() + _REASON_SECONDS
    for index in range(len(problem.services)):
        task, answer = planned[index]
        reason = UnservedReason.STOCK
        if not answer.split.complete and maxima_forbid(task, seconds=ends - time.monotonic()):
            reason = UnservedReason.MAX_REPLICAS
        plans.append(service_plan(task, answer, shed_reason=reason, stocks=stocks, left=left))
    return tuple(plans)


def _fleet_status(services: Sequence[ServicePlan]) -> PlanStatus:
    """The worst of the services; infeasible only where none could be planned."""
    statuses = {service.status for service in services}
    if statuses == {PlanStatus.INFEASIBLE}:
        return PlanStatus.INFEASIBLE
    if statuses & {PlanStatus.INFEASIBLE, PlanStatus.PARTIAL}:
        return PlanStatus.PARTIAL
    return PlanStatus.FEASIBLE if PlanStatus.FEASIBLE in statuses else PlanStatus.OPTIMAL
