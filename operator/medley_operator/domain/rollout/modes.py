"""The effect of a service's mode on its new plan: it is acted on, waits for a person, or is only shown. Pure.

`in_mode` turns the goal that follows from the plan into the goal that is acted on. What is in force is a `Target`; the
status holds it (`status.target`, and the replicas in `status.variants`), so that a restart goes on with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medley_operator.api.v1alpha1 import APPROVED_PLAN, APPROVED_UNTIL, ActingMode, LLMService
from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.decision import plan_id
from medley_operator.domain.rollout.goals import Goal, GoalKind
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.conditions import ConditionStatus, PlanReason
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.memories import Target, TargetReason
from medley_planner.refusal import Refusal
from medley_planner.units import per_hour

MOST_REPLICAS = 2**31 - 1
"""Kubernetes' limit on spec.replicas of a Deployment; this operator does not write a status above it."""


def desired_of(service: LLMService) -> dict[str, int]:
    """Replicas in force by variant, as the status says."""
    return {row.name: row.desired for row in service.status.variants if 0 < row.desired <= MOST_REPLICAS}


def target_of(candidate: ServiceCandidate) -> Target | None:
    """The target in force: as remembered, and after a restart as the status says; None where nothing is."""
    if candidate.memory.target is not None:
        return candidate.memory.target
    shown, replicas = candidate.service.status.target, desired_of(candidate.service)
    if shown is None or not replicas:
        return None
    return Target(plan_id=shown.plan_id, since=shown.since, reason=shown.reason, replicas=replicas)


def paused(candidate: ServiceCandidate) -> Refusal:
    """Why a paused service is not planned."""
    return Refusal(
        PlanReason.PAUSED,
        f"{_source(candidate)} is Paused: no plan is made, and Deployments, Services and the HTTPRoute stay as they "
        "are. Another mode ends it",
    )


def kept_in_force(goal: Goal, candidate: ServiceCandidate) -> Goal:
    """The goal of a service that is left alone because of a fault: its target outlives the fault."""
    return replace(goal, target=target_of(candidate))


def in_mode(goal: Goal, candidate: ServiceCandidate, running: Mapping[str, RunningVariant], *, now: str) -> Goal:
    """The goal to act on, and the target in force with it. `now` is RFC 3339 in UTC."""
    target = target_of(candidate)
    if candidate.mode is ActingMode.PAUSED:
        replicas = {name: each.replicas for name, each in running.items()} | dict(candidate.last_replicas)
        return replace(
            goal,
            kind=GoalKind.KEPT,
            status=ConditionStatus.UNKNOWN,
            replicas=dict(sorted(replicas.items())),
            target=target,
        )
    if candidate.mode is ActingMode.ADVISORY:
        return _advice(goal, candidate, running)
    if candidate.mode is ActingMode.APPROVE:
        return _approved(goal, candidate, running, target=target, now=now)
    return _in_force(goal, candidate, target, reason=TargetReason.PLANNED, now=now)


def _in_force(
    goal: Goal, candidate: ServiceCandidate, target: Target | None, *, reason: TargetReason, now: str
) -> Goal:
    """Acts on the goal. A plan of other replicas is a new target."""
    if goal.kind is not GoalKind.PLANNED or (target is not None and target.replicas == goal.replicas):
        return replace(goal, target=target)
    return replace(goal, target=Target(_plan_id(goal, candidate), now, reason, dict(goal.replicas)))


def _advice(goal: Goal, candidate: ServiceCandidate, running: Mapping[str, RunningVariant]) -> Goal:
    as_it_is = {name: each.replicas for name, each in running.items()}
    shown = replace(goal, kind=GoalKind.KEPT, replicas=as_it_is, target=None)
    if goal.kind is not GoalKind.PLANNED:
        return shown
    message = (
        f"{goal.message}. {_source(candidate)} is Advisory: this plan is only shown, and replicas stay as they are. "
        "Another mode ends it"
    )
    return replace(shown, reason=PlanReason.ADVISORY, message=message)


def _approved(
    goal: Goal,
    candidate: ServiceCandidate,
    running: Mapping[str, RunningVariant],
    *,
    target: Target | None,
    now: str,
) -> Goal:
    as_it_is = {name: each.replicas for name, each in running.items()}
    if goal.kind is not GoalKind.PLANNED:
        if goal.kind is GoalKind.HELD and target is None:
            # Nothing was approved yet, so there is nothing that what runs could be held to.
            return replace(goal, kind=GoalKind.KEPT, replicas=as_it_is)
        return replace(goal, target=target)
    if target is not None and target.replicas == goal.replicas:
        return replace(goal, target=target)
    waiting = _plan_id(goal, candidate)
    fault = _fault_of_approval(candidate.service, waiting, now=now)
    if fault == "":
        return _in_force(goal, candidate, target, reason=TargetReason.APPROVED, now=now)
    message = _waiting_message(goal, candidate, target, waiting)
    return replace(
        goal,
        kind=GoalKind.HELD if target is not None else GoalKind.KEPT,
        replicas=dict(target.replicas) if target is not None else as_it_is,
        reason=PlanReason.AWAITING_APPROVAL,
        message=message if fault is None else f"{message}. {fault}",
        target=target,
    )


def _fault_of_approval(service: LLMService, waiting: str, *, now: str) -> str | None:
    """Why the approval of a person does not count for the plan that waits; "" where it does, None without one."""
    given = service.metadata.annotations
    approved = given.get(APPROVED_PLAN, "")
    if not approved:
        return None
    if approved != waiting:
        return f"The annotation {APPROVED_PLAN} names plan {approved[:64]}, which does not wait, so it does not count"
    until = given.get(APPROVED_UNTIL, "")
    ends, at = unix_seconds(until), unix_seconds(now)
    if ends is None or at is None:
        return (
            f'The annotation {APPROVED_UNTIL} is "{until[:64]}" and not a time such as 2026-11-27T13:00:00Z, so the '
            "approval does not count"
        )
    return "" if at < ends else f"The approval of this plan ended at {until}"


def _waiting_message(goal: Goal, candidate: ServiceCandidate, target: Target | None, waiting: str) -> str:
    before = candidate.service.status.in_force_cost_per_hour_usd
    after = per_hour(goal.plan.cost_per_hour) if goal.plan is not None else ""
    change = f"the cost changes from {per_hour(before)} to {after}" if target is not None else f"the cost is {after}"
    kept = "until then the last approved plan stays in force" if target is not None else "until then nothing is changed"
    return (
        f"plan {waiting} waits for approval: {change}. medley approve {candidate.key.problem_name} {waiting} approves "
        f"it; {kept}. The plan: {goal.message}"
    )


def _plan_id(goal: Goal, candidate: ServiceCandidate) -> str:
    if goal.plan is None or candidate.choice is None:
        raise AssertionError(f"{candidate.key} is planned without a plan or a load")
    return plan_id(goal.plan, candidate.choice.demand)


def _source(candidate: ServiceCandidate) -> str:
    """The setting that the mode comes from."""
    return "spec.scaling.mode" if candidate.service.spec.scaling.mode is candidate.mode else "--mode of the operator"
