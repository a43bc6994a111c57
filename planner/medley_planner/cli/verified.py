"""A plan that has passed the verifier, for commands: none prints one that has not."""

from __future__ import annotations

import time
from collections.abc import Mapping

from medley_planner.check import CheckedPlan, Subject, plan_checked
from medley_planner.model import Plan, Problem
from medley_planner.optimize import plan, verify


def plan_verified(problem: Problem, *, deadline_seconds: float) -> Plan:
    """Raises `InvalidProblem`; a plan that breaks its own rules is a fault of the planner and stops the command."""
    planned = plan(problem, deadline_seconds=deadline_seconds)
    _verify(problem, planned)
    return planned


def plan_simulated(problem: Problem, subjects: Mapping[str, Subject], *, deadline_seconds: float) -> CheckedPlan:
    """The plan, also checked by simulation where `subjects` has the service; raises as `plan_verified` does."""
    checked = plan_checked(problem, subjects, solve=plan, clock=time.monotonic, deadline_seconds=deadline_seconds)
    _verify(checked.problem, checked.plan)
    return checked


def _verify(problem: Problem, planned: Plan) -> None:
    violations = verify(problem, planned)
    if violations:
        raise AssertionError(f"the plan breaks its own rules: {violations}")
