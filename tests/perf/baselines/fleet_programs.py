"""The planner's own fallbacks, as baselines of whole fleets: the joint integer program and the greedy fleets.

Both know stock only. Where other limits bind too they may therefore be cheaper than any plan that keeps them, and are
not asked.
"""

from __future__ import annotations

import math
import time
from typing import Any

from medley_planner.model import Plan, Problem
from medley_planner.optimize.program.distribute import unmet_rps
from medley_planner.optimize.program.fallback import greedy
from medley_planner.optimize.program.solve import Answer, solve_tasks
from medley_planner.optimize.task.cost import cost_per_hour
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import shared_room
from medley_planner.optimize.task.task import Task

JOINT_UP_TO = 100
GREEDY_UP_TO = 500


def fleet_baselines(problem: Problem, made: Plan, *, deadline_seconds: float) -> dict[str, Any]:
    """Parts by which both are dearer than `made`, and the joint program's time and gap; less for large fleets."""
    room = shared_room(problem)
    tasks = [prepare(service, room).first for service in problem.services]
    if len(tasks) > GREEDY_UP_TO:
        return {}
    simple = greedy(tasks, room).answers
    found: dict[str, Any] = {"greedy": _dearer(tasks, simple, made)}
    if len(tasks) > JOINT_UP_TO:
        return found
    started = time.perf_counter()
    ends = started + deadline_seconds
    joint = solve_tasks(
        tasks,
        room,
        seconds_left=lambda: max(0.0, ends - time.perf_counter()),
        relative_gap=1e-5,
        start=[answer.replicas for answer in simple],
    )
    found["joint_seconds"] = time.perf_counter() - started
    if joint is not None:
        cost = math.fsum(cost_per_hour(task, one.replicas) for task, one in zip(tasks, joint.answers, strict=True))
        found["joint"] = _dearer(tasks, joint.answers, made)
        found["joint_gap"] = (cost - joint.bound) / cost
    return found


def _dearer(tasks: list[Task], answers: tuple[Answer, ...], made: Plan) -> float | None:
    """None where some demand is left out, which makes the cost incomparable."""
    if any(unmet_rps(task, answer.split) > 0 for task, answer in zip(tasks, answers, strict=True)):
        return None
    cost = math.fsum(cost_per_hour(task, answer.replicas) for task, answer in zip(tasks, answers, strict=True))
    return cost / made.cost_per_hour - 1
