"""The error tree: which status becomes which error, with what reason, and what may be tried again."""

from __future__ import annotations

import pytest

from medley_operator.kube.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Throttled,
    Unavailable,
    from_status,
)


@pytest.mark.parametrize(
    ("code", "kind", "reason", "retryable"),
    [
        (401, Forbidden, "Unauthorized", False),
        (403, Forbidden, "Forbidden", False),
        (404, NotFound, "NotFound", False),
        (409, Conflict, "Conflict", False),
        (410, Unavailable, "Expired", True),
        (418, Invalid, "Invalid", False),
        (422, Invalid, "Invalid", False),
        (429, Throttled, "Throttled", True),
        (500, Unavailable, "Unavailable", True),
        (503, Unavailable, "Unavailable", True),
    ],
)
def test_status_codes(code: int, kind: type[KubeError], reason: str, retryable: bool) -> None:
    error = from_status(code=code, action="apply Deployment demo/chat-l4", answer={"message": "said so"})
    assert type(error) is kind
    assert (error.reason, error.retryable) == (reason, retryable)
    assert error.message == f"cannot apply Deployment demo/chat-l4: the API server answered {code}: said so"


def test_a_terminating_namespace_has_its_own_reason() -> None:
    answer = {"message": "m", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}
    assert from_status(code=403, action="apply x", answer=answer).reason == "NamespaceTerminating"


def test_another_uid_is_a_conflict() -> None:
    answer = {"message": "field is immutable", "details": {"causes": [{"field": "metadata.uid"}]}}
    assert type(from_status(code=422, action="apply x", answer=answer)) is Conflict


def test_an_answer_without_words_is_told_as_such() -> None:
    assert "no reason given" in str(from_status(code=500, action="list nodes", answer={"details": None}))


@pytest.mark.parametrize(
    ("code", "header", "seconds"),
    [
        (429, "7", 7.0),
        (429, None, 1.0),
        (503, "3", 3.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", 1.0),
        (429, "-5", 1.0),
        (429, "9" * 400, 1.0),
        (429, "²", 1.0),
    ],
)
def test_patience_that_a_server_asks_for_is_read(code: int, header: str | None, seconds: float) -> None:
    error = from_status(code=code, action="apply x", answer={}, retry_after=header)
    assert isinstance(error, Throttled)
    assert error.retry_after_seconds == seconds


def test_a_server_that_is_away_without_a_time_is_unavailable() -> None:
    assert type(from_status(code=503, action="apply x", answer={})) is Unavailable
    assert type(from_status(code=504, action="apply x", answer={}, retry_after="5")) is Unavailable
    assert type(from_status(code=410, action="list x", answer={}, retry_after="5")) is Unavailable
