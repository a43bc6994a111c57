"""JSON and YAML as values: what is written twice is refused wherever it stands, what editors add is skipped."""

from __future__ import annotations

import pytest

from medley_planner.documents import (
    MARK,
    BadText,
    RepeatedField,
    can_be_printed,
    json_value,
    json_value_at,
    yaml_values,
)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": {"a": 1, "c": 2, "a": 1}}]'])
def test_a_repeated_field_is_refused_at_any_depth(text: str) -> None:
    for read in (json_value, lambda text: json_value_at(text, 0), yaml_values):
        with pytest.raises(RepeatedField, match='the field "a" twice') as raised:
            read(text)
        assert raised.value.or_else("give it") == str(raised.value)


def test_yaml_names_the_line_and_lets_a_merge_be_overridden() -> None:
    with pytest.raises(RepeatedField, match=r'"b" twice in one object \(line 3\)'):
        yaml_values("a:\n  b: 1\n  b: 1\n")
    assert yaml_values("x: &x {b: 1, c: 1}\ny: {<<: *x, b: 2}\n---\nx: 1\n") == [
        {"x": {"b": 1, "c": 1}, "y": {"b": 2, "c": 1}},
        {"x": 1},
    ]


def test_equal_names_in_two_objects_are_no_repetition() -> None:
    assert json_value('[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]
    assert yaml_values("- {a: 1}\n- {a: 2, 1: 3, '1': 4}\n") == [[{"a": 1}, {"a": 2, 1: 3, "1": 4}]]


def test_a_byte_order_mark_is_skipped() -> None:
    assert json_value(MARK + '{"a": 1}') == {"a": 1}
    assert yaml_values(MARK + "a: 1") == [{"a": 1}]


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "1" * 5_000, ""])
def test_what_is_no_json_is_told_with_a_way_out(text: str) -> None:
    with pytest.raises(BadText, match=r"^is not JSON ") as raised:
        json_value(text)
    assert raised.value.or_else("give one object").endswith("; give one object")


@pytest.mark.parametrize("text", ["a: [", "[" * 20_000, "a: 2026-99-99", "? [a]\n: 1\n? {a: 1}\n: 2\n"])
def test_what_is_no_yaml_is_told(text: str) -> None:
    with pytest.raises(BadText, match=r"^is not YAML: "):
        yaml_values(text)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("llama-70b", True),
        ("two words\u00a0here", True),
        ("обслуживание 服务", True),
        ("", True),
        ("a\ud800", False),
        ("a\x1b[31m", False),
        ("a\nb", False),
        ("a\u2028b", False),
        ("a\u202eb", False),
        ("a\u200bb", False),
    ],
)
def test_names_that_can_be_printed(name: str, printed: bool) -> None:
    assert can_be_printed(name) is printed
