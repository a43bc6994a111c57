"""The work of the worker process: the planner's `plan_fleet`, with what this process remembers of its last round.

Apart: the worker loads it by name, so that the operator itself never loads the optimiser.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from medley_planner.check import CheckMemory, Subject
from medley_planner.fleet_plan import FleetPlan, PlanFailure
from medley_planner.model import Plan, Problem
from medley_planner.planning import plan_fleet

LOWEST_PRIORITY = 19
SAVINGS_SECONDS = 2.0
"""Some ten times what twenty services take, so that equal rounds report the same."""

_last: list[Plan] = []
"""The plan before, at most one: what a worker that lives on begins its next search from."""
_memory = CheckMemory()
"""The findings of checks of earlier rounds, while this worker lives."""


def plan_and_verify(
    problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]
) -> FleetPlan | PlanFailure:
    """A plan that passes every rule, or why there is none. A plan that breaks a rule is never handed out."""
    outcome = plan_fleet(
        problem,
        subjects,
        deadline_seconds=deadline_seconds,
        savings_seconds=SAVINGS_SECONDS,
        last=_last[0] if _last else None,
        memory=_memory,
    )
    if isinstance(outcome, FleetPlan):
        _last[:] = [outcome]
    return outcome


def plan_question(
    problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]
) -> FleetPlan | PlanFailure:
    """A plan that nobody acts on, made while nobody waits: without what better routing would save."""
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST_PRIORITY)
    return plan_fleet(problem, subjects, deadline_seconds=deadline_seconds)
