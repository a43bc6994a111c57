"""What is wrong with one value of a document, as a value: where it stands, what it is and the way out. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from medley_planner.cli.fleet_document import FLAT, TABLE

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """`field` is the path below the service or the document, `message` says the way out."""

    field: str
    value: Any
    message: str
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.field} is {'missing' if self.missing else shown(self.value)}: {self.message}"


class FaultyDocument(ValueError):
    """Carries one fault out of the reading of a document or of one of its services."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def shown(value: object) -> str:
    """The value as JSON, shortened for a message; whole floats as they were most likely written."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def plain(value: object) -> Any:
    """The value where strict JSON can hold it as one word, else as its shortened text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    return shown(value)


def first_fault(error: ValidationError) -> Fault:
    """The first fault that pydantic found, in this planner's words."""
    detail = error.errors(include_url=False)[0]
    kind = detail["type"]
    path = field_path(detail["loc"])
    if kind == "missing":
        return Fault(path, None, "give it; `medley solve --schema` describes it", missing=True)
    return Fault(path or "it", detail["input"], _way_out(kind, detail["input"], detail.get("ctx") or {}, detail["msg"]))


def field_path(location: Sequence[int | str]) -> str:
    """`("variants", 0, "capacity_rps", "flat", 3)` as `variants[0].capacity_rps[3]`."""
    path = ""
    for step in location:
        if step in (FLAT, TABLE):
            continue
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.isidentifier():
            path += f".{step}" if path else step
        else:
            path += f"[{json.dumps(step)}]"
    return path


def _way_out(kind: str, value: object, context: Mapping[str, Any], said: str) -> str:
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        return "give a finite number"
    if kind in _WAYS_OUT:
        return _WAYS_OUT[kind]
    if kind == "enum":
        return f"give one of {context['expected'].replace(' or ', ', ')}"
    if kind == "greater_than_equal":
        return f"give a finite number, {context['ge']:g} or more"
    if kind == "greater_than":
        return f"give a finite number above {context['gt']:g}"
    if kind == "less_than_equal":
        return f"give a number, {context['le']:g} or less"
    if kind == "too_short":
        return f"give at least {context['min_length']} entry"
    return said


_WAYS_OUT = {
    "extra_forbidden": "there is no such field; remove it (`medley solve --schema` has them all)",
    "float_type": "give a number",
    "finite_number": "give a finite number",
    "int_type": "give a whole number",
    "bool_type": "give true or false",
    "string_type": "give a text",
    "string_too_short": "give a name",
    "list_type": "give a list",
    "dict_type": "give an object",
    "model_type": "give an object",
}
