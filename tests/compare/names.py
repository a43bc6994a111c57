"""Finds a function or class of the checkout by its name, in whatever module defines it.

A refactoring moves what it does not change. So nothing here names a module: the files of a package are searched for the
one that defines the name at its top level, and that module is imported.
"""

from __future__ import annotations

import ast
import importlib
import os
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path.cwd()
"""The checkout: the dump runs in its root."""
_FOLDERS = {"medley_planner": ROOT / "planner", "medley_operator": ROOT / "operator", "tests": ROOT}


def find(name: str, *others: str, package: str = "medley_planner", takes: tuple[str, ...] = ()) -> Any:
    """The object called `name`, or by its later names `others`; a function must take the arguments `takes`.

    Raises `LookupError` where no module, or more than one, defines it.
    """
    for asked in (name, *others):
        modules = _modules(asked, package, takes)
        if len(modules) > 1:
            raise LookupError(f"{', '.join(modules)} each define {asked}; say in tests/compare which is meant")
        if modules:
            return getattr(importlib.import_module(modules[0]), asked)
    raise LookupError(f"no module of {package} defines {name} with {takes or 'any arguments'}; add its later name here")


def part(value: Any, *names: str) -> Any:
    """The attribute by the first of its names, old and new, that the value has."""
    for name in names:
        if hasattr(value, name):
            return getattr(value, name)
    raise LookupError(f"a {type(value).__name__} has none of {', '.join(names)}; add the later name in tests/compare")


def command() -> Any:
    """The function that the console script `medley` calls."""
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, name = scripts["medley"].partition(":")
    return getattr(importlib.import_module(module), name)


def strangers() -> list[str]:
    """Modules under these packages' names that were not imported from the checkout."""
    import sys

    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return sorted(
        f"{name} ({file})"
        for name, file in files.items()
        if file and name.partition(".")[0] in _FOLDERS and not Path(file).is_relative_to(ROOT)
    )


@cache
def _modules(name: str, package: str, takes: tuple[str, ...]) -> tuple[str, ...]:
    folder = _FOLDERS[package]
    return tuple(
        _module_name(path, folder) for path in _files(package) if name in _text(path) and _defines(path, name, takes)
    )


@cache
def _files(package: str) -> tuple[Path, ...]:
    root = _FOLDERS[package] / package
    if not root.is_dir():
        raise LookupError(f"{root} is not a folder; give the root of a checkout")
    return tuple(sorted(Path(folder) / file for folder, _, files in os.walk(root) for file in files if _is_code(file)))


def _is_code(file: str) -> bool:
    return file.endswith(".py") and not file.startswith("test_")


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _defines(path: Path, name: str, takes: tuple[str, ...]) -> bool:
    for node in ast.parse(_text(path)).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return not takes
        if isinstance(node, ast.FunctionDef) and node.name == name:
            arguments = node.args
            known = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
            return known.issuperset(takes)
    return False


def _module_name(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
