"""Words what pydantic finds wrong in a manifest or a document as `BadInput`; no other module words it. Pure.

A model may say how one of its texts is written by raising `bad_form`; all else follows from pydantic's own kind of
error. Steps of a path in angle brackets are names of a union's members, not fields; a fault of a key stands at its
entry.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from medley_planner.bad_input import MISSING, BadInput, shown

_FORM = "form"
_KEY = "[key]"
"""The last step of the path of a key that pydantic refuses."""
WHOLE = "it"
"""The field of a fault of what was validated as a whole."""


def bad_form(form: str, *, quoted: bool) -> PydanticCustomError:
    """For a validator to raise: the text is not `form`, such as "a duration with its unit, such as 5s".

    `quoted`: the value is not a text, and its digits in quotes would be one of that form.
    """
    return PydanticCustomError(_FORM, "write {form}", {"form": form, "quoted": quoted})


def faults_of(error: ValidationError, *, where: str = "") -> list[BadInput]:
    """One for each fault that pydantic found, in its order; `where` names the object."""
    return [
        _fault(where, detail["loc"], detail["type"], detail["input"], detail.get("ctx") or {}, detail["msg"])
        for detail in error.errors(include_url=False)
    ]


def field_path(location: Sequence[int | str]) -> str:
    """`("variants", 0, "capacity_rps", "<flat>", 3)` as `variants[0].capacity_rps[3]`."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.startswith("<") or step == _KEY:
            continue
        elif step.isidentifier():
            path += f".{step}" if path else step
        else:
            path += f"[{json.dumps(step)}]"
    return path


def _fault(
    where: str, location: Sequence[int | str], kind: str, value: object, context: Mapping[str, Any], said: str
) -> BadInput:
    path = field_path(location)
    if kind == "missing":
        return BadInput(where, path, MISSING, "add it")
    if kind == "value_error":  # a rule that spans the fields of an object
        return BadInput.whole(where, f"{path}: {context['error']}" if path else str(context["error"]))
    return BadInput(where, path or WHOLE, value, _way_out(kind, value, context, said))


def _way_out(kind: str, value: object, context: Mapping[str, Any], said: str) -> str:
    if kind == _FORM:
        return _as_form(value, context["form"], quoted=context["quoted"])
    if kind == "string_type":
        return _as_text(value)
    if kind in _NUMBERS:
        return _as_number(value, _NUMBERS[kind])
    if kind in _WAYS_OUT:
        return _WAYS_OUT[kind]
    if kind == "enum" or kind == "literal_error":
        return _as_member(value, context["expected"].replace(" or ", ", ").replace("'", ""))
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return words.format(context[name])
    if kind in _LENGTHS:
        name, words, what = _LENGTHS[kind]
        return f"give {words} {context[name]} {what[context[name] != 1]}"
    if kind == "string_pattern_mismatch":
        return f"it must match {context['pattern']}"
    return f"{said[:1].lower()}{said[1:]}"


def _as_member(value: object, members: str) -> str:
    """One of them in quotes where it was written without: YAML takes a bare Off for false."""
    word = next((member for member in members.split(", ") if _yaml_bool(member) is value), None)
    if not isinstance(value, bool) or word is None:
        return f"give one of {members}"
    return f'{_READ_AS.format(_kind(value))}; write "{word}" in quotes, or another of {members}'


def _yaml_bool(word: str) -> bool | None:
    """The value that YAML, as kubectl and Helm read it, takes a bare word for; None where it stays a word."""
    return {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}.get(word.lower())


def _as_text(value: object) -> str:
    word = as_word(value)
    return "give text" if word is None else f'{_READ_AS.format(_kind(value))}; write it in quotes, such as "{word}"'


def _as_form(value: object, form: str, *, quoted: bool) -> str:
    if quoted:
        return _as_text(value)
    return f"write {form}" if as_word(value) is None else f"{_READ_AS.format(_kind(value))}; write {form}"


_READ_AS = "YAML and JSON read it as {}"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false, as yes, no, on and off"
    return "a number" if isinstance(value, int | float) else "a date"


def as_word(value: object) -> str | None:
    """The value without quotes, as it was most likely written; None for a text, a list, an object, nothing."""
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return shown(value) if isinstance(value, bool | int | float) else None


def _as_number(value: object, wanted: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "give a finite number"  # an integer that no double holds
    try:
        unquoted = isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        unquoted = False
    return f"give {wanted} without quotes: {value}" if unquoted else f"give {wanted}"


_NUMBERS = {
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
}
_OBJECT = "give an object, which is fields with their values"
_WAYS_OUT = {
    "extra_forbidden": "there is no such field; correct its name or remove it",
    "finite_number": "give a finite number",
    "int_parsing_size": "give a smaller number",
    "string_unicode": "write text whose characters can all be printed",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "list_type": "give a list",
    "tuple_type": "give a list",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
}
_LIMITS = {
    "greater_than_equal": ("ge", "give a finite number, {:g} or more"),
    "greater_than": ("gt", "give a finite number above {:g}"),
    "less_than_equal": ("le", "give a number, {:g} or less"),
    "less_than": ("lt", "give a number below {:g}"),
}
_ENTRIES = ("entry", "entries")
_CHARACTERS = ("character", "characters")
_LENGTHS = {
    "too_short": ("min_length", "at least", _ENTRIES),
    "too_long": ("max_length", "at most", _ENTRIES),
    "string_too_short": ("min_length", "at least", _CHARACTERS),
    "string_too_long": ("max_length", "at most", _CHARACTERS),
}
