"""How text from a flag or an environment variable becomes the value of a setting, or is refused with the way out."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from medley_operator.api.v1alpha1 import ActingMode
from medley_planner.bad_input import BadInput

ENVIRONMENT_PREFIX = "MEDLEY_"
LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_SECONDS = 86400.0
LEAST_DERATE = 0.1
"""A smaller value is a typing error, such as 0.05 for 0.95, and not a safety margin."""
MAX_NAMESPACE = 63


class BadSetting(BadInput):
    """A setting that cannot be used; `field` is its flag and environment variable."""


def check(holds: bool, flag: str, value: object, way_out: str) -> None:
    if not holds:
        raise BadSetting("", f"{flag} (or {variable(flag)})", value, way_out)


def variable(flag: str) -> str:
    return ENVIRONMENT_PREFIX + flag.removeprefix("--").replace("-", "_").upper()


Value = TypeVar("Value", covariant=True)


@dataclass(frozen=True, slots=True)
class Parser(Generic[Value]):
    """How text becomes a value, called with the flag and the text, and what a value of the chart may be for it, as JSON
    Schema."""

    read: Callable[[str, str], Value]
    schema: Mapping[str, object]

    def __call__(self, flag: str, text: str) -> Value:
        return self.read(flag, text)


@dataclass(frozen=True, slots=True)
class Flag:
    """How the text of a flag becomes a value, and its help."""

    parse: Callable[[str, str], object]
    help: str


def add_flags(parser: argparse.ArgumentParser, flags: Mapping[str, Flag]) -> None:
    """Every flag as plain text: `values_of` checks it, so that flags and variables get the same messages."""
    for flag, definition in flags.items():
        parser.add_argument(flag, metavar="VALUE", help=f"{definition.help}; environment {variable(flag)}")


def values_of(
    flags: Mapping[str, Flag], arguments: argparse.Namespace, environment: Mapping[str, str]
) -> dict[str, object]:
    """The values that are given, by the names of the settings. Raises `BadSetting`."""
    values: dict[str, object] = {}
    for flag, definition in flags.items():
        name = flag.removeprefix("--").replace("-", "_")
        text = getattr(arguments, name, None)
        if text is None:
            text = environment.get(variable(flag))
        if text is not None:
            values[name] = definition.parse(flag, text)
    return values


def as_number(what: str, *, least: float, most: float) -> Parser[float]:
    def parse(flag: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        check(least <= value <= most, flag, text, f"must be a {what} from {least:g} to {most:g}")
        return value

    return Parser(parse, {"type": "number", "minimum": least, "maximum": most})


def as_seconds(*, least: float, most: float = MAX_SECONDS) -> Parser[float]:
    return as_number("number of seconds", least=least, most=most)


def as_whole(what: str, *, least: int, most: int) -> Parser[int]:
    def parse(flag: str, text: str) -> int:
        holds = text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most
        check(holds, flag, text, f"must be a whole number of {what} from {least} to {most}")
        return int(text)

    return Parser(parse, {"type": "integer", "minimum": least, "maximum": most})


as_share = as_number("share", least=LEAST_DERATE, most=1.0)


def as_url(flag: str, text: str) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    check(
        parts.scheme in ("http", "https") and bool(parts.hostname),
        flag,
        text,
        "must be a URL such as http://prometheus.monitoring:9090",
    )
    check(parts.username is None, flag, f"{parts.scheme}://***@{parts.hostname}", "must not hold a password")
    return text.rstrip("/")


_METRIC = r"([a-zA-Z_:][a-zA-Z0-9_:]{0,199})?"


def _metric(flag: str, text: str) -> str:
    way_out = "must be the name of a counter, such as gateway_requests_by_size_total"
    check(re.fullmatch(_METRIC, text) is not None, flag, text, way_out)
    return text


as_metric = Parser(_metric, {"type": "string", "pattern": f"^{_METRIC}$"})


def as_path(example: str) -> Callable[[str, str], Path | None]:
    def parse(flag: str, text: str) -> Path | None:
        if not text:
            return None
        check(Path(text).is_absolute(), flag, text, f"must be an absolute path, such as {example}, or empty")
        return Path(text)

    return parse


def as_matchers(flag: str, text: str) -> str:
    one = r'[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"([^"\\\n]|\\.)*"'
    holds = re.fullmatch(rf"({one}(,{one})*)?", text) is not None
    check(holds, flag, text, 'must be matchers as in a Prometheus query, without braces, such as cluster="eu-1"')
    return text


def as_word(flag: str, text: str) -> str:
    check(re.fullmatch(r"[\x21-\x7e]{0,200}", text) is not None, flag, text, "must be at most 200 printable characters")
    return text


def as_port(flag: str, text: str) -> int:
    check(text.isdecimal() and 1 <= int(text) <= 65535, flag, text, "must be a port from 1 to 65535")
    return int(text)


def as_address(flag: str, text: str) -> str:
    check(bool(text.strip()), flag, text, "must be an address to listen on, such as 0.0.0.0 or 127.0.0.1")
    return text.strip()


def _switch(flag: str, text: str) -> bool:
    check(text.lower() in ("on", "off"), flag, text, "must be on or off")
    return text.lower() == "on"


as_switch = Parser(_switch, {"type": "string", "enum": ["on", "off"]})


def as_namespace(flag: str, text: str) -> str:
    holds = len(text) <= MAX_NAMESPACE and re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?)?", text) is not None
    check(holds, flag, text, "must be the name of a namespace, such as medley, or empty")
    return text


def as_namespaces(flag: str, text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    for name in names:
        check(bool(name) and as_namespace(flag, name) == name, flag, text, "must be names of namespaces, as in a,b")
    return tuple(sorted(set(names)))


def as_name(flag: str, text: str) -> str:
    holds = len(text) <= MAX_NAMESPACE and re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", text) is not None
    check(holds, flag, text, "must be the name of an object, such as medley-operator")
    return text


def _mode(flag: str, text: str) -> ActingMode:
    modes = {each.value.lower(): each for each in ActingMode}
    check(text.lower() in modes, flag, text, f"must be one of {', '.join(ActingMode)}")
    return modes[text.lower()]


as_mode = Parser(_mode, {"type": "string", "enum": [each.value for each in ActingMode]})


def _level(flag: str, text: str) -> str:
    check(text.lower() in LOG_LEVELS, flag, text, f"must be one of {', '.join(LOG_LEVELS)}")
    return text.lower()


as_level = Parser(_level, {"type": "string", "enum": list(LOG_LEVELS)})
