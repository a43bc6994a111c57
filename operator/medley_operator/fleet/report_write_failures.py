"""The effect of a failed write on the status of its service: a condition that says so.

The domain decides a status before anything is written; where a write then fails, the condition that would have said
"progressing" must say why it does not. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import Condition, LLMService
from medley_operator.domain.report.service_conditions import ROUTING_READY, WORKLOADS_READY
from medley_operator.domain.report.status import dump
from medley_operator.domain.values.conditions import ConditionStatus, Draft, merge
from medley_operator.domain.values.labels import DEPLOYMENT, DISRUPTION_BUDGET
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import (
    Decision,
    EventNote,
    EventType,
    Manifest,
    ObjectKey,
    Snapshot,
    StatusWrite,
)
from medley_operator.kube.errors import NAME_CONFLICT

APPLY_FAILED = "ApplyFailed"
CHILD_EVENTS = frozenset({"ScaledUp", "ScaledDown", "VariantRemoved", "RouteUpdated"})
"""Events of the domain about a written child; for a service with failures they would be repeated each round."""


@dataclass(frozen=True, slots=True)
class WriteFailure:
    """A child that could not be written: `reason` NameConflict or another stable word, `message` what was said."""

    key: ObjectKey
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ServiceReports:
    """The writes about the services after their children: statuses and Events."""

    statuses: tuple[StatusWrite, ...]
    events: tuple[EventNote, ...]


def report_write_failures(
    snapshot: Snapshot,
    decision: Decision,
    failures: Mapping[ServiceKey, Sequence[WriteFailure]],
    *,
    now: str,
) -> ServiceReports:
    """The decision's statuses with the failures in their conditions, and its Events without what did not happen.

    A status that is so already is not written again, and an Event reports a failure once.
    """
    statuses = {write.uid: write for write in decision.statuses}
    failed_uids: set[str] = set()
    events: list[EventNote] = []
    for service in snapshot.services:
        failed = failures.get(ServiceKey.of(service))
        if not failed:
            continue
        uid = service.metadata.uid
        failed_uids.add(uid)
        key = ObjectKey(kind="LLMService", namespace=service.metadata.namespace, name=service.metadata.name)
        before = dump(service.status)
        decided = statuses.pop(uid, None)
        drafts = {type_: _draft(found) for type_, found in _by_condition(failed).items()}
        merged = merge(service.status.conditions, drafts, generation=service.metadata.generation, now=now)
        events += _new_failures(service, merged, key)
        status = _with_conditions(decided.status if decided is not None else before, merged)
        if status != before:
            statuses[uid] = StatusWrite(key=key, uid=uid, status=status)
    happened = [note for note in decision.events if note.uid not in failed_uids or note.reason not in CHILD_EVENTS]
    return ServiceReports(statuses=tuple(statuses.values()), events=(*happened, *events))


def _new_failures(service: LLMService, failed: Sequence[Condition], key: ObjectKey) -> list[EventNote]:
    """A warning for each condition that came to say that a write failed."""
    before = {condition.type: condition.reason for condition in service.status.conditions}
    return [
        EventNote(
            regarding=key,
            uid=service.metadata.uid,
            type=EventType.WARNING,
            reason=condition.reason,
            message=condition.message,
        )
        for condition in failed
        if before.get(condition.type) != condition.reason
    ]


def _with_conditions(status: Manifest, conditions: Sequence[Condition]) -> Manifest:
    """The status with these conditions in the places of those of their types, or else at the end."""
    new = {one.type: one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in conditions}
    kept = [new.pop(old["type"], old) for old in status.get("conditions") or []]
    return {**status, "conditions": [*kept, *new.values()]}


def _by_condition(failed: Sequence[WriteFailure]) -> dict[str, list[WriteFailure]]:
    grouped: dict[str, list[WriteFailure]] = {}
    for failure in failed:
        type_ = WORKLOADS_READY if failure.key.kind in (DEPLOYMENT, DISRUPTION_BUDGET) else ROUTING_READY
        grouped.setdefault(type_, []).append(failure)
    return grouped


def _draft(failed: Sequence[WriteFailure]) -> Draft:
    conflict = any(failure.reason == NAME_CONFLICT for failure in failed)
    return Draft(
        status=ConditionStatus.FALSE,
        reason=NAME_CONFLICT if conflict else APPLY_FAILED,
        message="; ".join(failure.message for failure in failed),
    )
