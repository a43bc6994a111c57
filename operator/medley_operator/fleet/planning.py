"""What the worker process runs: plan a problem, then let the independent verifier judge the plan.

Imported by the worker only, so that the operator itself never loads the solver. Pure.
"""

from __future__ import annotations

from medley_operator.domain.snapshot import PlanFailure, PlanOutcome
from medley_planner.model import Problem
from medley_planner.optimize import plan, verify

MAX_RULES_NAMED = 5


def plan_and_verify(problem: Problem, deadline_seconds: float) -> PlanOutcome:
    """A plan that passes every rule, or why there is none. A plan that breaks a rule is never handed out."""
    found = plan(problem, deadline_seconds=deadline_seconds)
    violations = verify(problem, found)
    if not violations:
        return found
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
