"""What the API server would refuse or silently drop, the generator refuses by path and with a way out."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from medley_operator.api.crdgen import crd
from medley_operator.api.structural import CrdSchemaError, Schema
from medley_operator.api.structural_check import check
from medley_operator.api.v1alpha1 import CelRule, Column, Kind

Name = Annotated[str, Field(max_length=8)]


class Empty(BaseModel):
    pass


class Leaf(BaseModel):
    name: Name


class Recursive(BaseModel):
    children: list[Recursive] = Field(default_factory=list, max_length=2)


class Level(IntEnum):
    LOW = 1


class Status(BaseModel):
    ready: str = ""


def field(annotation: Any, default: Any = ...) -> type[BaseModel]:
    """A model with the one field `x`."""
    namespace = {"__annotations__": {"x": annotation}} | ({} if default is ... else {"x": default})
    return type("Spec", (BaseModel,), namespace)


def kind(spec: type[BaseModel], *, column: Column | None = None, rule: str = "") -> Kind:
    return Kind(
        kind="Thing",
        plural="things",
        short_names=("th",),
        namespaced=True,
        spec=spec,
        status=Status,
        columns=(column,) if column else (),
        description="A thing.",
        rules=(CelRule(cel=rule, message="no", holds=bool),) if rule else (),
    )


MODELS = {
    "union": (field(Name | int), "spec.x", "anyOf"),
    "optional union": (field(Name | int | None, None), "spec.x", "anyOf"),
    "discriminated union": (field(Annotated[int | bool, Field(union_mode="left_to_right")]), "spec.x", "anyOf"),
    "no type": (field(Any), "spec.x", "has no type"),
    "recursion": (Recursive, "spec.properties.children.items", "contains itself"),
    "unknown format": (field(Annotated[str, Field(json_schema_extra={"format": "hf-uri"})]), "spec.x", "format"),
    "format of another type": (
        field(Annotated[int, Field(json_schema_extra={"format": "date-time"})]),
        "spec.x",
        "format",
    ),
    "unknown keyword": (field(Annotated[Name, Field(examples=["a"])]), "spec.x", "examples"),
    "keyword of another type": (
        field(Annotated[Name, Field(json_schema_extra={"minimum": 1})]),
        "spec.x",
        "minimum",
    ),
    "unique items": (field(Annotated[set[Name], Field(max_length=3)]), "spec.x", "uniqueItems"),
    "list of anything": (field(Annotated[list[Any], Field(max_length=3)]), "spec.x[]", "has no type"),
    "map of anything": (field(Annotated[dict[str, Any], Field(max_length=3)]), "spec.x", "pruned or refused"),
    "model without fields": (field(Empty), "spec.x", "pruned or refused"),
    "tuple": (field(tuple[Name, int]), "spec.x", "prefixItems"),
    "unbounded string": (field(str), "spec.x", "maxLength"),
    "unbounded list": (field(list[Name]), "spec.x", "maxItems"),
    "unbounded map": (field(dict[str, Name]), "spec.x", "maxProperties"),
    "unbounded string in a list": (field(Annotated[list[str], Field(max_length=3)]), "spec.x[]", "maxLength"),
    "default of another type": (field(Name, 3), "spec.x", "is not of type string"),
    "default outside the bounds": (field(Annotated[int, Field(ge=1)], 0), "spec.x", "outside minimum"),
    "default off the pattern": (field(Annotated[Name, Field(pattern="^a$")], "b"), "spec.x", "does not match"),
    "default too long": (field(Name, "123456789"), "spec.x", "size 9"),
    "default not of the enum": (field(Literal["a", "b"], "c"), "spec.x", "not one of"),
    "default with a bad item": (field(Annotated[list[Name], Field(max_length=3)], [1]), "spec.x", "an item that"),
    "default that lacks a field": (
        field(Leaf | None, Field(None, json_schema_extra={"default": {}})),
        "spec.x",
        "lacks name",
    ),
    "default with an unknown field": (
        field(Leaf | None, Field(None, json_schema_extra={"default": {"name": "a", "y": 1}})),
        "spec.x",
        "unknown field y",
    ),
    "optional object that no default can fill": (
        field(Leaf, Field(default_factory=lambda: Leaf(name="a"))),
        "spec.x",
        "no default can fill",
    ),
    "look-ahead": (field(Annotated[Name, Field(json_schema_extra={"pattern": "^(?!a)"})]), "spec.x", "RE2"),
    "back reference": (field(Annotated[Name, Field(json_schema_extra={"pattern": r"(a)\1"})]), "spec.x", "RE2"),
    "large repeat": (field(Annotated[Name, Field(json_schema_extra={"pattern": "a{1001}"})]), "spec.x", "RE2"),
    "enum of another type": (
        field(Annotated[Name, Field(json_schema_extra={"enum": [True]})]),
        "spec.x",
        "not of type string",
    ),
    "empty enum": (field(Annotated[Name, Field(json_schema_extra={"enum": []})]), "spec.x", "empty"),
    "rule without a message": (
        field(Annotated[Name, Field(json_schema_extra={"x-kubernetes-validations": [{"rule": "self != ''"}]})]),
        "spec.x",
        "lacks rule or message",
    ),
    "list map without keys": (
        field(Annotated[list[Leaf], Field(max_length=3, json_schema_extra={"x-kubernetes-list-type": "map"})]),
        "spec.x",
        "list-type",
    ),
    "list map by a field that is not there": (
        field(
            Annotated[
                list[Leaf],
                Field(
                    max_length=3,
                    json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
                ),
            ]
        ),
        "spec.x",
        "list-map key 'id'",
    ),
    "key limits that no rule can say": (
        field(Annotated[dict[str, Name], Field(max_length=3, json_schema_extra={"propertyNames": {"enum": ["a"]}})]),
        "spec.x",
        "keys are limited by",
    ),
    "key pattern with a quote": (
        field(Annotated[dict[Annotated[str, Field(pattern="^'$")], Name], Field(max_length=3)]),
        "spec.x",
        "quote",
    ),
    "both bounds": (field(Annotated[int, Field(ge=1, gt=0)]), "spec.x", "both minimum and exclusiveMinimum"),
    "constant beside a keyword it cannot have": (
        field(Annotated[Literal["a"], Field(json_schema_extra={"contentEncoding": "base64"})]),
        "spec.x",
        "contentEncoding",
    ),
}


@pytest.mark.parametrize(("spec", "path", "what"), MODELS.values(), ids=MODELS.keys())
def test_refuses_model(spec: type[BaseModel], path: str, what: str) -> None:
    with pytest.raises(CrdSchemaError) as refused:
        crd(kind(spec))
    assert refused.value.path == path
    assert what in refused.value.what
    assert refused.value.way_out


SCHEMAS: dict[str, tuple[Schema, str]] = {
    "oneOf": ({"type": "string", "oneOf": [{"pattern": "a"}]}, "oneOf"),
    "not": ({"type": "string", "not": {"pattern": "a"}}, "not"),
    "allOf of several": ({"allOf": [{"type": "string"}, {"pattern": "a"}]}, "allOf"),
    "list of types": ({"type": ["string", "null"]}, "not one JSON type"),
    "null": ({"type": "null"}, "not one JSON type"),
    "reference": ({"type": "string", "$ref": "#/$defs/X"}, "$ref"),
    "list without items": ({"type": "array"}, "what its items are"),
    "fields beside values": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}},
        "either named fields or",
    ),
    "default that leaves defaults to the server": (
        {"type": "object", "properties": {"a": {"type": "boolean", "default": True}}, "default": {}},
        "leaves out fields",
    ),
    "required field that is none": (
        {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["b"]},
        "required field 'b'",
    ),
    "preserve unknown fields": ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, "preserve"),
    "unbounded below a rule": (
        {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "x-kubernetes-validations": [{"rule": "self.a != ''", "message": "m"}],
        },
        "maxLength",
    ),
}


@pytest.mark.parametrize(("schema", "what"), SCHEMAS.values(), ids=SCHEMAS.keys())
def test_refuses_schema(schema: Schema, what: str) -> None:
    with pytest.raises(CrdSchemaError) as refused:
        check(schema, "status", bounded=False)
    assert what in refused.value.what


def test_refuses_root_rule_beyond_metadata() -> None:
    with pytest.raises(CrdSchemaError, match="beyond metadata"):
        crd(kind(Leaf, rule="self.spec.name != self.metadata.name"))


@pytest.mark.parametrize(
    ("path", "column_type"),
    [(".spec.title", "string"), (".spec.name", "integer"), ('.status.conditions[?(@.kind=="A")].status', "string")],
)
def test_refuses_column_that_would_stay_empty(path: str, column_type: str) -> None:
    with pytest.raises(CrdSchemaError, match="column Title"):
        crd(kind(Leaf, column=Column(name="Title", type=column_type, json_path=path)))
