"""From a problem to a checked, verified plan, or to why there is none.

The operator's loop, the commands and users of the library all plan by `plan_fleet`, so that they cannot differ. Pure
but for the clock, which is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from medley_planner.check import CheckMemory, Subject, plan_checked
from medley_planner.check.plan import corrected
from medley_planner.clock import Clock, monotonic
from medley_planner.explain import binding_limits, routing_savings, token_figures
from medley_planner.fleet_plan import INVALID_SPEC, PLAN_REJECTED, FleetPlan, PlanFailure, RoutingSaving
from medley_planner.model import Plan, Problem
from medley_planner.optimize import Violation, plan, split_valid, verify
from medley_planner.refusal import Refusal

MAX_RULES_NAMED = 5
LEAST_SHARE = 0.25
"""The part of the deadline that there is at least for a second plan, without the services that spoil the first."""
SAVINGS_UP_TO_SERVICES = 20
"""In larger fleets the saving of better routing is not computed: each service takes a separate plan."""


def plan_fleet(
    problem: Problem,
    subjects: Mapping[str, Subject] = MappingProxyType({}),
    *,
    deadline_seconds: float = 10.0,
    savings_seconds: float = 0.0,
    last: Plan | None = None,
    memory: CheckMemory | None = None,
    clock: Clock = monotonic,
) -> FleetPlan | PlanFailure:
    """A plan that passes every rule of the verifier, or a failure with reason PlanRejected.

    Services that no plan can be made from, or whose part of a plan the verifier refuses while it blames no other, are
    left out and named in the plan's `refused`. The plans of the services in
    `subjects` are checked by simulation. `savings_seconds` go to what better routing would save; with 0 it is not
    computed. `last` is a plan of a similar problem and `memory` what earlier checks found; both make planning faster.
    `clock` gives seconds that only rise. Raises `InvalidProblem` where a pool, a power domain or a quota is at fault.
    """
    valid, faults = split_valid(problem)
    refused = {
        problem.services[fault.service].name: Refusal(INVALID_SPEC, str(fault))
        for fault in faults
        if fault.service is not None
    }
    check = partial(
        plan_checked, subjects=subjects, solve=partial(plan, clock=clock), clock=clock, last=last, memory=memory
    )
    started = clock()
    checked = check(valid, deadline_seconds=deadline_seconds)
    violations = verify(checked.problem, checked.plan)
    blamed = _blamed(violations)
    left = replace(valid, services=tuple(each for each in valid.services if each.name not in blamed))
    if blamed and left.services:
        refused |= blamed
        rest_seconds = max(deadline_seconds - (clock() - started), LEAST_SHARE * deadline_seconds)
        checked = check(left, deadline_seconds=rest_seconds)
        violations = verify(checked.problem, checked.plan)
    if violations:
        return _rejected(violations)
    used, found = checked.problem, checked.plan
    return FleetPlan.of(
        found,
        routing_savings=_savings(used, found, seconds=savings_seconds, clock=clock),
        refused=refused,
        token_costs=_token_costs(used, found),
        binding=binding_limits(used, found),
        checked=checked.checked,
        capacity_factors=checked.factors,
    )


def problem_as_planned(problem: Problem, planned: FleetPlan) -> Problem:
    """The problem that `planned`, a plan of `problem`, exactly solves: no refused services, capacities times its
    factors.

    Raises `InvalidProblem` as `plan_fleet` does.
    """
    valid, _ = split_valid(problem)
    services = tuple(service for service in valid.services if service.name not in planned.refused)
    return corrected(replace(valid, services=services), planned.capacity_factors)


def _blamed(violations: Sequence[Violation]) -> dict[str, Refusal]:
    """The services that broken rules are about; none where one is the fleet's."""
    if any(not violation.service for violation in violations):
        return {}
    return {
        violation.service: Refusal(
            PLAN_REJECTED,
            f"the independent verifier refused the plan of this service: {violation.rule.value}: {violation.message}. "
            "The other services are planned without it. Please report this with the objects involved",
        )
        for violation in reversed(violations)
    }


def _rejected(violations: Sequence[Violation]) -> PlanFailure:
    named = "; ".join(
        f"{violation.service or 'fleet'}: {violation.rule.value}: {violation.message}"
        for violation in violations[:MAX_RULES_NAMED]
    )
    more = f" and {len(violations) - MAX_RULES_NAMED} more" if len(violations) > MAX_RULES_NAMED else ""
    return PlanFailure(
        reason=PLAN_REJECTED,
        message=f"the independent verifier refused the plan: {named}{more}. Please report this with the objects "
        "involved",
    )


def _savings(problem: Problem, found: Plan, *, seconds: float, clock: Clock) -> dict[str, RoutingSaving]:
    if seconds <= 0 or len(problem.services) > SAVINGS_UP_TO_SERVICES:
        return {}
    savings = routing_savings(problem, found, seconds=seconds, clock=clock)
    return {name: saving for name, saving in savings.items() if saving is not None and saving.saving_per_hour > 0}


def _token_costs(problem: Problem, found: Plan) -> dict[str, float]:
    plans = {planned.service: planned for planned in found.services}
    costs = {each.name: token_figures(each, plans[each.name]).cost_per_million for each in problem.services}
    return {name: cost for name, cost in costs.items() if cost is not None}
