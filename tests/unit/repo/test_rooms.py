"""Guards on modules and on test files: neither heaps nor slivers, and a test stands where its module does.

Each set of exceptions names what is still in the way of a rule. It only ever shrinks: an exception that is no longer
needed fails its test too.
"""

from __future__ import annotations

import ast

from tests.unit.repo.sources import PACKAGES, ROOT, importers, modules

MOST_LINES = 300
SLIVER_LINES = 60
APART = "Apart:"
"""Begins the reason, in a sliver's docstring, for which it does not join its one importer."""
WHOLE = ("tests/unit/operator/rounds/", "tests/unit/planner/plans/")
"""Folders for tests of what many modules do together: whole rounds, and whole plans."""

STILL_LONG: frozenset[str] = frozenset(
    {
        "operator/medley_operator/api/v1alpha1/service.py",
        "operator/medley_operator/domain/values/snapshot.py",
        "planner/medley_planner/model.py",
        "planner/medley_planner/optimize/columns/price_by_weight.py",
        "planner/medley_planner/optimize/columns/solve.py",
        "planner/medley_planner/optimize/decompose.py",
    }
)
STILL_SLIVERS: frozenset[str] = frozenset(
    {
        "operator/medley_operator/domain/checks/references.py",
        "operator/medley_operator/domain/rollout/service.py",
        "operator/medley_operator/domain/speed/profile_status.py",
        "planner/medley_planner/optimize/columns/by_class/tasks.py",
        "planner/medley_planner/optimize/columns/integer.py",
        "planner/medley_planner/optimize/columns/servable.py",
        "planner/medley_planner/optimize/task/groups.py",
        "planner/medley_planner/optimize/verify/packing.py",
        "planner/medley_planner/optimize/verify/single.py",
        "planner/medley_planner/variants/names.py",
    }
)


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
    assert {module.file for module in modules().values() if module.lines > MOST_LINES} == STILL_LONG


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
    assert slivers == STILL_SLIVERS
