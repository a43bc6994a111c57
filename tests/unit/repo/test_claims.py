"""What docstrings claim of where things happen and no import contract checks: who writes, who reads a clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
OPERATOR = ROOT / "operator" / "medley_operator"
PLANNER = ROOT / "planner" / "medley_planner"
WRITING_VERBS = {"apply", "apply_status", "create_event", "delete"}
"""The verbs of `KubeClient` that change something."""
DATE_READS = {"now", "today", "utcnow"}
"""How `datetime` and `date` are asked for the time."""


def _trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(folder.rglob("*.py")):
        yield file.relative_to(folder).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def _calls(tree: ast.Module) -> set[str]:
    """The names of what is called, without what they are attributes of."""
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    attributes = {each.attr for each in called if isinstance(each, ast.Attribute)}
    return attributes | {each.id for each in called if isinstance(each, ast.Name)}


PASSING_ON = frozenset({"fleet/cluster.py"})
"""Modules whose client hands each write on to another client."""


def _imports(tree: ast.Module) -> set[str]:
    """Modules, and names with their modules."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module} | {f"{node.module}.{each.name}" for each in node.names}
    return found


def _reads_clock(tree: ast.Module) -> bool:
    imported, called = _imports(tree), _calls(tree)
    return "time" in imported or "monotonic" in called or ("datetime" in imported and bool(called & DATE_READS))


def test_objects_are_written_by_publish_and_by_calibration() -> None:
    writers = {name for name, tree in _trees(OPERATOR) if _calls(tree) & WRITING_VERBS}
    assert writers - PASSING_ON == {"fleet/publish.py", "fleet/calibration.py"}


def test_the_planner_reads_its_clock_in_one_file() -> None:
    assert {name for name, tree in _trees(PLANNER) if _reads_clock(tree)} == {"clock.py"}


def test_what_decides_reads_no_clock() -> None:
    readers = {name for name, tree in _trees(OPERATOR) if _reads_clock(tree)}
    assert not {name for name in readers if name.startswith(("api/", "domain/"))}


def test_explanations_plan_in_one_file() -> None:
    planning = {
        name
        for name, tree in _trees(PLANNER / "explain")
        if _imports(tree) & {"medley_planner.optimize.plan", "medley_planner.optimize.decompose"}
    }
    assert planning == {"whatif.py"}
