"""The effect of a failed write on the status of its service: a condition that says so.

The domain decides a status before anything is written; where a write then fails, the condition that would have said
"progressing" must say why it does not. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import Condition, LLMService
from medley_operator.domain.engine.workloads import WORKLOADS
from medley_operator.domain.report.service_conditions import ROUTING_READY, WORKLOADS_READY
from medley_operator.domain.report.status import dump
from medley_operator.domain.values.conditions import APPLY_FAILED, ConditionStatus, Draft, merge, problem
from medley_operator.domain.values.decision import Decision, EventNote, EventType, StatusWrite
from medley_operator.domain.values.labels import DISRUPTION_BUDGET
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey
from medley_operator.kube.errors import NAME_CONFLICT, KubeError, Throttled, Unavailable

WITHHELD = "Withheld"
"""The operator's mode kept the child from being written."""
MOST_SAID = 800
"""Characters of what the API server said that a condition repeats, so that the way out after it is not cut off."""
_SAY_THE_WAY_OUT = frozenset({WITHHELD, NAME_CONFLICT})
_BY_ITSELF = frozenset({Unavailable.default_reason, Throttled.default_reason})
_AGAIN = "Medley tries again by itself; if it stays so, see the API server and its admission webhooks"
_REFUSED = (
    "To have it written, change what refuses it: an admission policy, a quota, a field of this object that the message "
    "names, or the rights of the operator's ServiceAccount. Medley tries again by itself"
)
CHILD_EVENTS = frozenset({"ScaledUp", "ScaledDown", "VariantRemoved", "RouteUpdated"})
"""Events of the domain about a written child; they are left out where a child of the service was not written."""


@dataclass(frozen=True, slots=True)
class WriteFailure:
    """A child that could not be written: `reason` NameConflict or another stable word, `message` what was said."""

    key: ObjectKey
    reason: str
    message: str

    @classmethod
    def of(cls, key: ObjectKey, error: KubeError) -> WriteFailure:
        return cls(key, error.reason, error.message)


@dataclass(frozen=True, slots=True)
class ServiceReports:
    """The writes about the services after their children: statuses and Events."""

    statuses: tuple[StatusWrite, ...]
    events: tuple[EventNote, ...]


def report_write_failures(
    view: ActuatorView,
    decision: Decision,
    failures: Mapping[ServiceKey, Sequence[WriteFailure]],
    *,
    unwritten: AbstractSet[ServiceKey] = frozenset(),
    now: str,
) -> ServiceReports:
    """The decision's statuses with the failures in their conditions, and its Events without what did not happen.

    A status that is so already is not written again, and an Event reports a failure once.
    """
    statuses = {write.uid: write for write in decision.statuses}
    not_done: set[str] = set()
    replaced: set[tuple[str, str]] = set()
    events: list[EventNote] = []
    for service in view.services:
        name = ServiceKey.of(service)
        failed = failures.get(name)
        uid = service.metadata.uid
        if failed or name in unwritten:
            not_done.add(uid)
        if not failed:
            continue
        key = ObjectKey(kind="LLMService", namespace=service.metadata.namespace, name=service.metadata.name)
        before = dump(service.status)
        decided = statuses.pop(uid, None)
        drafts = {type_: _draft(found) for type_, found in _by_condition(failed).items()}
        merged = merge(service.status.conditions, drafts, generation=service.metadata.generation, now=now)
        events += _new_failures(service, merged, key)
        # What a failure says in its place was not to be read, so that each pass would warn of it anew.
        decided_conditions = decided.status.get("conditions") or [] if decided is not None else []
        replaced |= {(uid, each["reason"]) for each in decided_conditions if each["type"] in drafts}
        status = _with_conditions(decided.status if decided is not None else before, merged)
        if status != before:
            statuses[uid] = StatusWrite(key=key, uid=uid, status=status)
    happened = [
        note
        for note in decision.events
        if (note.uid not in not_done or note.reason not in CHILD_EVENTS) and (note.uid, note.reason) not in replaced
    ]
    return ServiceReports(statuses=tuple(statuses.values()), events=(*happened, *events))


def _new_failures(service: LLMService, failed: Sequence[Condition], key: ObjectKey) -> list[EventNote]:
    """An Event for each condition that came to say that a write failed or was kept back."""
    before = {condition.type: condition.reason for condition in service.status.conditions}
    return [
        EventNote(
            regarding=key,
            uid=service.metadata.uid,
            type=EventType.NORMAL if condition.reason == WITHHELD else EventType.WARNING,
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
    told = [*kept, *new.values()]
    return {**status, "problem": problem([Condition.model_validate(one) for one in told]), "conditions": told}


def _by_condition(failed: Sequence[WriteFailure]) -> dict[str, list[WriteFailure]]:
    grouped: dict[str, list[WriteFailure]] = {}
    for failure in failed:
        type_ = WORKLOADS_READY if failure.key.kind in (*WORKLOADS, DISRUPTION_BUDGET) else ROUTING_READY
        grouped.setdefault(type_, []).append(failure)
    return grouped


def _draft(failed: Sequence[WriteFailure]) -> Draft:
    reasons = {failure.reason for failure in failed}
    named = NAME_CONFLICT if NAME_CONFLICT in reasons else APPLY_FAILED
    said = "; ".join(dict.fromkeys(failure.message for failure in failed))
    refused = reasons - _SAY_THE_WAY_OUT
    if refused:
        said = f"{said[:MOST_SAID]}. {_AGAIN if refused <= _BY_ITSELF else _REFUSED}"
    return Draft(status=ConditionStatus.FALSE, reason=WITHHELD if reasons == {WITHHELD} else named, message=said)
