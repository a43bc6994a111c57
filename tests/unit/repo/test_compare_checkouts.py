"""The comparer of checkouts sees the last bit of a float and a case that is missing, and only that may differ which is
said to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any

import pytest

from tests.compare.canonical import canonical
from tests.compare.differences import ABSENT, Allowed, Difference, different_cases


class _Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class _Part:
    rate_rps: float
    colour: Enum = _Colour.RED
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Moved:
    """Another class of the same fields."""

    message: str
    colour: str
    rate_rps: float


@dataclass(frozen=True, slots=True)
class _Plan:
    parts: tuple[_Part, ...]
    solve_seconds: float = 0.0


_NOTHING = Allowed()
_PLAN = _Plan((_Part(0.5), _Part(0.1)))


def _found(before: Any, after: Any, allowed: Allowed = _NOTHING) -> list[Difference]:
    found = different_cases({"a": canonical(before)}, {"a": canonical(after)}, allowed)
    return [part for parts in found.values() for part in parts]


def test_equal_values_do_not_differ() -> None:
    assert _found(_PLAN, replace(_PLAN)) == []


def test_the_last_bit_of_a_float_is_found() -> None:
    changed = math.nextafter(0.1, 1.0)
    assert _found(_PLAN, _Plan((_Part(0.5), _Part(changed)))) == [
        Difference("a", "parts[1].rate_rps", (0.1).hex(), changed.hex())
    ]


@pytest.mark.parametrize(
    ("before", "after"), [(0.0, -0.0), (1, 1.0), (1, True), (None, 0), ("1", 1), ((1,), (1, 2)), ({}, ())]
)
def test_values_that_python_or_people_may_take_for_equal_differ(before: Any, after: Any) -> None:
    assert len(_found({"value": before}, {"value": after})) == 1


def test_a_missing_case_is_found() -> None:
    both = {"a": 1, "b": 2}
    assert different_cases(both, {"a": 1}, Allowed()) == {"b": (Difference("b", "", "(present)", ABSENT),)}
    assert different_cases({"a": 1}, both, Allowed()) == {"b": (Difference("b", "", ABSENT, "(present)"),)}


def test_names_of_classes_order_of_fields_and_timings_do_not_count() -> None:
    assert _found(_Part(0.5), _Moved("", "red", 0.5)) == []
    assert _found([1, 2], (1, 2)) == []
    assert _found({"a": 1, "b": 2}, {"b": 2, "a": 1}) == []
    assert _found(_PLAN, replace(_PLAN, solve_seconds=3.0)) == []


def test_an_added_field_differs_unless_it_is_allowed() -> None:
    before, after = {"rows": [{"name": "x"}]}, {"rows": [{"name": "x", "gpus": 2}]}
    assert _found(before, after) == [Difference("a", "rows[0].gpus", ABSENT, 2)]
    assert _found(before, after, Allowed(added=frozenset({"gpus"}))) == []
    assert _found(after, before, Allowed(added=frozenset({"gpus"}))), "a field that went is no added one"


def test_a_renamed_field_is_still_compared() -> None:
    allowed = Allowed(renamed={"tp": "gpus"})
    assert _found({"tp": 2}, {"gpus": 2}, allowed) == []
    assert _found({"tp": 2}, {"gpus": 4}, allowed) == [Difference("a", "gpus", 2, 4)]


def test_an_ignored_field_is_named_alone_or_by_the_end_of_its_path() -> None:
    before = {"unused": [{"message": "old"}], "message": "same"}
    after = {"unused": [{"message": "new"}], "message": "same"}
    for name in ("message", "unused.message"):
        assert _found(before, after, Allowed(ignored=frozenset({name}))) == []
    assert _found(before, after, Allowed(ignored=frozenset({"other.message", "essage"})))


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        canonical({"value": object()})
