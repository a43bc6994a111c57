"""The part of JSON Schema (draft 2020-12) that `medley solve --schema` uses, checked: an oracle for tests.

Knows no default and no format, and refuses a keyword that it does not know, so that nothing passes unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_SILENT = {"$schema", "$defs", "title", "description", "default"}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def breaches(schema: dict[str, Any], value: Any, *, root: dict[str, Any] | None = None, path: str = "") -> list[str]:
    """The rules that the value breaks, by path; empty where it is valid."""
    whole = schema if root is None else root
    return [breach for keyword in schema for breach in _check(keyword, schema, value, whole, path)]


def _check(keyword: str, schema: dict[str, Any], value: Any, root: dict[str, Any], path: str) -> Iterator[str]:
    rule = schema[keyword]
    if keyword in _SILENT:
        return
    if keyword == "$ref":
        yield from breaches(root["$defs"][rule.removeprefix("#/$defs/")], value, root=root, path=path)
    elif keyword == "type":
        if not _TYPES[rule](value):
            yield f"{path}: no {rule}"
    elif keyword == "enum":
        if value not in rule:
            yield f"{path}: none of {rule}"
    elif keyword in ("anyOf", "oneOf"):
        tried = [breaches(option, value, root=root, path=path) for option in rule]
        fitting = sum(not found for found in tried)
        if fitting == 0:
            yield from min(tried, key=len)
        elif keyword == "oneOf" and fitting > 1:
            yield f"{path}: {fitting} of oneOf"
    elif isinstance(value, dict):
        yield from _check_object(keyword, schema, value, root, path)
    elif isinstance(value, list):
        yield from _check_array(keyword, rule, value, root, path)
    elif isinstance(value, str):
        if keyword == "minLength" and len(value) < rule:
            yield f"{path}: shorter than {rule}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(keyword, rule, value, path)


def _check_object(
    keyword: str, schema: dict[str, Any], value: dict[str, Any], root: dict[str, Any], path: str
) -> Iterator[str]:
    rule = schema[keyword]
    if keyword == "properties":
        for name in rule.keys() & value.keys():
            yield from breaches(rule[name], value[name], root=root, path=f"{path}.{name}")
    elif keyword == "required":
        yield from (f"{path}.{name}: missing" for name in rule if name not in value)
    elif keyword == "additionalProperties":
        for name in value.keys() - schema.get("properties", {}).keys():
            if rule is False:
                yield f"{path}.{name}: unknown"
            elif rule is not True:
                yield from breaches(rule, value[name], root=root, path=f"{path}.{name}")
    elif keyword == "propertyNames":
        for name in value:
            yield from breaches(rule, name, root=root, path=f"{path}.{name}")
    elif keyword == "minProperties":
        if len(value) < rule:
            yield f"{path}: fewer than {rule}"
    else:
        _known(keyword)


def _check_array(keyword: str, rule: Any, value: list[Any], root: dict[str, Any], path: str) -> Iterator[str]:
    if keyword == "items":
        for index, entry in enumerate(value):
            yield from breaches(rule, entry, root=root, path=f"{path}[{index}]")
    elif keyword == "minItems":
        if len(value) < rule:
            yield f"{path}: fewer than {rule}"
    else:
        _known(keyword)


def _check_number(keyword: str, rule: float, value: float, path: str) -> Iterator[str]:
    holds = {
        "minimum": lambda: value >= rule,
        "maximum": lambda: value <= rule,
        "exclusiveMinimum": lambda: value > rule,
    }
    if keyword in holds:
        if not holds[keyword]():
            yield f"{path}: {value} breaks {keyword} {rule}"
    else:
        _known(keyword)


_OF_OTHER_TYPES = {
    "properties",
    "required",
    "additionalProperties",
    "propertyNames",
    "minProperties",
    "items",
    "minItems",
    "minLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
}


def _known(keyword: str) -> None:
    if keyword not in _OF_OTHER_TYPES:
        raise AssertionError(f"the check does not know the keyword {keyword}")
