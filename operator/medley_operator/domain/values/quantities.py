"""Kubernetes quantities ("4", "500m", "16Gi"): read from and written to the strings of the API.

All functions are pure. A string that does not parse raises ValueError with the value in the message; callers that hold
a user's object add the object and the field.
"""

from __future__ import annotations

import re
from decimal import Decimal, DecimalException

_QUANTITY = re.compile(r"([+-]?[0-9.]{1,64})([eE][+-]?[0-9]{1,8}|[numkKMGTPE]i?)?")
MOST_COUNT = 2**31 - 1
"""Kubernetes' limit on replicas; no node has as many devices."""
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


def quantity(text: str | int | float) -> Decimal:
    """Value of a Kubernetes quantity ("4", "500m", "16Gi"). Raises ValueError."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f'"{text}" is not a Kubernetes quantity')
    number, suffix = match.group(1), match.group(2) or ""
    try:
        if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei":
            return Decimal(number + suffix)
        return Decimal(number) * _SUFFIXES.get(suffix, Decimal(1)) if suffix in _SUFFIXES or not suffix else _bad(text)
    except DecimalException:
        return _bad(text)


def _bad(text: str | int | float) -> Decimal:
    raise ValueError(f'"{text}" is not a Kubernetes quantity')


def whole_count(value: object) -> int | None:
    """The whole number of things that `value` counts, from 0 to `MOST_COUNT`: a number of the API or a quantity ("8",
    "1k"). None for anything else, since whoever wrote it, one object must not stop what counts others."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = quantity(value)
    except ValueError:
        return None
    # Compared before it is made an integer: "1e99999999" would have as many digits.
    if not 0 <= number <= MOST_COUNT or number != number.to_integral_value():
        return None
    return int(number)


def scaled_quantity(text: str, factor: int) -> str:
    """`text` times `factor` in the same unit, so that "16Gi" for two GPUs reads "32Gi"."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a Kubernetes quantity')
    number = Decimal(match.group(1)) * factor
    return f"{_plain(number)}{match.group(2) or ''}"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
