"""The root of all input faults: its one wording, and that its docstring draws the tree that the code has."""

from __future__ import annotations

import ast
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from medley_planner import bad_input
from medley_planner.bad_input import MISSING, BadInput, shown

ROOT = Path(__file__).parents[3]
PACKAGES = (ROOT / "planner" / "medley_planner", ROOT / "operator" / "medley_operator")


def exceptions() -> dict[str, list[str]]:
    """The base classes of every exception of both packages, by name."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        for file in package.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                    if any(re.fullmatch(r"Bad\w+|\w*(Error|Exception)", base) for base in bases):
                        found[node.name] = bases
    return found


def test_the_docstring_draws_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", bad_input.__doc__ or "")
    assert sorted(drawn) == sorted(name for name, bases in exceptions().items() if bases == ["BadInput"])


def test_no_other_error_of_input_has_a_root_of_its_own() -> None:
    roots = {name for name, bases in exceptions().items() if bases[0] in ("ValueError", "LookupError", "TypeError")}
    assert roots == {"BadInput", "CrdSchemaError"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BadInput("pool l4", "perHour", 0.8, "write it in quotes"), "pool l4: perHour is 0.8: write it in quotes"),
        (BadInput("", "rate", MISSING, "add it"), "rate is missing: add it"),
        (BadInput.whole("x.json", "is not JSON; give one object"), "x.json: is not JSON; give one object"),
        (BadInput("b", "c", None, "give text").within("a"), "a: b: c is null: give text"),
        (BadInput("", "c", [1], "give text").within("a"), "a: c is [1]: give text"),
    ],
)
def test_one_wording(error: BadInput, message: str) -> None:
    assert str(error) == message
    assert message == f"{error.where}: {error.fault}".removeprefix(": ")


def loop() -> list[object]:
    itself: list[object] = []
    itself.append(itself)
    return itself


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (float("nan"), "NaN"),
        (True, "true"),
        ("x" * 100, '"' + "x" * 56 + "..."),
        (date(2026, 11, 29), '"2026-11-29"'),
        (datetime(2026, 11, 29, tzinfo=UTC), '"2026-11-29T00:00:00+00:00"'),
        ({date(2026, 11, 29): 1}, "a dict"),
        (10**5000, "a int"),
        (loop(), "a list"),
    ],
    ids=range(9),
)
def test_any_value_can_be_shown(value: object, text: str) -> None:
    assert shown(value) == text
