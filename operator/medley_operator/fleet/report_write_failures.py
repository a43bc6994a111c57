"""What a failed write means for the status of its service: a condition that says so.

The domain decides a status before anything is written; where a write then fails, the condition that would have said
"progressing" must say why it does not. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService, LLMServiceStatus
from medley_operator.domain.report.service_conditions import ROUTING_READY, WORKLOADS_READY
from medley_operator.domain.report.status import dump
from medley_operator.domain.values.conditions import ConditionStatus, Draft, merge
from medley_operator.domain.values.labels import DEPLOYMENT
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Decision, EventNote, EventType, ObjectKey, Snapshot, StatusWrite
from medley_operator.kube.errors import NAME_CONFLICT

APPLY_FAILED = "ApplyFailed"
CHILD_EVENTS = frozenset({"ScaledUp", "ScaledDown", "VariantRemoved", "RouteUpdated"})
"""Events of the domain that tell of a written child; of a service with failures they would be told again each round."""


@dataclass(frozen=True, slots=True)
class WriteFailure:
    """A child that could not be written: `reason` NameConflict or another stable word, `message` what was said."""

    key: ObjectKey
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Amended:
    """What is written about the services after their children: statuses and Events."""

    statuses: tuple[StatusWrite, ...]
    events: tuple[EventNote, ...]


def amend(
    snapshot: Snapshot,
    decision: Decision,
    failures: Mapping[ServiceKey, Sequence[WriteFailure]],
    *,
    now: str,
) -> Amended:
    """The decision's statuses with the failures in their conditions, and its Events without what did not happen.

    A status that is so already is not written again, and a failure is told by an Event once.
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
        planned = statuses.pop(uid, None)
        base = LLMServiceStatus.model_validate(planned.status) if planned else service.status
        amended = _amended(service, base, failed, now=now)
        events += _told_once(service, amended, key)
        if dump(amended) != dump(service.status):
            statuses[uid] = StatusWrite(key=key, uid=uid, status=dump(amended))
    happened = [note for note in decision.events if note.uid not in failed_uids or note.reason not in CHILD_EVENTS]
    return Amended(statuses=tuple(statuses.values()), events=(*happened, *events))


def _told_once(service: LLMService, amended: LLMServiceStatus, key: ObjectKey) -> list[EventNote]:
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
        for condition in amended.conditions
        if condition.reason in (APPLY_FAILED, NAME_CONFLICT) and before.get(condition.type) != condition.reason
    ]


def _amended(
    service: LLMService, status: LLMServiceStatus, failed: Sequence[WriteFailure], *, now: str
) -> LLMServiceStatus:
    drafts = {type_: _draft(found) for type_, found in _by_condition(failed).items()}
    merged = merge(service.status.conditions, drafts, generation=service.metadata.generation, now=now)
    by_type = {condition.type: condition for condition in merged}
    kept = [by_type.pop(condition.type, condition) for condition in status.conditions]
    missing = [by_type[type_] for type_ in drafts if type_ in by_type]
    return status.model_copy(update={"conditions": [*kept, *missing]})


def _by_condition(failed: Sequence[WriteFailure]) -> dict[str, list[WriteFailure]]:
    grouped: dict[str, list[WriteFailure]] = {}
    for failure in failed:
        type_ = WORKLOADS_READY if failure.key.kind == DEPLOYMENT else ROUTING_READY
        grouped.setdefault(type_, []).append(failure)
    return grouped


def _draft(failed: Sequence[WriteFailure]) -> Draft:
    conflict = any(failure.reason == NAME_CONFLICT for failure in failed)
    return Draft(
        status=ConditionStatus.FALSE,
        reason=NAME_CONFLICT if conflict else APPLY_FAILED,
        message="; ".join(failure.message for failure in failed),
    )
