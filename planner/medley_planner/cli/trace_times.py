"""Arrivals as traces write them: numbers of some unit, or dates and times in any form of ISO 8601. Pure.

A number's unit follows from what is written, not from the name of its field alone: clock times since 1970 by their
size, since no trace is centuries long, and relative ones by the form of the file.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np

from medley_planner.engine.trace import Floats

_FRACTION = re.compile(r"([.,])(\d+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SECONDS = 1e11
"""From here on a number is a clock time in a smaller unit: in seconds it were 3,000 years."""


class TimeUnit(StrEnum):
    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"

    @property
    def seconds(self) -> float:
        return {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[self.value]


def time_of(value: Any) -> tuple[float, bool]:
    """The number, or the seconds since 1970 of a date and time, and whether it was one. A time without an offset counts
    as UTC. Raises ValueError and TypeError."""
    if isinstance(value, bool) or value is None:
        raise TypeError(value)
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return _moment(value), True
    else:
        number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number, False


def _moment(text: str) -> float:
    """Python's reader takes 3 or 6 digits of a second; traces have 1 to 9."""
    found = _FRACTION.search(text)
    fraction = 0.0
    if found is not None:
        fraction = float(f"0.{found[2]}")
        text = text[: found.start()] + text[found.end() :]
    moment = datetime.fromisoformat(text.strip())
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds() + fraction


def unit_of(times: Floats, *, relative: TimeUnit) -> TimeUnit:
    """The unit of numbers: that of clock times by their size, else `relative`."""
    least = float(times.min())
    for unit in (TimeUnit.NANOSECONDS, TimeUnit.MICROSECONDS, TimeUnit.MILLISECONDS):
        # 1e11 seconds lie beyond any date, and 1e11 of a unit a thousand times smaller in 1973.
        if least >= _LONGEST_SECONDS * 1e-3 / unit.seconds:
            return unit
    return relative


def all_whole(times: Floats) -> bool:
    return bool(np.all(times == np.floor(times)))
