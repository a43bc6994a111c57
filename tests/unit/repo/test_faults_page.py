"""docs/faults.md names tests: each of them is there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.repo.sources import ROOT

ROOMS = {"R/": "tests/unit/operator/rounds/", "U/": "tests/unit/operator/", "C/": "tests/contract/"}
NAMED = re.findall(r"`([RUC]/[\w/]+\.py|e2e/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "faults.md").read_text())


@pytest.mark.parametrize(("module", "test"), NAMED)
def test_a_test_that_the_page_names_is_there(module: str, test: str) -> None:
    file = ROOT / (ROOMS[module[:2]] + module[2:] if module[:2] in ROOMS else module)
    assert file.is_file(), f"docs/faults.md names {module}: there is no {file}"
    names = {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert any(name.startswith("test_") for name in names)
    assert not test or test in names, f"docs/faults.md names {test}: {file.name} has no such test"


def test_each_row_names_a_test() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "faults.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| what happens")
    ]
    assert len(rows) > 40
    assert [row for row in rows if not re.search(r"`(?:[RUC]|e2e)/[^`]*\.py", row)] == []
