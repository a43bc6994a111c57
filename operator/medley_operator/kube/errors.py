"""What can go wrong between Medley and the API server, as one small tree.

Each error has a stable `reason`, which becomes the reason of a condition, and `retryable`: whether the same request may
succeed later without anybody changing anything. Messages name the object and what the server said. The classes are
named after what happened, as in client-go, without a suffix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class KubeError(Exception):
    """Root of the tree. `reason` is stable and CamelCase."""

    retryable = False
    default_reason = "KubeError"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason


class Conflict(KubeError):  # noqa: N818
    """The object is not what the request took it for: another uid, another owner, another field manager."""

    default_reason = "Conflict"


NAME_CONFLICT = "NameConflict"
"""Reason of the `Conflict` that says: an object of that name exists and is not ours."""
NAMESPACE_TERMINATING = "NamespaceTerminating"
"""Reason of the `Forbidden` that says: nothing can be created any more, since the namespace is being deleted."""
EXPIRED = "Expired"
"""Reason of the `Unavailable` that says: the moment that the request is about is forgotten."""


class NotFound(KubeError):  # noqa: N818
    """The object, its namespace or its kind is not there."""

    default_reason = "NotFound"


class Forbidden(KubeError):  # noqa: N818
    """The credentials are not accepted (reason Unauthorized) or do not allow the request."""

    default_reason = "Forbidden"


class Throttled(KubeError):  # noqa: N818
    """The API server asks for patience."""

    retryable = True
    default_reason = "Throttled"


class Unavailable(KubeError):  # noqa: N818
    """No answer, a late answer, or a server-side failure."""

    retryable = True
    default_reason = "Unavailable"


class Invalid(KubeError):  # noqa: N818
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
    kind = _BY_STATUS.get(code, Unavailable if code >= 500 else Invalid)
    said = answer.get("message") or "no reason given"
    return kind(f"cannot {action}: the API server answered {code}: {said}", reason=_reason(code, answer))


def _reason(code: int, answer: Mapping[str, Any]) -> str:
    causes = (answer.get("details") or {}).get("causes") or []
    if any(cause.get("reason") == NAMESPACE_TERMINATING for cause in causes):
        return NAMESPACE_TERMINATING
    return {401: "Unauthorized", 410: EXPIRED}.get(code, "")
