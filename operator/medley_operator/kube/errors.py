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
EXPIRED = "Expired"
"""Reason of the `Unavailable` that says: the moment that the request is about is forgotten."""


class NotFound(KubeError):
    """The object, its namespace or its kind is not there."""

    default_reason = "NotFound"


class Forbidden(KubeError):
    """The credentials are not accepted (reason Unauthorized) or do not allow the request."""

    default_reason = "Forbidden"


class Throttled(KubeError):
    """The API server asks for patience."""

    retryable = True
    default_reason = "Throttled"


class Unavailable(KubeError):
    """No answer, a late answer, or a server-side failure."""

    retryable = True
    default_reason = "Unavailable"


class Invalid(KubeError):
    """The server refuses the content: schema, quota or admission."""

    default_reason = "Invalid"


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


def from_status(*, code: int, action: str, answer: Mapping[str, Any]) -> KubeError:
    """The error for an HTTP status. `action` says what was tried; `answer` is the server's Status object."""
    causes = (answer.get("details") or {}).get("causes") or []
    kind = _BY_STATUS.get(code, Unavailable if code >= 500 else Invalid)
    if any(cause.get("field") == "metadata.uid" for cause in causes):
        # How a server-side apply with a uid is refused where an object of another uid has that name.
        kind = Conflict
    said = answer.get("message") or "no reason given"
    return kind(f"cannot {action}: the API server answered {code}: {said}", reason=_reason(code, causes))


def _reason(code: int, causes: Sequence[Mapping[str, Any]]) -> str:
    if any(cause.get("reason") == NAMESPACE_TERMINATING for cause in causes):
        return NAMESPACE_TERMINATING
    return {401: "Unauthorized", 410: EXPIRED}.get(code, "")
