"""Guards on modules and on test files: neither heaps nor slivers, and a test stands where its module does."""

from __future__ import annotations

import ast

from tests.unit.repo.sources import PACKAGES, ROOT, importers, modules

MOST_LINES = 300
SLIVER_LINES = 60
APART = "Apart:"
"""Begins the reason, in a sliver's docstring, for which it does not join its one importer."""
WHOLE = ("tests/unit/operator/rounds/", "tests/unit/planner/plans/", "tests/unit/planner/test_front_door.py")
"""Tests of what many modules do together: whole rounds, whole plans, and what the planner's package exports."""


def test_a_test_is_named_after_its_module() -> None:
    strays = []
    for folder, package in PACKAGES.items():
        tests = ROOT / "tests" / "unit" / folder
        for path in tests.rglob("test_*.py"):
            parts = path.relative_to(tests).parent.parts
            module = ".".join((package, *parts, path.stem.removeprefix("test_")))
            place = path.relative_to(ROOT).as_posix()
            if module not in modules() and not place.startswith(WHOLE):
                strays.append(place)
    assert strays == []


def test_no_module_is_a_heap() -> None:
    assert {module.file for module in modules().values() if module.lines > MOST_LINES} == set()


def test_no_module_is_a_sliver_without_a_reason() -> None:
    users = importers()
    slivers = {
        module.file
        for module in modules().values()
        if module.lines <= SLIVER_LINES
        and module.path.name not in ("__init__.py", "__main__.py")
        and len(users[module.name]) <= 1
        and APART not in (ast.get_docstring(module.tree) or "")
    }
    assert slivers == set()
