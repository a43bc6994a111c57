"""What the worker process runs: plan a problem, check it by simulation, let the independent verifier judge the plan.

Imported by the worker only, so that the operator itself never loads the solver. Pure but for the clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from medley_operator.domain.values.snapshot import FleetPlan, PlanFailure, PlanOrFailure, RoutingSaving
from medley_planner.check import CheckMemory, Subject, plan_checked
from medley_planner.explain import binding_limits, routing_savings, token_figures
from medley_planner.model import Plan, Problem
from medley_planner.optimize import plan, split_valid, verify

MAX_RULES_NAMED = 5
SAVINGS_UP_TO_SERVICES = 20
"""Of larger fleets what better routing would save is not asked: each service takes a plan of its own."""
SAVINGS_SECONDS = 2.0
"""Some ten times what twenty services take, so that equal rounds tell the same."""


_last: list[Plan] = []
"""The plan before, at most one: what a worker that lives on begins its next search from."""
_memory = CheckMemory()
"""What checks of earlier rounds found, while this worker lives."""


def plan_and_verify(problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]) -> PlanOrFailure:
    """A plan that passes every rule, or why there is none. A plan that breaks a rule is never handed out.

    Services that no plan can be made from are left out and named in the plan's `refused`.
    """
    valid, faults = split_valid(problem)
    refused = {problem.services[fault.service].name: str(fault) for fault in faults if fault.service is not None}
    checked = plan_checked(
        valid,
        subjects,
        solve=plan,
        clock=time.monotonic,
        deadline_seconds=deadline_seconds,
        last=_last[0] if _last else None,
        memory=_memory,
    )
    valid, found = checked.problem, checked.plan
    _last[:] = [found]
    violations = verify(valid, found)
    if not violations:
        return FleetPlan.of(
            found,
            routing_savings=_savings(valid, found),
            refused=refused,
            token_costs=_token_costs(valid, found),
            binding=binding_limits(valid, found),
            checked=checked.checked,
            capacity_factors=checked.factors,
        )
    named = "; ".join(
        f"{violation.service or 'fleet'}: {violation.rule.value}: {violation.message}"
        for violation in violations[:MAX_RULES_NAMED]
    )
    more = f" and {len(violations) - MAX_RULES_NAMED} more" if len(violations) > MAX_RULES_NAMED else ""
    return PlanFailure(
        reason="PlanRejected",
        message=f"the planner's own verifier refused its plan: {named}{more}; the last plan stays, "
        "please report this with the objects concerned",
    )


def _savings(problem: Problem, found: Plan) -> dict[str, RoutingSaving]:
    if len(problem.services) > SAVINGS_UP_TO_SERVICES:
        return {}
    savings = routing_savings(problem, found, seconds=SAVINGS_SECONDS)
    return {
        name: RoutingSaving(saving.next_mode, saving.saving_per_hour)
        for name, saving in savings.items()
        if saving is not None and saving.saving_per_hour > 0
    }


def _token_costs(problem: Problem, found: Plan) -> dict[str, float]:
    plans = {planned.service: planned for planned in found.services}
    costs = {each.name: token_figures(each, plans[each.name]).cost_per_million for each in problem.services}
    return {name: cost for name, cost in costs.items() if cost is not None}
