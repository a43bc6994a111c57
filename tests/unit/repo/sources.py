"""The modules of the operator and the planner as the tests of this folder read them: files, not imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = {"operator": "medley_operator", "planner": "medley_planner"}
"""The folder of each package, which is also the folder of its tests, and the package."""


@dataclass(frozen=True)
class Module:
    """One file of a package. `name` is what imports write: a package's own for its `__init__.py`."""

    name: str
    path: Path
    lines: int
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def file(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


@cache
def modules() -> dict[str, Module]:
    """Every module by its name."""
    return {module.name: module for module in _read()}


def _read() -> Iterator[Module]:
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield Module(name, path, len(text.splitlines()), ast.parse(text))


def importers() -> dict[str, set[str]]:
    """By module: the modules that import it or a name of it, be it through the package that exports the name.

    A package that exports a name is no importer of it.
    """
    found: dict[str, set[str]] = {name: set() for name in modules()}
    for module in modules().values():
        if not module.is_package:
            for imported in _imports(module):
                found[imported].add(module.name)
    return found


def _imports(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        elif isinstance(node, ast.ImportFrom) and node.module in modules():
            yield from (_home(node.module, alias.name) for alias in node.names)


def _home(module: str, name: str) -> str:
    """The module that `from module import name` reads: a module itself, or the one that a package exports from."""
    if f"{module}.{name}" in modules():
        return f"{module}.{name}"
    if modules()[module].is_package:
        for node in modules()[module].tree.body:
            if isinstance(node, ast.ImportFrom) and node.module in modules():
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return _home(node.module, alias.name)
    return module
