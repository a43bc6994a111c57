"""A plan that has passed the verifier, for commands: none prints one that has not."""

from __future__ import annotations

from medley_planner.model import Plan, Problem
from medley_planner.optimize import plan, verify


def plan_verified(problem: Problem, *, deadline_seconds: float) -> Plan:
    """Raises `InvalidProblem`; a plan that breaks its own rules is a fault of the planner and stops the command."""
    planned = plan(problem, deadline_seconds=deadline_seconds)
    violations = verify(problem, planned)
    if violations:
        raise AssertionError(f"the plan breaks its own rules: {violations}")
    return planned
