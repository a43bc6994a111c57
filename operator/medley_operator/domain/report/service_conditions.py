"""The conditions of one LLMService: `SERVICE_CONDITIONS`, each with its type and how it is judged. Pure.

A condition rests on what this round has seen or decided. Where there is nothing to judge it is Unknown, never True
because nothing speaks against it. A new condition is a function and a row of the tuple in this file, and a row in
docs/reference.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import Condition
from medley_operator.domain.cluster.start_failures import runnable
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.engine.workloads import WORKLOADS
from medley_operator.domain.report.others import changes_by_others, conflict_message, paused_message
from medley_operator.domain.report.pod_troubles import (
    gated_message,
    is_unschedulable,
    pod_trouble,
    replica_failure,
    stranded_message,
)
from medley_operator.domain.report.power_condition import NOT_CONFIRMED, POWER_WITHIN_BUDGET, power_within_budget
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.routing.routers import router_of
from medley_operator.domain.values.conditions import ConditionStatus, Draft, PlanReason, find
from medley_operator.domain.values.labels import DISRUPTION_BUDGET
from medley_operator.domain.values.snapshot import MetricsReason
from medley_planner.refusal import Refusal
from medley_planner.units import percent

READY, PLAN_READY = "Ready", "PlanReady"
METRICS_AVAILABLE, CAPACITY_AVAILABLE = "MetricsAvailable", "CapacityAvailable"
WORKLOADS_READY, ROUTING_READY = "WorkloadsReady", "RoutingReady"
MODEL_NAME_UNIQUE, SLO_ATTAINABLE = "ModelNameUnique", "SLOAttainable"
CHILDREN_UNCHANGED = "ChildrenUnchanged"
WITHIN_POLICY = "WithinPolicy"
NOT_PLANNED = "NotPlanned"
"""Reason of a condition that is Unknown."""

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def _ready(outcome: ServiceDecision) -> Draft:
    ready, desired = outcome.ready_replicas, outcome.desired_replicas
    if ready > 0:
        return Draft(_TRUE, "Serving", f"{ready} of {desired} replicas are Ready")
    if desired > 0:
        return Draft(_FALSE, "NoReadyReplicas", f"0 of {desired} replicas are Ready")
    if outcome.goal.kind is GoalKind.PLANNED:
        message = "the plan has no replicas, because there is no load and spec.scaling.minReplicas is 0"
        if outcome.goal.status is _FALSE:
            message = outcome.goal.message
        return Draft(_FALSE, "NoReadyReplicas", message)
    if outcome.goal.plan is not None:
        return Draft(_FALSE, "NoReadyReplicas", f"no replica runs; {outcome.goal.message}")
    message = f"no replica serves, because there is no plan ({outcome.goal.reason}: {outcome.goal.message})"
    return Draft(_FALSE, "NoPlan", message, sticky_message=outcome.goal.sticky_message)


def _metrics(outcome: ServiceDecision) -> Draft:
    choice = outcome.candidate.choice
    if choice is None:
        return Draft(_UNKNOWN, NOT_PLANNED, "unknown, because the service is not planned")
    if choice.reason in (MetricsReason.FOUND, MetricsReason.STATIC):
        return Draft(_TRUE, choice.reason, choice.message)
    return Draft(_FALSE, choice.reason, choice.message, sticky_message=True)


def _plan(outcome: ServiceDecision) -> Draft:
    goal = outcome.goal
    stuck = _asked_in_vain(outcome)
    if goal.reason == PlanReason.OPTIMAL and stuck:
        message = (
            f"{goal.message} if they started: replicas of {', '.join(stuck)} cannot start (WorkloadsReady says why), "
            "and nothing else can serve; do what it says, or add a GPUPool"
        )
        return Draft(goal.status, PlanReason.FEASIBLE, message)
    return Draft(goal.status, goal.reason, goal.message, sticky_message=goal.sticky_message)


def _asked_in_vain(outcome: ServiceDecision) -> list[str]:
    """Variants whose replicas could not start for longer than they are given, and of which the plan asks for more than
    can run all the same."""
    failed = {failure.variant for failure in outcome.candidate.start_failures}
    return [row.name for row in outcome.rows if row.name in failed and row.desired > runnable(row.name, outcome.pods)]


def _capacity(outcome: ServiceDecision) -> Draft:
    """Judges the current plan, which may be the last one."""
    goal = outcome.goal
    if goal.shortage is not None:
        # Without a plan the load is not remembered, so its figures would move each round.
        return Draft(_FALSE, goal.shortage.reason, goal.shortage.message, sticky_message=goal.plan is None)
    unplaced = pod_trouble([pod for pod in outcome.pods if is_unschedulable(pod)])
    if unplaced is not None:
        return Draft(_FALSE, unplaced.reason, unplaced.message, sticky_message=True)
    if outcome.stranded:
        return Draft(_FALSE, "NodeLeaving", stranded_message(outcome.stranded))
    if goal.plan is not None:
        return Draft(_TRUE, "Sufficient", "the pools have enough GPUs for the plan")
    previous = find(outcome.candidate.service.status.conditions, CAPACITY_AVAILABLE)
    if previous is not None and outcome.rows:
        return Draft.of(previous)
    return Draft(_UNKNOWN, NOT_PLANNED, "unknown, because the service is not planned")


def _workloads(outcome: ServiceDecision) -> Draft:
    conflicts = [conflict for conflict in outcome.writes.conflicts if conflict.key.kind in WORKLOADS]
    if conflicts:
        return Draft(_FALSE, "NameConflict", conflict_message(conflicts))
    if not outcome.rows:
        return Draft(_UNKNOWN, NOT_PLANNED, "unknown, because no replica is planned and none runs")
    paused = [variant for _, variant in sorted(outcome.running.items()) if variant.paused]
    if paused:
        return Draft(_FALSE, "Paused", paused_message(outcome.candidate.key.namespace, paused))
    trouble = replica_failure(outcome.running.values()) or pod_trouble(outcome.pods)
    if trouble is not None:
        return Draft(_FALSE, trouble.reason, trouble.message, sticky_message=True)
    stalled = [variant.object_name for _, variant in sorted(outcome.running.items()) if variant.stalled]
    if stalled:
        message = (
            f"the rollout of Deployment {', '.join(stalled)} has not moved for its deadline; see its pods (kubectl "
            f"describe pods -n {outcome.candidate.key.namespace}), and correct what they wait for or the last change"
        )
        return Draft(_FALSE, "RolloutStalled", message)
    waiting = [f"{row.name} {row.ready}/{row.desired}" for row in outcome.rows if row.ready < row.desired]
    if waiting and outcome.goal.reason == PlanReason.PAUSED:
        message = f"nothing is changed, so Ready replicas may stay fewer than in force: {', '.join(waiting)}"
        return Draft(_FALSE, "Paused", message)
    if waiting:
        held_back = gated_message(outcome.pods)
        message = f"waiting for replicas to become Ready: {', '.join(waiting)}{held_back}"
        return Draft(_FALSE, "Progressing", message)
    if outcome.writes.waiting_templates:
        named = ", ".join(outcome.writes.waiting_templates)
        return Draft(_FALSE, "Progressing", f"one variant after the other gets its new pod template; waiting: {named}")
    leaving = [
        f"{name} {count} → {outcome.targets.desired.get(name, 0)}"
        for name, count in sorted(outcome.targets.replicas.items())
        if count > outcome.targets.desired.get(name, 0)
    ]
    if leaving:
        message = f"old replicas leave step by step, as others carry their load: {', '.join(leaving)}"
        return Draft(_FALSE, "Progressing", message)
    rolling = [
        f"{name} {variant.updated}/{variant.replicas}"
        for name, variant in sorted(outcome.running.items())
        if variant.updated < variant.replicas
    ]
    if rolling:
        return Draft(_FALSE, "Progressing", f"waiting for replicas of the new template: {', '.join(rolling)}")
    if outcome.goal.kind is GoalKind.KEPT:
        return Draft(_TRUE, "AllReady", "all replicas that run are Ready")
    return Draft(_TRUE, "AllReady", "all replicas of the plan in force are Ready")


def _routing(outcome: ServiceDecision) -> Draft:
    service = outcome.candidate.service
    router = router_of(service)
    conflicts = [conflict for conflict in outcome.writes.conflicts if conflict.key.kind not in WORKLOADS]
    if conflicts:
        return Draft(_FALSE, "NameConflict", conflict_message(conflicts))
    problem = router.problem(outcome.routed, planned=bool(outcome.rows))
    # What is in another namespace is not told to who may not use it.
    if problem is not None and outcome.goal.reason != PlanReason.POLICY_DENIED:
        return Draft(_FALSE, problem.reason, problem.message)
    if not outcome.rows:
        return Draft(_UNKNOWN, NOT_PLANNED, "unknown, because no replica is planned and none runs")
    if outcome.ready_replicas == 0:
        return Draft(_FALSE, "NoReadyReplicas", "there is no Ready replica to send requests to")
    return Draft(_TRUE, "Routed", f"requests to {router.url(service)} reach Ready replicas")


def _same_model(outcome: ServiceDecision) -> Draft | None:
    """Informational, only where False."""
    if outcome.same_model_as is None:
        return None
    message = (
        f'LLMService "{outcome.same_model_as}" in this namespace serves spec.model.name '
        f'"{served_model_name(outcome.candidate.service)}" too. Each is planned for its own traffic; change one name '
        "if clients select by model name"
    )
    return Draft(_FALSE, "SameModelName", message)


def _children(outcome: ServiceDecision) -> Draft | None:
    """Informational, only where not True."""
    found = changes_by_others(outcome.writes.drift)
    if found is not None:
        return Draft(_FALSE, found.reason, found.message)
    unlisted = outcome.routed.unlisted.get(DISRUPTION_BUDGET)
    if unlisted is None or not outcome.rows:
        return None
    message = (
        f"PodDisruptionBudgets cannot be listed ({unlisted}), so that the one of this service is neither made nor "
        "mended, and a drain of nodes may take all its replicas at once; grant the operator's ServiceAccount list and "
        "watch on poddisruptionbudgets (this version's ClusterRole)"
    )
    return Draft(_UNKNOWN, "BudgetsUnreadable", message)


def _policy(outcome: ServiceDecision) -> Draft | None:
    """Informational, only where False: what a policy allows is planned, and not what the spec asks for."""
    clamped = list(outcome.candidate.bounds.clamped(outcome.candidate.service.spec))
    if not clamped:
        return None
    return Draft(_FALSE, "Clamped", f"{'; '.join(clamped)}. Lower it in the spec, or ask the platform team for more")


def _missed_targets(outcome: ServiceDecision) -> Draft | None:
    """Where the plan, simulated, falls short of the percentile. One that was not simulated this round is as it was
    before, if it is the same plan."""
    service, checked = outcome.candidate.service, outcome.goal.checked
    if checked is None:
        previous = find(service.status.conditions, SLO_ATTAINABLE)
        return Draft.of(previous) if previous is not None and outcome.plan_stays else None
    if checked.attains:
        return None
    slo = service.spec.slo
    worst = min(checked.variants, key=lambda name: checked.variants[name].attainment)
    message = (
        f"in simulation at the planned load, only {percent(checked.attainment)} % of requests meet spec.slo (ttft "
        f"{slo.ttft}, tpot {slo.tpot}); spec.slo.percentile is {slo.percentile}. The worst variant is {worst} with "
        f"{percent(checked.variants[worst].attainment)} %. Less load per replica does not help, or there are no GPUs "
        "for it. Relax the targets, raise the stock or the limits that bind (status.plan.limits), or name faster "
        "pools in spec.variants"
    )
    return Draft(_FALSE, "PredictedBelowTarget", message, sticky_message=True)


@dataclass(frozen=True, slots=True)
class ServiceCondition:
    """`judge` answers None where the condition is not shown. `warned`: an Event says when it becomes False, except for
    reasons in `ordinary`, steps of a rollout that others report. `doubts`: reasons of Unknown that an Event says."""

    type: str
    judge: Callable[[ServiceDecision], Draft | None]
    warned: bool = False
    ordinary: Sequence[str] = ()
    doubts: Sequence[str] = ()

    def warns(self, found: Condition) -> bool:
        """Whether an Event says it."""
        told = self.warned and found.status == _FALSE and found.reason not in self.ordinary
        return told or found.reason in self.doubts


_TOLD_BY_THE_PLAN = (
    MetricsReason.MISSING,
    MetricsReason.STALE,
    MetricsReason.UNAVAILABLE,
    MetricsReason.INVALID,
)
"""With these a plan is held, which has an Event of its own."""

SERVICE_CONDITIONS = (
    ServiceCondition(READY, _ready),
    ServiceCondition(METRICS_AVAILABLE, _metrics, warned=True, ordinary=_TOLD_BY_THE_PLAN),
    ServiceCondition(PLAN_READY, _plan),
    ServiceCondition(CAPACITY_AVAILABLE, _capacity, warned=True, ordinary=("StockOut", "NodesFull", "PowerLimit")),
    ServiceCondition(WORKLOADS_READY, _workloads, warned=True, ordinary=("Progressing",)),
    ServiceCondition(ROUTING_READY, _routing, warned=True, ordinary=("NoReadyReplicas",)),
    ServiceCondition(CHILDREN_UNCHANGED, _children, warned=True),
    ServiceCondition(MODEL_NAME_UNIQUE, _same_model),
    ServiceCondition(WITHIN_POLICY, _policy),
    ServiceCondition(SLO_ATTAINABLE, _missed_targets),
    ServiceCondition(POWER_WITHIN_BUDGET, power_within_budget, doubts=(NOT_CONFIRMED,)),
)
"""In the order in which `kubectl describe` shows them."""


_INFORMATIONAL = (CHILDREN_UNCHANGED, MODEL_NAME_UNIQUE, WITHIN_POLICY, SLO_ATTAINABLE, POWER_WITHIN_BUDGET)


def service_drafts(outcome: ServiceDecision) -> dict[str, Draft]:
    """All conditions of one service, by type."""
    judged = ((condition.type, condition.judge(outcome)) for condition in SERVICE_CONDITIONS)
    return {type_: draft for type_, draft in judged if draft is not None}


def unreadable_drafts(ready: int, refusal: Refusal) -> dict[str, Draft]:
    """The conditions of an LLMService that does not parse, or that Medley fails on; `ready` replicas of it run. Nothing
    else is looked at."""
    why = "Medley failed on it" if refusal.reason == PlanReason.INTERNAL_ERROR else "the spec is not valid"
    drafts = {
        condition.type: Draft(_UNKNOWN, NOT_PLANNED, f"unknown, because {why}")
        for condition in SERVICE_CONDITIONS
        if condition.type not in _INFORMATIONAL
    }
    drafts[READY] = (
        Draft(_TRUE, "Serving", f"{ready} replicas are Ready and stay as they are")
        if ready > 0
        else Draft(_FALSE, "NoPlan", f"no replica serves, because {why}: {refusal.message}")
    )
    drafts[PLAN_READY] = Draft(_FALSE, refusal.reason, refusal.message)
    return drafts
