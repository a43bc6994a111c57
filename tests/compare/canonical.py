"""Any value of the planner as plain JSON values that keep every bit and no name of a class. Pure.

Two checkouts give the equal result exactly where the values are equal, whatever their classes are called and wherever
they stand: a float is its hexadecimal text, an enum its value, a record its fields by name, a list or tuple a list.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

TIMINGS = frozenset({"solve_seconds"})
"""Fields that differ between two runs of the same code."""


def canonical(value: Any) -> Any:
    """Raises `TypeError` for what has no such form, rather than to compare addresses."""
    if isinstance(value, Enum):
        return canonical(value.value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return float(value).hex() if math.isfinite(value) else repr(float(value))
    if isinstance(value, int):
        return int(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _record((field.name, getattr(value, field.name)) for field in fields(value))
    if hasattr(type(value), "model_fields"):
        return _record((name, getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, Mapping):
        return _record((_key(key), part) for key, part in value.items())
    if isinstance(value, Set):
        return sorted((canonical(part) for part in value), key=json.dumps)
    if hasattr(value, "tolist"):
        return canonical(value.tolist())
    if isinstance(value, Sequence):
        return [canonical(part) for part in value]
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no canonical form: {value!r}")


def _record(parts: Any) -> dict[str, Any]:
    return {name: canonical(part) for name, part in sorted(parts) if name not in TIMINGS}


def _key(key: Any) -> str:
    return key if type(key) is str else json.dumps(canonical(key), sort_keys=True)
