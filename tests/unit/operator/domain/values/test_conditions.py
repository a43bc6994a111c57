"""KEP-1623: the transition time moves with the status and with nothing else."""

from __future__ import annotations

import pytest

from medley_operator.domain.values.conditions import MAX_MESSAGE_LENGTH, ConditionStatus, Draft, merge
from tests.unit.operator.factories import LATER, NOW


def ready(status: ConditionStatus, reason: str, message: str = "m", *, sticky: bool = False) -> dict[str, Draft]:
    return {"Ready": Draft(status, reason, message, sticky_message=sticky)}


def test_time_stays_while_the_status_stays() -> None:
    first = merge([], ready(ConditionStatus.FALSE, "A"), generation=1, now=NOW)
    second = merge(first, ready(ConditionStatus.FALSE, "B", "n"), generation=2, now=LATER)
    assert (second[0].last_transition_time, second[0].reason, second[0].observed_generation) == (NOW, "B", 2)
    third = merge(second, ready(ConditionStatus.TRUE, "B"), generation=2, now=LATER)
    assert third[0].last_transition_time == LATER


def test_a_sticky_message_stays_with_its_reason_and_generation() -> None:
    first = merge([], ready(ConditionStatus.FALSE, "A", "61 s"), generation=1, now=NOW)
    stuck = merge(first, ready(ConditionStatus.FALSE, "A", "62 s", sticky=True), generation=1, now=LATER)
    assert stuck == first
    edited = merge(first, ready(ConditionStatus.FALSE, "A", "62 s", sticky=True), generation=2, now=LATER)
    assert edited[0].message == "62 s"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("answered HTTP 401 Unauthorized: set a token", "answered HTTP 302 Found: set another address"),
        ("answered HTTP 401 Unauthorized: set a token", "the answer is an HTML page"),
        ("it reports the model llama-3-8b, 4 times", "it reports the model llama-3-70b, 4 times"),
    ],
)
def test_a_sticky_message_gives_way_to_another_cause(first: str, then: str) -> None:
    before = merge([], ready(ConditionStatus.FALSE, "A", first, sticky=True), generation=1, now=NOW)
    after = merge(before, ready(ConditionStatus.FALSE, "A", then, sticky=True), generation=1, now=LATER)
    assert after[0].message == then
    assert after[0].last_transition_time == NOW


def test_conditions_that_are_not_reported_are_dropped_and_long_messages_cut() -> None:
    first = merge([], ready(ConditionStatus.TRUE, "A", "x" * 2000), generation=1, now=NOW)
    assert len(first[0].message) == MAX_MESSAGE_LENGTH
    assert merge(first, {}, generation=1, now=NOW) == []
