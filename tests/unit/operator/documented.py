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
    for line in SECTION.splitlines():
        if line.startswith("| `"):
            type_, true, false = line.strip("|").split("|")
            found[SERVICE, _words(type_)[0]] = {
                "True": frozenset(_words(true)),
                "False": frozenset(_words(false)),
                "Unknown": unknown,
            }
    # Of the other kinds: `Kind`: `Type` True `A`, False `B`, `C`; `Type` ...
    for kind, text in re.findall(r"`(GPUPool|RuntimeProfile|ModelProfile)`: (.*?)\.(?=\s|$)", SECTION, re.S):
        for part in text.split(";"):
            type_, true, false = re.split(r"\bTrue\b|\bFalse\b", part)
            found[kind, _words(type_)[0]] = {"True": frozenset(_words(true)), "False": frozenset(_words(false))}
    return found


def is_documented(kind: str, type_: str, status: str, reason: str) -> bool:
    return reason in documented().get((kind, type_), {}).get(status, ())


def _words(text: str) -> list[str]:
    return re.findall(r"`([A-Z]\w+)`", text)
