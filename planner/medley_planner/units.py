"""Durations as Kubernetes objects write them. Pure.

A string that does not parse raises ValueError with the value and the accepted form in the message; a caller that holds
a user's object adds the object and the field.
"""

from __future__ import annotations

import re

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_seconds(text: str) -> float:
    """Seconds of "250ms", "1.5s", "5m" or "2h". Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no duration; write a number and one of ms, s, m, h, such as "250ms"')
    return float(match.group(1)) * _SECONDS_PER_UNIT[match.group(2)]
