"""Guards on the names of `docs/glossary.md`: no class name stands for two things."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.unit.repo.sources import modules

STILL_TWICE: frozenset[str] = frozenset({"RoutingSaving", "WriteCounter"})
"""Only ever fewer: a name that stands for one thing again leaves this set."""


def test_no_class_name_stands_for_two_things() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module.file}:{node.lineno}")
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert set(twice) == STILL_TWICE, twice
