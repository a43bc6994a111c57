"""Numbers as Grafana writes them, for the units that the dashboards have."""

from __future__ import annotations

from medley_operator.dashboards.panels import Unit

_SECONDS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_THOUSANDS = ((1e6, "M"), (1e3, "k"))


def written(value: float, unit: str) -> str:
    """Three significant digits with its unit."""
    match unit:
        case Unit.DOLLARS:
            return f"${_short(value)}"
        case Unit.SHARE:
            return f"{_digits(100 * value)} %"
        case Unit.SECONDS:
            size, name = next(((size, name) for size, name in _SECONDS if abs(value) >= size), _SECONDS[-1])
            return f"{_digits(value / size)} {name}" if value else "0 s"
        case Unit.WATTS:
            return f"{_short(value, ' ')}W"
        case Unit.KILOWATT_HOURS:
            return f"{_digits(value)} kWh"
        case Unit.REQUESTS_PER_SECOND:
            return f"{_short(value)} req/s"
        case Unit.PER_SECOND:
            return f"{_short(value)}/s"
    return _short(value)


def _short(value: float, gap: str = "") -> str:
    for size, name in _THOUSANDS:
        if abs(value) >= size:
            return f"{_digits(value / size)}{gap}{name}"
    return f"{_digits(value)}{gap}"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
