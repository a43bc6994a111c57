"""The parts of every kind: the metadata that Medley reads, and names, scope and columns for the API server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from medley_operator.api.v1alpha1.base import GROUP, CelRule, ObservedModel

APPROVED_PLAN = f"{GROUP}/approved-plan"
"""Annotation of an LLMService: the id of the plan that a person approves."""
APPROVED_UNTIL = f"{GROUP}/approved-until"
"""Annotation beside it: when the approval ends, in RFC 3339."""
MODE_BEFORE_PAUSE = f"{GROUP}/mode-before-pause"
"""Annotation of an LLMService that `medley pause` paused: its mode before."""


def _of_commands(annotations: Any) -> Any:
    """Annotations of others come and go; none of them may count as a change of the object."""
    if not isinstance(annotations, dict):
        return {}
    return {key: annotations[key] for key in (APPROVED_PLAN, APPROVED_UNTIL, MODE_BEFORE_PAUSE) if key in annotations}


class ObjectMeta(ObservedModel):
    """The parts of an object's metadata that Medley reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    annotations: Annotated[dict[str, str], BeforeValidator(_of_commands)] = Field(default_factory=dict)
    """Those that commands of people write; all others are left out."""


def named(matches: str, at_most: int, message: str) -> CelRule:
    """Children are named after this object, so its name must leave room for theirs and be legal in them."""
    pattern = re.compile(matches)

    def holds(self: Any) -> bool:
        name: str = self.metadata.name
        return len(name) <= at_most and pattern.fullmatch(name) is not None

    rule = f"self.metadata.name.size() <= {at_most} && self.metadata.name.matches('{matches}')"
    return CelRule(cel=rule, message=message, holds=holds)


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column."""

    name: str
    type: str
    json_path: str
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """A custom resource: names, scope and columns beside its spec and status models."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    namespaced: bool
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    description: str
    rules: tuple[CelRule, ...] = ()
    """Rules on metadata; the rules on fields are in their models."""


def condition_column(condition: str, *, name: str = "", field: str = "status", priority: int = 0) -> Column:
    path = f'.status.conditions[?(@.type=="{condition}")].{field}'
    return Column(name=name or condition, type="string", json_path=path, priority=priority)


AGE = Column(name="Age", type="date", json_path=".metadata.creationTimestamp")
