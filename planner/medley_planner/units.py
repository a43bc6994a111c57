"""Durations, money and rates as texts: the one reader of durations, and the one way in which each is written. Pure.

Messages and tables write a figure with its unit (`per_hour`, `req_per_second`, `seconds_text`); API fields, whose names
have the unit, write the bare figure (`money`, `unit_price`, `rate`, `percent`, `decimal`). JSON and metrics hold
numbers and need none of these.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_WHOLE_FROM = 1000.0
_NEAR_HALF = 0.01
"""Share of the last digit: nearer to a half, the sixth decimal decides."""


@lru_cache(maxsize=4096)
def duration_seconds(text: str) -> float:
    """Seconds of "250ms", "1.5s", "5m" or "2h". Raises ValueError with the value and the accepted form."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a duration; write a number and one of ms, s, m, h, such as "250ms"')
    return float(match.group(1)) * _SECONDS_PER_UNIT[match.group(2)]


def per_hour(dollars: float) -> str:
    """ "$1.61/h"."""
    if not math.isfinite(dollars):
        return f"${dollars}/h"
    return f"${money(dollars)}/h" if dollars >= 0 else f"-${money(-dollars)}/h"


def req_per_second(requests: float) -> str:
    """ "4.2 req/s", with four significant digits."""
    return f"{requests:.0f} req/s" if requests >= _WHOLE_FROM else f"{requests:.4g} req/s"


def seconds_text(seconds: float) -> str:
    """ "50 ms" under a second, "1.5 s" above."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def money(dollars: float) -> str:
    """US dollars with two decimals, half cents up: the dust of binary sums must not decide the last digit."""
    return _half_up(dollars, digits=2)


def unit_price(dollars: float) -> str:
    """US dollars for one of something that is cheap by the piece (a watt, a million tokens), with four decimals."""
    return _half_up(dollars, digits=4)


def percent(share: float) -> str:
    """A share of one as percent, downwards to tenths, so that no miss reads as a hit."""
    return str(Decimal(f"{share * 100.0 + 0.0:.6f}").quantize(Decimal("0.1"), rounding=ROUND_FLOOR))


def rate(requests_per_second: float) -> str:
    """Requests per second in the fewest characters that keep three decimals ("4", "11.2")."""
    return decimal(requests_per_second, digits=3)


def decimal(value: float, *, digits: int) -> str:
    """In the fewest characters that keep so many decimals."""
    text = format(Decimal(f"{value + 0.0:.{digits}f}"), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _half_up(dollars: float, *, digits: int) -> str:
    if dollars > 0 and abs(dollars * 10**digits % 1.0 - 0.5) > _NEAR_HALF:
        return f"{dollars:.{digits}f}"  # plans name thousands of prices, and this is the fast way
    text = f"{dollars + 0.0:.6f}"
    step = 10 ** (6 - digits)
    units, part = divmod((int(text.lstrip("-").replace(".", "")) + step // 2) // step, 10**digits)
    return f"{'-' if text[0] == '-' else ''}{units}.{part:0{digits}d}"
