"""Foundation of every API model: names of the group, the two base models, and rules that span fields.

A rule is written once, as a CEL expression for the API server and as the same predicate in Python, so that an object
refused by `kubectl apply` is refused by `medley plan -f` too. Pure: imports only pydantic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

GROUP = "medley.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

RULES_KEY = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class CelRule:
    """One rule of an object: `cel` is what the API server evaluates, `holds` the same on the parsed model.

    `message` says what must be so, in the field names that users write.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]

    def as_validation(self) -> dict[str, str]:
        """The `x-kubernetes-validations` entry."""
        return {"rule": self.cel, "message": self.message}


class RuledModel(BaseModel):
    """A frozen model that checks its class's `rules` when it is made and carries them into its JSON schema.

    Raises pydantic's `ValidationError` with the rule's message where one does not hold.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    rules: ClassVar[tuple[CelRule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.rules:
            handler.resolve_ref_schema(schema)[RULES_KEY] = [rule.as_validation() for rule in cls.rules]
        return schema


class ApiModel(RuledModel):
    """Base of what users write: camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(extra="forbid")


class ObservedModel(RuledModel):
    """Base of what is read back: as `ApiModel`, but fields of other versions are passed over."""

    model_config = ConfigDict(extra="ignore")
