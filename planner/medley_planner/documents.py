"""JSON and YAML that people write, as values: every field once, a byte order mark skipped, nothing that cannot be read.

JSON says that names should differ and YAML that they must; the parsers keep the last one without a word, so a field
that is written twice would be lost. Pure.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Hashable
from functools import cache
from typing import TYPE_CHECKING, Any

from medley_planner.bad_input import BadInput, shown

if TYPE_CHECKING:
    from yaml import MappingNode, SafeLoader

MARK = "\ufeff"
"""The byte order mark, which some editors write before a text."""
_UNPRINTED = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
"""Categories of Unicode that a terminal or a page does not show as one character in its place."""


class BadText(BadInput):
    """A text that is not JSON or YAML, or has a field twice; the message goes on after the name of the file."""

    def or_else(self, way_out: str) -> str:
        """The message, and what to give instead where it does not say so itself."""
        return f"{self}; {way_out}"


class RepeatedField(BadText):
    """One object has a field twice, and only one of the values could count."""

    def or_else(self, way_out: str) -> str:
        return str(self)


def json_value(text: str) -> Any:
    """Raises `BadText`."""
    try:
        return _decoder().decode(text.removeprefix(MARK))
    except (ValueError, RecursionError) as error:
        raise _bad_json(error) from None


def json_value_at(text: str, position: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends; for several values one after the other. Raises `BadText`."""
    try:
        value, end = _decoder().raw_decode(text, position)
    except (ValueError, RecursionError) as error:
        raise _bad_json(error) from None
    return value, end


def yaml_values(text: str) -> list[Any]:
    """All documents of the text. Raises `BadText`."""
    import yaml

    try:
        return list(yaml.load_all(text.removeprefix(MARK), _loader()))
    except BadText:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: an impossible date or number
        raise BadText.whole("", f"is not YAML: {' '.join(str(error).split())}") from None


def can_be_printed(name: str) -> bool:
    """Whether every character of it is seen: no control character, half of a pair or mark that turns the text."""
    return name.isprintable() or all(unicodedata.category(character) not in _UNPRINTED for character in name)


def _bad_json(error: Exception) -> BadText:
    return error if isinstance(error, BadText) else BadText.whole("", f"is not JSON ({error})")


@cache
def _decoder() -> json.JSONDecoder:
    """One for all texts: a trace has millions, and making it takes as long as reading a line."""
    return json.JSONDecoder(object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise _twice(next(name for name in names if names.count(name) > 1))
    return values


def _twice(name: object, *, place: str = "") -> RepeatedField:
    return RepeatedField.whole("", f"has the field {shown(name)} twice in one object{place}; keep one of them")


@cache
def _loader() -> type[SafeLoader]:
    """Made on first use: only commands that read YAML load its parser."""
    from yaml import SafeLoader

    class Once(SafeLoader):
        """Refuses a key that is there twice; what a merge (`<<`) brings in may be written anew, as YAML says."""

        def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            seen = set()
            for key, _ in node.value:
                name = (key.tag, key.value) if isinstance(key.value, str) else None
                if name in seen:
                    line = key.start_mark.line + 1
                    raise _twice(key.value, place=f" (line {line})")
                if name is not None:
                    seen.add(name)
            return super().construct_mapping(node, deep=deep)

    return Once
