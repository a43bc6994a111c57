"""The language of text, as far as a machine can hold it: messages, help, docstrings, docs, CRDs, the chart."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.unit.repo.sources import ROOT, modules

RULES = {
    'say "is not a", or "there is no"': re.compile(
        r"(?<!there )\b(?:is|are|be) (?:no|none of)\b(?! (?:longer|slower|better|later|larger|more|less)\b)", re.I
    ),
    'say "shows", "says" or "reports"': re.compile(r"\b(?:tells?|told)\b(?!.* apart\b)", re.I),
    "name what it is": re.compile(r"\b(?:somebody|to be had|for want of)\b", re.I),
    'write "$1.61/h"': re.compile(r"[0-9] ?\$/h|[0-9] ?(?:USD|dollars?)\b", re.I),
    'write "req/s"': re.compile(r"[0-9] requests/s\b", re.I),
}
"""By what to write instead: what breaks the rule. A figure in an f-string counts as a 0."""

CODE = re.compile(r"`[^`]*`")
SUBJECT_FIRST = re.compile(r"(?:Of|By|What) ")
"""A docstring does not begin like this: it has a subject."""


def broken(text: str) -> list[str]:
    return [rule for rule, fault in RULES.items() if fault.search(text)]


@pytest.mark.parametrize(
    "text",
    [
        "spec.model.configJson is no JSON",
        "tokenBudget 3 is none of 1, 2",
        "Medley is told the GPU",
        "medley COMMAND --help tells more",
        "tables that are not to be had",
        "held for want of data",
        "costs 1.61 $/h",
        "costs 1.61$/h",
        "a load of 4 requests/s",
    ],
)
def test_the_rules_find(text: str) -> None:
    assert len(broken(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "there is no such GPUPool",
        "a ModelProfile is no longer used",
        "variants that are no slower",
        "the buckets that a router cannot tell apart",
        "costs $1.61/h",
        "4 req/s",
    ],
)
def test_the_rules_let_pass(text: str) -> None:
    assert broken(text) == []


def test_messages_and_help() -> None:
    assert _faults(_literals()) == []


def test_docstrings() -> None:
    found = list(_docstrings())
    assert _faults((place, CODE.sub("", text)) for place, text in found) == []
    assert [f"{place}: {text}" for place, text in found if SUBJECT_FIRST.match(text)] == []


def test_descriptions_of_crds() -> None:
    assert _faults(_descriptions()) == []


def test_docs_and_the_chart() -> None:
    assert _faults(_lines()) == []


def _faults(texts: Iterator[tuple[str, str]]) -> list[str]:
    return [f"{place}: {rule}: {text}" for place, text in texts for rule in broken(text)]


def _literals() -> Iterator[tuple[str, str]]:
    """String literals of several words that are not docstrings."""
    for module in modules().values():
        for node, text in _strings(module.tree):
            if " " in text:
                yield f"{module.file}:{node.lineno}", text


def _strings(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node, node.value
        if not isinstance(node, ast.JoinedStr):
            yield from _strings(node)


def _docstrings() -> Iterator[tuple[str, str]]:
    """Those of modules, classes and functions, and the strings that stand below a name and describe it."""
    for module in modules().values():
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                yield f"{module.file}:{node.lineno}", " ".join(node.value.value.split())


def _descriptions() -> Iterator[tuple[str, str]]:
    for file in sorted((ROOT / "crds").glob("*.yaml")):
        for key, text in _texts(yaml.safe_load(file.read_text(encoding="utf-8"))):
            if key in ("description", "message"):
                yield file.name, text


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a document, with the key that it stands at."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(each, str(name))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, key)
    elif isinstance(value, str):
        yield key, value


def _lines() -> Iterator[tuple[str, str]]:
    chart = ROOT / "helm" / "medley"
    files = [ROOT / "README.md", chart / "values.yaml", chart / "templates" / "NOTES.txt"]
    docs = sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "adr")
    for file in [*files, *docs]:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{file.relative_to(ROOT).as_posix()}:{number}", line
    for file in sorted((chart / "files" / "dashboards").glob("*.json")):
        for key, text in _texts(json.loads(file.read_text(encoding="utf-8"))):
            if key in ("title", "description"):
                yield file.name, text
