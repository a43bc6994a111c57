"""Money, rates and Kubernetes quantities: read from and written to the strings of the API.

All functions are pure. A string that does not parse raises ValueError with the value in the message; callers that hold
a user's object add the object and the field.
"""

from __future__ import annotations

import re
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation

_QUANTITY = re.compile(r"^([+-]?[0-9.]+)([eE][+-]?[0-9]+|[numkKMGTPE]i?)?$")
_SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
MOST_FIGURE = 1e12
"""No rate, price or percentage of a status is above it, and decimals of what is far above are not exact any more."""


def quantity(text: str | int | float) -> Decimal:
    """Value of a Kubernetes quantity ("4", "500m", "16Gi"). Raises ValueError."""
    match = _QUANTITY.match(str(text))
    if match is None:
        raise ValueError(f'"{text}" is no Kubernetes quantity')
    number, suffix = match.group(1), match.group(2) or ""
    try:
        if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei":
            return Decimal(number + suffix)
        return Decimal(number) * _SUFFIXES.get(suffix, Decimal(1)) if suffix in _SUFFIXES or not suffix else _bad(text)
    except InvalidOperation:
        return _bad(text)


def _bad(text: str | int | float) -> Decimal:
    raise ValueError(f'"{text}" is no Kubernetes quantity')


def number_of(text: str) -> float:
    """A figure that a status tells; 0 where somebody wrote what is none: no number, below 0, without end."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= MOST_FIGURE else 0.0


def scaled_quantity(text: str, factor: int) -> str:
    """`text` times `factor` in the same unit, so that "16Gi" for two GPUs reads "32Gi"."""
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f'"{text}" is no Kubernetes quantity')
    number = Decimal(match.group(1)) * factor
    return f"{_plain(number)}{match.group(2) or ''}"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(dollars: float) -> str:
    """US dollars with two decimals, half cents up: the dust of binary sums must not decide the last digit."""
    return _half_up(dollars, Decimal("0.01"))


def unit_price(dollars: float) -> str:
    """US dollars for one of something that is cheap by the piece (a watt, a million tokens), with four decimals."""
    return _half_up(dollars, Decimal("0.0001"))


def percent(share: float) -> str:
    """A share of one as percent, downwards to tenths, so that no miss reads as a hit."""
    return str(Decimal(f"{share * 100.0 + 0.0:.6f}").quantize(Decimal("0.1"), rounding=ROUND_FLOOR))


def _half_up(dollars: float, step: Decimal) -> str:
    return str(Decimal(f"{dollars + 0.0:.6f}").quantize(step, rounding=ROUND_HALF_UP))


def rate(requests_per_second: float) -> str:
    """Requests per second in the fewest characters that keep three decimals ("4", "11.2")."""
    return decimal(requests_per_second, digits=3)


def decimal(value: float, *, digits: int) -> str:
    """In the fewest characters that keep so many decimals."""
    return _plain(Decimal(f"{value + 0.0:.{digits}f}"))


def seconds_text(seconds: float) -> str:
    """A duration for messages: "50 ms" under a second, "1.5 s" above."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
