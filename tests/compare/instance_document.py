"""The part of an instance with a known optimum that `medley solve` reads: the rest says what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FIELDS = ("gpu", "dist", "rate", "ins", "outs", "stock", "routing")


def bare(instance: Mapping[str, Any]) -> dict[str, Any]:
    return {name: instance[name] for name in _FIELDS if name in instance}
