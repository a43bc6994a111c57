"""The failures between Medley and the API server, as one small tree.

Each error has a stable `reason`, which becomes the reason of a condition, and `retryable`: whether the same request may
succeed later without anybody changing anything. Messages name the object and what the server said. The classes are
named after what happened, as in client-go, without a suffix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class KubeError(Exception):
    """Root of the tree. `reason` is stable and CamelCase."""

    retryable = False
    default_reason = "KubeError"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason


class Conflict(KubeError):
    """The object is not what the request took it for: another uid, another owner, another field manager."""

    default_reason = "Conflict"


NAME_CONFLICT = "NameConflict"
"""Reason of the `Conflict` that says: an object of that name exists and is not ours."""
NAMESPACE_TERMINATING = "NamespaceTerminating"
"""Reason of the `Forbidden` that says: nothing can be created any more, since the namespace is being deleted."""
UNAVAILABLE_STATUS = 503
MOST_DIGITS = 9
"""A Retry-After has no more: 30 years."""
EXPIRED = "Expired"
"""Reason of the `Unavailable` that says: the moment that the request is about is forgotten."""


class NotFound(KubeError):
    """The object, its namespace or its kind is not there."""

    default_reason = "NotFound"


class Forbidden(KubeError):
    """The credentials are not accepted (reason Unauthorized) or do not allow the request."""

    default_reason = "Forbidden"


DEFAULT_RETRY_SECONDS = 1.0
"""Where a server that asks for patience does not say for how long."""


class Throttled(KubeError):
    """The API server, or an admission webhook, asks to come again after `retry_after_seconds`; nothing was done."""

    retryable = True
    default_reason = "Throttled"

    def __init__(self, message: str, *, reason: str = "", retry_after_seconds: float = DEFAULT_RETRY_SECONDS) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(KubeError):
    """No answer, a late answer, or a server-side failure."""

    retryable = True
    default_reason = "Unavailable"


class Invalid(KubeError):
    """The server refuses the content: schema, quota or admission."""

    default_reason = "Invalid"


class NotLeader(KubeError):
    """This process does not hold the Lease any more, or not for long enough; the write is not sent, or is cut off."""

    default_reason = "NotLeader"


class Withheld(KubeError):
    """The operator's mode, or a dry run, keeps it from writing; nothing was sent."""

    default_reason = "Withheld"


_BY_STATUS: dict[int, type[KubeError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    405: Invalid,
    409: Conflict,
    410: Unavailable,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: Throttled,
}


def from_status(*, code: int, action: str, answer: Mapping[str, Any], retry_after: str | None = None) -> KubeError:
    """The error for an HTTP status. `action` says what was tried; `answer` is the server's Status object.

    `retry_after` is the header of that name. A server that cannot serve (503) and sends it asks for patience too; one
    that ran out of time (500, 504) may send it as well, but may have done what it was asked.
    """
    causes = (answer.get("details") or {}).get("causes") or []
    kind = _BY_STATUS.get(code, Unavailable if code >= 500 else Invalid)
    if any(cause.get("field") == "metadata.uid" for cause in causes):
        # How a server-side apply with a uid is refused where an object of another uid has that name.
        kind = Conflict
    said = answer.get("message") or "no reason given"
    message = f"cannot {action}: the API server answered {code}: {said}"
    if kind is Throttled or (code == UNAVAILABLE_STATUS and retry_after):
        return Throttled(message, retry_after_seconds=_seconds(retry_after))
    return kind(message, reason=_reason(code, causes))


def _seconds(retry_after: str | None) -> float:
    """Kubernetes sends whole seconds; the other form of the header, a date, counts as absent."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else DEFAULT_RETRY_SECONDS


def _reason(code: int, causes: Sequence[Mapping[str, Any]]) -> str:
    if any(cause.get("reason") == NAMESPACE_TERMINATING for cause in causes):
        return NAMESPACE_TERMINATING
    return {401: "Unauthorized", 410: EXPIRED}.get(code, "")
