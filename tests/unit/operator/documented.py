"""The conditions that docs/reference.md promises, read from it: types by kind, and reasons by type and status."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

SECTION = (Path(__file__).parents[3] / "docs" / "reference.md").read_text().split("\n## Conditions\n")[1]
SERVICE = "LLMService"


@cache
def documented() -> dict[tuple[str, str], dict[str, frozenset[str]]]:
    """Reasons by status, by kind and condition type."""
    unknown = frozenset(re.findall(r"Unknown \(`(\w+)`", SECTION))
    found: dict[tuple[str, str], dict[str, frozenset[str]]] = {}
    kind = SERVICE
    for line in SECTION.splitlines():
        if not line.startswith(("| `", "| |")):
            continue
        *kinds, type_, true, false = map(_words, line.strip("|").split("|"))
        kind = kinds[0][0] if kinds and kinds[0] else kind
        found[kind, type_[0]] = {"True": frozenset(true), "False": frozenset(false), "Unknown": unknown}
    return found


def is_documented(kind: str, type_: str, status: str, reason: str) -> bool:
    return reason in documented().get((kind, type_), {}).get(status, ())


def _words(text: str) -> list[str]:
    return re.findall(r"`([A-Z]\w+)`", text)
