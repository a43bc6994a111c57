"""Turns the JSON schema of a pydantic model into the structural schema that a CustomResourceDefinition holds.

Only rewrites that lose nothing are made here (references inlined, optional instead of nullable, draft-4 bounds, key
patterns as CEL rules); what is left over is refused by `structural_check`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

RULES_KEY = "x-kubernetes-validations"
_NULL = {"type": "null"}


class CrdSchemaError(ValueError):
    """The API server would refuse, or silently drop, what stands at `path`; the message says what to do instead."""

    def __init__(self, path: str, what: str, way_out: str) -> None:
        super().__init__(f"{path}: {what}; {way_out}")
        self.path = path
        self.what = what
        self.way_out = way_out


def inline(schema: Mapping[str, Any], path: str) -> Schema:
    """`schema` with each `$ref` replaced by what it refers to; keys beside a `$ref` win. Refuses recursion."""
    definitions = schema.get("$defs", {})

    def resolve(node: Any, at: str, above: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [resolve(item, f"{at}[{index}]", above) for index, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        if "$ref" not in node:
            return {key: resolve(value, f"{at}.{key}", above) for key, value in node.items() if key != "$defs"}
        name = str(node["$ref"]).removeprefix("#/$defs/")
        if name not in definitions:
            raise CrdSchemaError(at, f"$ref {node['$ref']!r} has no definition", "refer to a model of the same schema")
        if name in above:
            raise CrdSchemaError(
                at, f"{name} contains itself", "structural schemas have no recursion: unroll it to a fixed depth"
            )
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _merged(resolve(definitions[name], at, (*above, name)), resolve(beside, at, above))

    inlined: Schema = resolve(dict(schema), path, ())
    return inlined


def normalise(node: Mapping[str, Any], path: str) -> Schema:
    """`node` (inlined) in structural form. Raises `CrdSchemaError` for an optional object that has no default."""
    schema = _without_wrappers(node)
    schema.pop("title", None)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in schema and not isinstance(schema[exclusive], bool):
            if bound in schema:
                raise CrdSchemaError(path, f"both {bound} and {exclusive} are given", "give only one of them")
            schema[bound], schema[exclusive] = schema[exclusive], True
    if schema.get("additionalProperties") is False and schema.get("properties"):
        del schema["additionalProperties"]  # unknown fields are pruned, and refused by strict validation
    _keys_as_rule(schema, path)
    if isinstance(schema.get("items"), dict):
        schema["items"] = normalise(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = normalise(schema["additionalProperties"], f"{path}{{}}")
    if isinstance(schema.get("properties"), dict):
        required = schema.get("required", [])
        schema["properties"] = {
            name: _property(value, f"{path}.{name}", required=name in required)
            for name, value in schema["properties"].items()
        }
    return schema


def without_defaults(schema: Any) -> Any:
    """`schema` without server-side defaults, for a status: what its one writer leaves out stays out."""
    if isinstance(schema, list):
        return [without_defaults(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    properties = {name: without_defaults(value) for name, value in schema.get("properties", {}).items()}
    rest = {k: without_defaults(v) for k, v in schema.items() if k not in ("default", "properties")}
    return {**rest, **({"properties": properties} if properties else {})}


def defaulted(value: Any, schema: Schema) -> Any:
    """`value` with the schema's defaults filled in where it leaves fields out, as the API server does it."""
    if isinstance(value, dict):
        properties: dict[str, Schema] = schema.get("properties", {})
        filled = {name: sub["default"] for name, sub in properties.items() if "default" in sub} | value
        other: Schema = schema.get("additionalProperties", {})
        return {name: defaulted(item, properties.get(name, other)) for name, item in filled.items()}
    if isinstance(value, list):
        return [defaulted(item, schema.get("items", {})) for item in value]
    return value


def _property(raw: Mapping[str, Any], path: str, *, required: bool) -> Schema:
    """A property; an object that may be left out gets a default that holds the defaults of its fields.

    An empty one would be filled in as well, but the server evaluates rules on the default before it does that.
    """
    schema = normalise(raw, path)
    nullable = _NULL in raw.get("anyOf", [])
    if required or nullable or "default" in schema or "properties" not in schema:
        return schema
    if schema.get("required"):
        raise CrdSchemaError(
            path,
            f"may be left out, but holds required fields ({', '.join(schema['required'])}), so no default can fill it",
            "make it required, or optional with `X | None = None`",
        )
    return {**schema, "default": defaulted({}, schema)}


def _without_wrappers(node: Mapping[str, Any]) -> Schema:
    """Undoes `anyOf: [X, null]` (a field that may be absent) and `allOf: [X]`."""
    schema = dict(node)
    options = schema.get("anyOf")
    if isinstance(options, list) and _NULL in options:
        rest = [option for option in options if option != _NULL]
        if schema.get("default", ...) is None:
            del schema["default"]
        if len(rest) == 1:
            del schema["anyOf"]
            schema = _merged(rest[0], schema)
    every = schema.get("allOf")
    if isinstance(every, list) and len(every) == 1:
        del schema["allOf"]
        schema = _merged(every[0], schema)
    return schema if schema == node else _without_wrappers(schema)


def _keys_as_rule(schema: Schema, path: str) -> None:
    """Structural schemas cannot say what a map's keys look like; a CEL rule on the map can."""
    patterns = schema.pop("patternProperties", None)
    names = dict(schema.pop("propertyNames", {}))
    if patterns is not None:
        if len(patterns) != 1 or "properties" in schema or "additionalProperties" in schema:
            raise CrdSchemaError(
                path, "patternProperties beside other properties", "use one dict with one type of key and of value"
            )
        ((names["pattern"], schema["additionalProperties"]),) = patterns.items()
    wanted = []
    if "maxLength" in names:
        wanted.append(f"key.size() <= {names.pop('maxLength')}")
    if "minLength" in names:
        wanted.append(f"key.size() >= {names.pop('minLength')}")
    pattern = names.pop("pattern", None)
    if pattern is not None:
        if "'" in pattern:
            raise CrdSchemaError(path, f"the key pattern {pattern!r} holds a quote", "write it without a quote")
        wanted.append(f"key.matches(r'{pattern}')")
    if set(names) - {"type", "title"}:
        raise CrdSchemaError(path, f"keys are limited by {sorted(names)}", "limit them by length and pattern only")
    if wanted:
        message = "each key must " + (f"match {pattern}" if pattern else "be within its length limits")
        rule = {"rule": f"self.all(key, {' && '.join(wanted)})", "message": message}
        schema[RULES_KEY] = [*schema.get(RULES_KEY, []), rule]


def _merged(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> Schema:
    """`inner` with `outer` over it; rules of both are kept."""
    merged = {**inner, **outer}
    if RULES_KEY in inner and RULES_KEY in outer:
        merged[RULES_KEY] = [*inner[RULES_KEY], *outer[RULES_KEY]]
    return merged
