"""Refuses, before a cluster does, each schema that the API server would refuse or would silently drop a part of.

The rules are those of structural schemas (apiextensions.k8s.io/v1), of its known formats, and of CEL's cost budget: the
server prices a rule by the largest value that the schema admits, so what is not bounded cannot be priced. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from medley_operator.api.structural import RULES_KEY, CrdSchemaError, Schema, defaulted

_ANY_TYPE = {"type", "description", "default", "enum", RULES_KEY}
_KEYWORDS: Mapping[str, set[str]] = {
    "boolean": set(),
    "string": {"pattern", "minLength", "maxLength", "format"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"},
    "array": {"items", "minItems", "maxItems", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
}
_INT_FORMATS = {"int32", "int64"}
_FORMATS: Mapping[str, set[str]] = {
    "integer": _INT_FORMATS,
    "number": {"float", "double"},
    # k8s.io/apiextensions-apiserver/pkg/apiserver/validation/formats.go; any other is ignored without a word
    "string": {
        *("bsonobjectid", "uri", "email", "hostname", "ipv4", "ipv6", "cidr", "mac", "uuid", "uuid3", "uuid4", "uuid5"),
        *("isbn", "isbn10", "isbn13", "creditcard", "ssn", "hexcolor", "rgbcolor", "byte", "password", "date"),
        *("duration", "date-time", "k8s-short-name", "k8s-long-name"),
    },
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}
_NOT_RE2 = re.compile(r"\(\?(=|!|<=|<!|>)|(?<!\\)(\\\\)*\\[1-9]|[*+?}]\+")
_MAX_REPEAT = 1000
_BOUND = {"string": "maxLength", "array": "maxItems"}


def check(schema: Schema, path: str, *, bounded: bool) -> None:
    """Raises `CrdSchemaError` for the first thing at or below `path` that the API server would not honour.

    With `bounded`, each string, list and map must have an upper bound on its size.
    """
    kind = _check_type(schema, path)
    for keyword in schema:
        if keyword not in _ANY_TYPE | _KEYWORDS[kind]:
            raise CrdSchemaError(
                path, f"{keyword} does not exist in a structural schema of type {kind}", "express it otherwise"
            )
    bounded = bounded or RULES_KEY in schema
    if bounded:
        _check_bound(schema, kind, path)
    _check_words(schema, kind, path)
    if kind == "array":
        _check_list(schema, path, bounded=bounded)
    if kind == "object":
        _check_object(schema, path, bounded=bounded)
    if "default" in schema:
        problem = mismatch(schema["default"], schema)
        if not problem and schema["default"] != defaulted(schema["default"], schema):
            # the server evaluates the rules of a schema on its default as it stands
            problem = "leaves out fields that have a default themselves"
        if problem:
            raise CrdSchemaError(
                path, f"the default {schema['default']!r} {problem}", "change the default or the schema"
            )


def mismatch(value: Any, schema: Schema) -> str:
    """Why `value` is not of `schema`, in words, or nothing. CEL rules are not evaluated."""
    if not _is_type(value, schema["type"]):
        return f"is not of type {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"is not one of {schema['enum']}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return f"does not match {schema['pattern']}"
    if isinstance(value, str | list | dict):
        word = {str: "Length", list: "Items", dict: "Properties"}[type(value)]
        if not schema.get(f"min{word}", 0) <= len(value) <= schema.get(f"max{word}", len(value)):
            return f"has size {len(value)}, outside min{word} and max{word}"
    elif not _within(value, schema):
        return "is outside minimum and maximum"
    if isinstance(value, list):
        return next((f"holds an item that {why}" for item in value if (why := mismatch(item, schema["items"]))), "")
    if isinstance(value, dict):
        return _object_mismatch(value, schema)
    return ""


def _check_type(schema: Schema, path: str) -> str:
    for wrapper in ("anyOf", "oneOf", "allOf", "not"):
        if wrapper in schema:
            raise CrdSchemaError(
                path, f"{wrapper} cannot carry types in a structural schema", "use one type, and a CEL rule"
            )
    kind = schema.get("type")
    if kind is None:
        raise CrdSchemaError(path, "has no type", "annotate the field with one JSON type")
    if not isinstance(kind, str) or kind not in _KEYWORDS:
        raise CrdSchemaError(path, f"type {kind!r} is not one JSON type", f"use one of {', '.join(_KEYWORDS)}")
    return kind


def _check_bound(schema: Schema, kind: str, path: str) -> None:
    keyword = "maxProperties" if "additionalProperties" in schema else _BOUND.get(kind)
    if keyword and keyword not in schema and "enum" not in schema and "format" not in schema:
        raise CrdSchemaError(
            path, f"this {kind} has no {keyword}, so that CEL rules over it cost without bound", "give it max_length"
        )


def _check_words(schema: Schema, kind: str, path: str) -> None:
    if "format" in schema and schema["format"] not in _FORMATS.get(kind, set()):
        raise CrdSchemaError(
            path,
            f"format {schema['format']!r} is not known to the API server for type {kind} and would be ignored",
            "use a pattern",
        )
    pattern = schema.get("pattern")
    if pattern is not None:
        repeats = [int(n) for pair in re.findall(r"\{(\d+)(?:,(\d*))?\}", pattern) for n in pair if n]
        if _NOT_RE2.search(pattern) or max(repeats, default=0) > _MAX_REPEAT:
            raise CrdSchemaError(
                path, f"pattern {pattern!r} is not RE2", "write it without look-around, back references, large repeats"
            )
    if "enum" in schema and not (schema["enum"] and all(_is_type(value, kind) for value in schema["enum"])):
        raise CrdSchemaError(path, f"enum {schema['enum']!r} is empty or not of type {kind}", "list values of its type")
    for rule in schema.get(RULES_KEY, []):
        if not (rule.get("rule") and rule.get("message")):
            raise CrdSchemaError(path, f"the rule {rule!r} lacks rule or message", "give both")


def _check_list(schema: Schema, path: str, *, bounded: bool) -> None:
    if not isinstance(schema.get("items"), dict):
        raise CrdSchemaError(path, "this list does not say what its items are", "annotate it as list[X]")
    items: Schema = schema["items"]
    list_type, keys = schema.get("x-kubernetes-list-type", "atomic"), schema.get("x-kubernetes-list-map-keys", [])
    if list_type not in ("atomic", "set", "map") or (list_type == "map") != bool(keys):
        raise CrdSchemaError(
            path, f"x-kubernetes-list-type {list_type!r} with keys {keys}", "map needs keys, atomic and set have none"
        )
    for key in keys:
        if key not in items.get("properties", {}) or not (
            key in items.get("required", []) or "default" in items["properties"][key]
        ):
            raise CrdSchemaError(path, f"list-map key {key!r} may be absent from an item", "make that field required")
    check(items, f"{path}[]", bounded=bounded)


def _check_object(schema: Schema, path: str, *, bounded: bool) -> None:
    properties, values = schema.get("properties"), schema.get("additionalProperties")
    if bool(properties) == isinstance(values, dict):
        raise CrdSchemaError(
            path,
            "an object needs either named fields or one type of values; anything else is pruned or refused",
            "use a model with fields, or dict[K, V]",
        )
    for name in schema.get("required", []):
        if name not in (properties or {}):
            raise CrdSchemaError(path, f"required field {name!r} is not a field", "remove it or add the field")
    for name, sub in (properties or {}).items():
        check(sub, f"{path}.{name}", bounded=bounded)
    if isinstance(values, dict):
        check(values, f"{path}{{}}", bounded=bounded)


def _is_type(value: object, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _within(value: float, schema: Schema) -> bool:
    low, high = schema.get("minimum"), schema.get("maximum")
    above = low is None or value > low or (value == low and not schema.get("exclusiveMinimum"))
    below = high is None or value < high or (value == high and not schema.get("exclusiveMaximum"))
    return above and below


def _object_mismatch(value: Mapping[str, Any], schema: Schema) -> str:
    properties = schema.get("properties", {})
    missing = [name for name in schema.get("required", []) if name not in value]
    if missing:
        return f"lacks {', '.join(missing)}"
    for name, item in value.items():
        sub = properties.get(name, schema.get("additionalProperties"))
        if sub is None:
            return f"has the unknown field {name}"
        if why := mismatch(item, sub):
            return f"has a field {name} that {why}"
    return ""
