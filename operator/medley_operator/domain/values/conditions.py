"""Conditions in the form of KEP-1623: merged so that `lastTransitionTime` moves only when the status does.

Pure; the time is an argument. What each condition means stands with its object: `report.service_conditions`,
`report.platform_status`, `speed.profile_conditions`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from medley_operator.api.v1alpha1 import Condition
from medley_operator.domain.values.printable import printable

MAX_MESSAGE_LENGTH = 1024
_FIGURE = re.compile(r"(?<![\w.-])\d+(\.\d+)?(e[+-]?\d+)?(?![\w-])")


_SYMPTOMS = frozenset({"NoReadyReplicas", "NoPlan"})
ACCEPTED = "Accepted"
"""The condition of an object that Medley reads: whether it counts."""
APPLY_FAILED = "ApplyFailed"
"""Reason of a condition where a child could not be written."""


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class PlanReason(StrEnum):
    """Reasons of PlanReady; those from PARTIAL on stand with status False."""

    OPTIMAL = "Optimal"
    FEASIBLE = "Feasible"
    HELD = "Held"
    ADVISORY = "Advisory"
    AWAITING_APPROVAL = "AwaitingApproval"
    """These two stand with the status that the plan would have."""
    PAUSED = "Paused"
    """Stands with Unknown."""
    PARTIAL = "Partial"
    INFEASIBLE = "Infeasible"
    INVALID_SPEC = "InvalidSpec"
    POOL_NOT_FOUND = "PoolNotFound"
    PROFILE_NOT_FOUND = "ProfileNotFound"
    POLICY_DENIED = "PolicyDenied"
    NAMESPACE_ENDING = "NamespaceEnding"
    """The namespace is being deleted, and nothing can be created there any more."""
    ARGUMENT_NOT_ALLOWED = "ArgumentNotAllowed"
    UNKNOWN_MODEL = "UnknownModel"
    NO_IMAGE = "NoImage"
    """The RuntimeProfile has no image for the vendor of the GPUs."""
    MODEL_FITS_NO_POOL = "ModelFitsNoPool"
    TARGET_IMPOSSIBLE = "TargetImpossible"
    SOLVER_FAILED = "SolverFailed"
    PLAN_REJECTED = "PlanRejected"
    """The independent verifier refused what was planned for the service."""
    INTERNAL_ERROR = "InternalError"
    """Medley itself failed on the object."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A condition as this round finds it, before it is merged with the one the object has.

    `sticky_message`: for messages with live figures. The old message stays while status, reason, generation and all its
    words do: figures that move are not worth a write, another cause is.
    """

    status: ConditionStatus
    reason: str
    message: str
    sticky_message: bool = False

    @classmethod
    def of(cls, condition: Condition) -> Draft:
        """The condition as the object has it."""
        return cls(ConditionStatus(condition.status), condition.reason, condition.message)


def merge(existing: Sequence[Condition], drafts: Mapping[str, Draft], *, generation: int, now: str) -> list[Condition]:
    """The conditions to write: those of `drafts`, by type and in order; others of `existing` are dropped."""
    before = {condition.type: condition for condition in existing}
    return [_merged(before.get(type_), type_, draft, generation=generation, now=now) for type_, draft in drafts.items()]


def _merged(old: Condition | None, type_: str, draft: Draft, *, generation: int, now: str) -> Condition:
    message = draft.message
    if old is not None and draft.sticky_message:
        before = (old.status, old.reason, old.observed_generation, _words(old.message))
        now_said = (draft.status, draft.reason, generation, _words(as_written(message)))
        message = old.message if before == now_said else message
    unchanged = old is not None and old.status == draft.status
    return Condition(
        type=type_,
        status=draft.status,
        reason=draft.reason,
        message=as_written(message),
        observed_generation=generation,
        last_transition_time=old.last_transition_time if unchanged and old is not None else now,
    )


def problem(conditions: Sequence[Condition]) -> str | None:
    """Reasons of the conditions that are False, each once, in one line; None where none is.

    NoReadyReplicas and NoPlan say nothing of why, and are left out where another reason does.
    """
    reasons = dict.fromkeys(each.reason for each in conditions if each.status == ConditionStatus.FALSE)
    causes = [reason for reason in reasons if reason not in _SYMPTOMS]
    return ",".join(causes or reasons) or None


def _words(message: str) -> str:
    """The message without its figures; one that is part of a name is none."""
    return _FIGURE.sub("#", message)


def as_written(message: str) -> str:
    """The message as an object holds it: fit for a terminal, and no longer than the API allows."""
    message = printable(message)
    return message if len(message) <= MAX_MESSAGE_LENGTH else message[: MAX_MESSAGE_LENGTH - 1] + "…"


def find(conditions: Sequence[Condition], type_: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == type_), None)
