"""Durations and money as the API writes them, and figures as the command line prints them.

Pure functions. A string that does not parse raises ValueError with the value and the accepted form in the message; a
caller that holds a user's object adds the object and the field.
"""

from __future__ import annotations

import math
import re

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS_PER_PART = (3600.0, 60.0, 1.0, 0.001)
_MONEY = re.compile(r"\d+(?:\.\d+)?")


def duration_seconds(text: str) -> float:
    """Seconds of "250ms", "1s", "5m", "1h" or "1h30m". Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f'"{text}" is no duration; write numbers with h, m, s or ms, such as "250ms", "1s" or "1h30m"')
    return sum(float(part) * unit for part, unit in zip(match.groups(), _SECONDS_PER_PART, strict=True) if part)


def money(text: str) -> float:
    """US dollars of "0.805". Raises ValueError; a sign, a currency or a thousands separator is not accepted."""
    if _MONEY.fullmatch(text) is None:
        raise ValueError(f'"{text}" is no amount of money; write US dollars as a plain decimal, such as "0.805"')
    return float(text)


def format_money(dollars: float) -> str:
    """ "$12.34"; up to four digits after the point where the amount has them ("$0.805", "$0.0125")."""
    if not math.isfinite(dollars):
        return "-"
    whole, _, digits = f"{abs(dollars):.4f}".partition(".")
    digits = digits.rstrip("0").ljust(2, "0")
    sign = "-" if dollars < 0 and (whole.strip("0") or digits.strip("0")) else ""
    return f"{sign}${whole}.{digits}"


def format_percent(share: float) -> str:
    """ "25 %" of 0.25; one digit after the point below 10 % ("2.5 %")."""
    if not math.isfinite(share):
        return "-"
    percent = 100.0 * share
    text = f"{percent:.1f}".removesuffix(".0") if abs(percent) < 9.95 else f"{percent:.0f}"
    return f"{text} %"


def format_duration(seconds: float) -> str:
    """ "50ms", "1.5s", "5m" or "2h": the largest unit that writes the value without more than three digits lost."""
    if seconds < 1.0:
        return f"{1000.0 * seconds:g}ms"
    for unit, size in (("h", 3600.0), ("m", 60.0)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
