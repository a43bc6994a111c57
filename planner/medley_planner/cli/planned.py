"""How a command plans: by `plan_fleet`, and what it does where there is no plan that it may print.

A separate file, because `solve` and `explain` of the planner and `plan` and `explain` of the operator share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medley_planner.check import Subject
from medley_planner.fleet_plan import FleetPlan, PlanFailure
from medley_planner.model import Problem
from medley_planner.optimize.validate.problem import validate
from medley_planner.planning import plan_fleet


class NoPlan(Exception):
    """There is no plan to print. `reason` is stable, the message says why."""

    def __init__(self, failure: PlanFailure) -> None:
        super().__init__(f"{failure.reason}: {failure.message}")
        self.reason = failure.reason


def plan_or_raise(
    problem: Problem, subjects: Mapping[str, Subject] = MappingProxyType({}), *, deadline_seconds: float
) -> FleetPlan:
    """The plan of all services that can be planned. Raises `NoPlan`, and `InvalidProblem` as `plan_fleet` does."""
    outcome = plan_fleet(problem, subjects, deadline_seconds=deadline_seconds)
    if isinstance(outcome, PlanFailure):
        raise NoPlan(outcome)
    return outcome


def plan_all_or_raise(problem: Problem, *, deadline_seconds: float) -> FleetPlan:
    """The plan of all services; raises `InvalidProblem` for the first that no plan can be made from, and `NoPlan`."""
    validate(problem)
    return plan_or_raise(problem, deadline_seconds=deadline_seconds)
