"""Guards on the names of `docs/glossary.md`: no class name stands for two things."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.unit.repo.sources import modules


def test_no_class_name_stands_for_two_things() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module.file}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
