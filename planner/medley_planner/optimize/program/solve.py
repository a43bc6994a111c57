"""Solves tasks that are planned together: all demand if that can be, else as much as can be, at least cost.

The order is lexicographic. Everything hard first. Only where that is proven impossible is demand made soft: least unmet
demand, of high priority first, then least cost at that. Only where even that is impossible, as minima contradict maxima
or what is shared, are minima made soft as well and the replicas short of them kept fewest, before all else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from medley_planner.model import Priority
from medley_planner.optimize.program.distribute import Split, distribute, unmet_rps
from medley_planner.optimize.program.formulation import Formulation, formulate
from medley_planner.optimize.program.linear_program import Proof, SolveResult
from medley_planner.optimize.program.mip import solve_integer
from medley_planner.optimize.task.coverage import Coverage
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import obeys
from medley_planner.optimize.task.task import Cut, Task

_LEVEL_TOLERANCE = 1e-7
"""How far a later level of the lexicographic order may give up what an earlier one reached."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Replicas and shares of one task. `proven` says that no better ones exist (to the relative gap)."""

    replicas: tuple[int, ...]
    split: Split
    proven: bool


@dataclass(frozen=True, slots=True, eq=False)
class UnservedFloor:
    """No plan that leaves out at most `most[r]` requests per second of each priority (by its rank r) before one leaves
    out less than `least[r]` of that."""

    most: tuple[float, ...]
    least: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """One answer for each task, and a lower bound on the objective (cost, idle parts of nodes, switching) per hour of
    serving the same demand."""

    answers: tuple[Answer, ...]
    bound: float
    prices: Mapping[int, float] = field(default_factory=dict)
    """The saving per hour of one more of each row of the room in the relaxation behind the bound, where there is
    one."""
    floor: UnservedFloor | None = None
    """How little demand any plan leaves out, where that was found out already."""

    @property
    def proven(self) -> bool:
        return all(answer.proven for answer in self.answers)


def fleet_of(tasks: Sequence[Task], answers: Sequence[Answer]) -> list[tuple[Task, tuple[int, ...]]]:
    """Each task with its replicas."""
    return [(task, answer.replicas) for task, answer in zip(tasks, answers, strict=True)]


def solve_tasks(
    tasks: Sequence[Task],
    room: Room,
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
    start: Sequence[Sequence[int]] = (),
    serve_all: bool = False,
    node_limit: int | None = None,
) -> Answers | None:
    """None where the time ran out before any plan was found, and with `serve_all` where not all demand can be served.
    `start`: replicas by task for the solver to begin with; each program searches at most `node_limit` nodes."""
    firm = formulate(tasks, room, soft_demand=False, soft_minima=False)
    hint = {
        column: float(count)
        for columns, counts in zip(firm.replicas, start, strict=False)
        for column, count in zip(columns, counts, strict=True)
    }
    program = firm.builder.minimise(firm.cost)
    solve = partial(solve_integer, relative_gap=relative_gap, cuts=len(tasks) > 1, node_limit=node_limit)
    outcome = solve(program, seconds=seconds_left(), hint=hint)
    if outcome.proof is Proof.INFEASIBLE and not serve_all:
        for soft_minima in (False, True):
            soft = formulate(tasks, room, soft_demand=True, soft_minima=soft_minima)
            outcome = _solve_levels(soft, solve, seconds_left=seconds_left)
            if outcome.proof is not Proof.INFEASIBLE:
                return _read(tasks, room, soft, outcome)
    return _read(tasks, room, firm, outcome)


def solve_choosing(
    coverages: Sequence[Coverage],
    room: Room,
    *,
    seconds_left: Callable[[], float],
    relative_gap: float,
    node_limit: int | None = None,
) -> tuple[list[Task], Answers] | None:
    """Services of which not all demand can be served: what each leaves out is chosen together with the replicas of all,
    least unmet demand first. The tasks are those with the chosen cuts; None where the time or the nodes ran out."""
    widest = [coverage.widest for coverage in coverages]
    cuts = [coverage.cuts() for coverage in coverages]
    solve = partial(solve_integer, relative_gap=relative_gap, cuts=len(coverages) > 1, node_limit=node_limit)
    for soft_minima in (False, True):
        made = formulate(widest, room, soft_demand=True, soft_minima=soft_minima, cuts=cuts)
        outcome = _solve_levels(made, solve, seconds_left=seconds_left)
        if outcome.proof is not Proof.INFEASIBLE:
            break
    if not outcome.solved:
        return None
    tasks = [
        coverage.task([_taken(each, columns, outcome) for each, columns in zip(own, chosen, strict=True)])
        for coverage, own, chosen in zip(coverages, cuts, made.choices, strict=True)
    ]
    answers = _read(tasks, room, made, outcome)
    return None if answers is None else (tasks, answers)


def _taken(cuts: Sequence[Cut], columns: Sequence[Sequence[int]], outcome: SolveResult) -> Cut:
    """The cut of a class that the solution takes: the first one where it serves none."""
    taken = (cut for cut, own in zip(cuts, columns, strict=True) if any(outcome.values[column] > 0.5 for column in own))
    return next(taken, cuts[0])


def _solve_levels(
    made: Formulation, solve: Callable[..., SolveResult], *, seconds_left: Callable[[], float]
) -> SolveResult:
    reached: SolveResult | None = None
    proven = True
    for level in (made.shortfall, *(made.unmet.get(priority) for priority in Priority)):
        if not level:
            continue
        outcome = solve(made.builder.minimise(level), seconds=seconds_left())
        if not outcome.solved:
            return _unproven(reached) if reached is not None else outcome
        reached = outcome
        proven = proven and outcome.proof is Proof.OPTIMAL
        best = math.fsum(weight * outcome.values[column] for column, weight in level.items())
        made.builder.row(level, upper=best + _LEVEL_TOLERANCE)
    outcome = solve(made.builder.minimise(made.cost), seconds=seconds_left())
    if not outcome.solved:
        return _unproven(reached) if reached is not None else outcome
    return outcome if proven else SolveResult(Proof.INCUMBENT, outcome.values, outcome.bound)


def _unproven(outcome: SolveResult) -> SolveResult:
    """A solution of an earlier level: its bound is one on unmet demand, not on cost."""
    return SolveResult(Proof.INCUMBENT, outcome.values)


def _read(tasks: Sequence[Task], room: Room, made: Formulation, outcome: SolveResult) -> Answers | None:
    if not outcome.solved:
        return None
    counts = [[max(0, round(outcome.values[column])) for column in columns] for columns in made.replicas]
    free = room.after_all(zip(tasks, counts, strict=True))
    answers: list[Answer] = []
    for task, replicas in zip(tasks, counts, strict=True):
        answer = Answer(tuple(replicas), distribute(task, replicas), outcome.proof is Proof.OPTIMAL)
        if not made.unmet and not answer.split.complete:
            better = _repaired(task, answer, free)
            free = free.after(task, [new - old for new, old in zip(better.replicas, answer.replicas, strict=True)])
            answer = better
        answers.append(answer)
    return Answers(tuple(answers), outcome.bound)


def _repaired(task: Task, answer: Answer, free: Room) -> Answer:
    """One replica more where the solver's tolerance counted one too few; the least costly that closes the gap."""
    most = task.service.max_replicas
    if most is not None and sum(answer.replicas) >= most:
        return answer
    for index in sorted(range(len(task.variants)), key=lambda index: task.cost[index]):
        count = answer.replicas[index] + 1
        if not task.able[index] or count > task.caps[index] or free.most(task.variants[index]) < 1:
            continue
        replicas = (*answer.replicas[:index], count, *answer.replicas[index + 1 :])
        split = distribute(task, replicas)
        if split.complete and obeys(task, replicas) and unmet_rps(task, split) < unmet_rps(task, answer.split):
            return Answer(replicas, split, False)
    return answer
