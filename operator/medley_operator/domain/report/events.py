"""Events of one LLMService: one for each change, none without. Pure.

A change is a difference between what the object's status and its children say now and what this round decides, so a
restarted operator repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import LLMServiceStatus
from medley_operator.domain.engine.workloads import WORKLOADS
from medley_operator.domain.report.service_conditions import PLAN_READY, SERVICE_CONDITIONS
from medley_operator.domain.report.target import cause, is_new_target
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.routing.routers import router_of
from medley_operator.domain.values import labels
from medley_operator.domain.values.conditions import ConditionStatus, PlanReason, find
from medley_operator.domain.values.decision import EventNote, EventType
from medley_operator.domain.values.memories import TargetReason
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.domain.variants.waiting import MOST_SECONDS
from medley_planner.capacity import CapacityBasis
from medley_planner.model import Provenance
from medley_planner.units import per_hour


def service_events(outcome: ServiceDecision, status: LLMServiceStatus) -> tuple[EventNote, ...]:
    notes = [
        *_plan_changed(outcome, status),
        *_plan_warning(outcome, status),
        *_approval(outcome, status),
        *_not_simulated(outcome),
        *_estimated_again(outcome),
        *_scaled(outcome),
        *_removed(outcome),
        *_route_updated(outcome),
        *_condition_warnings(outcome, status),
    ]
    metadata = outcome.candidate.service.metadata
    key = ObjectKey(kind="LLMService", namespace=metadata.namespace, name=metadata.name)
    return tuple(
        EventNote(regarding=key, uid=metadata.uid, type=type_, reason=reason, message=message)
        for type_, reason, message in notes
    )


_Note = tuple[EventType, str, str]


def _plan_changed(outcome: ServiceDecision, status: LLMServiceStatus) -> list[_Note]:
    if outcome.goal.kind is not GoalKind.PLANNED:
        return []
    old = outcome.candidate.service.status
    before = {variant.name: variant.desired for variant in old.variants if variant.desired > 0}
    changes = _changes(before, outcome.goal.replicas)
    if not changes:
        return []
    cost = f"cost {per_hour(old.in_force_cost_per_hour_usd)} → {per_hour(outcome.cost_per_hour)}"
    message = f"replicas {changes}; {cost}; reason: {cause(outcome, status.load)}"
    return [(EventType.NORMAL, "PlanChanged", message)]


def _approval(outcome: ServiceDecision, status: LLMServiceStatus) -> list[_Note]:
    """A plan that begins to wait, once, and one that was approved."""
    before, plan, target = outcome.candidate.service.status.plan, status.plan, outcome.goal.target
    if target is not None and target.reason == TargetReason.APPROVED and is_new_target(outcome):
        return [(EventType.NORMAL, "PlanApproved", f"plan {target.plan_id} was approved and is in force")]
    if outcome.goal.reason != PlanReason.AWAITING_APPROVAL or plan is None:
        return []
    if before is not None and before.id == plan.id and before.replicas is not None:
        return []
    return [(EventType.NORMAL, "PlanAwaitingApproval", outcome.goal.message)]


def _changes(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    return ", ".join(
        f"{name} {before.get(name, 0)}→{after.get(name, 0)}"
        for name in sorted({*before, *after})
        if before.get(name, 0) != after.get(name, 0)
    )


def _plan_warning(outcome: ServiceDecision, status: LLMServiceStatus) -> list[_Note]:
    """A held plan or one that is not whole, when it becomes so."""
    before = find(outcome.candidate.service.status.conditions, PLAN_READY)
    after = find(status.conditions, PLAN_READY)
    if after is None or (before is not None and before.reason == after.reason):
        return []
    if after.reason == PlanReason.HELD:
        return [(EventType.WARNING, "PlanHeld", after.message)]
    if after.status == ConditionStatus.FALSE and after.reason not in (
        PlanReason.ADVISORY,
        PlanReason.AWAITING_APPROVAL,
    ):
        return [(EventType.WARNING, after.reason, after.message)]
    return []


def _not_simulated(outcome: ServiceDecision) -> list[_Note]:
    """Posted once: from this plan on the status says that its capacities are the closed form's."""
    waits = outcome.candidate.waiting
    before = {row.name: row.capacity_basis for row in outcome.candidate.service.status.variants}
    if waits is None or outcome.goal.kind is not GoalKind.PLANNED:
        return []
    if not any(before.get(name) == CapacityBasis.SIMULATED for name in waits.variants):
        return []
    message = (
        f"the simulated capacities of {', '.join(waits.variants)} are still missing after {MOST_SECONDS:g} s. "
        "Planning with the closed form until they are there. Check the operator's log, and keep --capacity-cache-dir "
        "across restarts"
    )
    return [(EventType.WARNING, "CapacityNotSimulated", message)]


def _estimated_again(outcome: ServiceDecision) -> list[_Note]:
    """Capacities that were measured or calibrated when the status was written last."""
    before = {row.name: row.provenance for row in outcome.candidate.service.status.variants}
    lost = [
        f"{row.name} (was {before[row.name]})"
        for row in outcome.rows
        if row.provenance == Provenance.ESTIMATED and before.get(row.name, row.provenance) != row.provenance
    ]
    if not lost:
        return []
    message = (
        f"capacities of {', '.join(lost)} are estimated from the data sheet again, with a larger safety margin. "
        "Possible causes: the engine version changed, the calibration was lost (see the operator's log), or a "
        "ModelProfile is no longer used (kubectl get modelprofiles)"
    )
    return [(EventType.WARNING, "CapacityEstimated", message)]


def _scaled(outcome: ServiceDecision) -> list[_Note]:
    notes: list[_Note] = []
    for apply in outcome.writes.applies:
        if apply.manifest["kind"] not in WORKLOADS:
            continue
        variant = labels.label(apply.manifest, labels.VARIANT)
        running = outcome.running.get(variant)
        before, after = running.replicas if running is not None else 0, int(apply.manifest["spec"]["replicas"])
        kind, name = apply.manifest["kind"], apply.manifest["metadata"]["name"]
        if after > before:
            notes.append((EventType.NORMAL, "ScaledUp", f"{kind} {name} {before}→{after} replicas"))
        elif after < before:
            notes.append((EventType.NORMAL, "ScaledDown", f"{kind} {name} {before}→{after} replicas"))
    return notes


def _removed(outcome: ServiceDecision) -> list[_Note]:
    return [
        (
            EventType.NORMAL,
            "VariantRemoved",
            f"{delete.key} was deleted, because the plan has no replicas of this variant",
        )
        for delete in outcome.writes.deletes
        if delete.key.kind in WORKLOADS
    ]


def _route_updated(outcome: ServiceDecision) -> list[_Note]:
    weights, router = outcome.targets.weights, router_of(outcome.candidate.service)
    applied = any(apply.manifest["kind"] in router.kinds for apply in outcome.writes.applies)
    if not applied or weights is None:
        return []
    before = router.weights(outcome.routed) or {}
    if not before and any(key.kind in router.kinds for key in outcome.routed.own):
        # Variants share a backend of the route that is there.
        before = {row.name: row.weight for row in outcome.candidate.service.status.variants}
    changes = _changes(before, weights)
    return [(EventType.NORMAL, "RouteUpdated", f"route weights (sum 1000): {changes}")] if changes else []


def _condition_warnings(outcome: ServiceDecision, status: LLMServiceStatus) -> list[_Note]:
    notes: list[_Note] = []
    for condition in SERVICE_CONDITIONS:
        before = find(outcome.candidate.service.status.conditions, condition.type)
        after = find(status.conditions, condition.type)
        if after is not None and condition.warns(after) and (before is None or before.reason != after.reason):
            notes.append((EventType.WARNING, after.reason, after.message))
    return notes
