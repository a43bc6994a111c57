"""The differences between the canonical values of two checkouts, case by case, with the path of each field. Pure.

Names in `Allowed` are a field's or the last fields of a path joined by dots ("message", "unused.message"), without the
places in lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = "(absent)"
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Allowed:
    """Differences that are allowed: fields that only the second has, the first's fields by their new name, fields not
    compared."""

    added: frozenset[str] = frozenset()
    renamed: Mapping[str, str] | None = None
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Difference:
    """`before` and `after` are canonical values, or `ABSENT`; `path` is empty where a whole case is missing."""

    case: str
    path: str
    before: Any
    after: Any


def different_cases(
    before: Mapping[str, Any], after: Mapping[str, Any], allowed: Allowed
) -> dict[str, tuple[Difference, ...]]:
    """The differences by case, for the cases that have any."""
    found: dict[str, tuple[Difference, ...]] = {}
    for case in dict.fromkeys([*before, *after]):
        if case not in before or case not in after:
            present = "(present)"
            sides = (present, ABSENT) if case in before else (ABSENT, present)
            found[case] = (Difference(case, "", *sides),)
        elif json.dumps(before[case]) != json.dumps(after[case]):  # quick, and 1 is not True
            parts = tuple(
                Difference(case, _text(path), old, new)
                for path, old, new in _differences(before[case], after[case], (), allowed)
            )
            if parts:
                found[case] = parts
    return found


def _differences(old: Any, new: Any, path: Path, allowed: Allowed) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_records(old, new, path, allowed)
    elif isinstance(old, list) and isinstance(new, list):
        for place in range(max(len(old), len(new))):
            one, other = (side[place] if place < len(side) else ABSENT for side in (old, new))
            yield from _differences(one, other, (*path, place), allowed)
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def _of_records(
    old: dict[str, Any], new: dict[str, Any], path: Path, allowed: Allowed
) -> Iterator[tuple[Path, Any, Any]]:
    old = {_renamed((*path, name), name, allowed): part for name, part in old.items()}
    for name in dict.fromkeys([*old, *new]):
        here = (*path, name)
        if _is_named(here, allowed.ignored) or (name not in old and _is_named(here, allowed.added)):
            continue
        yield from _differences(old.get(name, ABSENT), new.get(name, ABSENT), here, allowed)


def _renamed(path: Path, name: str, allowed: Allowed) -> str:
    return next((new for old, new in (allowed.renamed or {}).items() if _is_named(path, {old})), name)


def _is_named(path: Path, names: frozenset[str] | set[str]) -> bool:
    if not names:
        return False
    fields = [part for part in path if isinstance(part, str)]
    return any(".".join(fields[start:]) in names for start in range(len(fields)))


def _text(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
