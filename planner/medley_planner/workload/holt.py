"""Damped Holt on log(1 + rate) for samples at any times: where a rate is, where it goes, and how far that is believed.

Pure. Holt's two exponential smoothings with a damped trend (Gardner and McKenzie 1985), on the logarithm since traffic
grows and falls by factors. Samples need not be evenly spaced (Wright 1986): what is smoothed by time, the trend and its
damping, takes the time since the last sample; the level takes each sample alike, since each is a mean over a window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

UNIT_SECONDS = 600.0
"""Time that `TREND_WEIGHT` and `DAMPING` are given for."""
LEVEL_WEIGHT = 0.8
TREND_WEIGHT = 0.05
DAMPING = 0.8
"""The best round figures of a small grid on two weeks of two production services (ServeGen, 10-minute means)."""
MAX_GROWTH = 1.5
"""The trend moves a forecast by at most this factor of (1 + rate), up or down."""
MAX_LOG_GROWTH = math.log(MAX_GROWTH)

Seconds = TypeVar("Seconds", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Trend:
    """`level`: smoothed log(1 + requests per second); `slope`: its growth per `UNIT_SECONDS`."""

    level: float
    slope: float = 0.0

    @classmethod
    def begin(cls, rate_rps: float) -> Trend:
        return cls(math.log1p(rate_rps))

    def after(self, seconds: float, rate_rps: float) -> Trend:
        """With a further sample, `seconds` (above 0) after the last one; `rate_rps` is finite and 0 or more."""
        units = seconds / UNIT_SECONDS
        expected = self.level + growth(self.slope, seconds)
        level = expected + LEVEL_WEIGHT * (math.log1p(rate_rps) - expected)
        weight = 1.0 - (1.0 - TREND_WEIGHT) ** units
        slope = (1.0 - weight) * self.slope * DAMPING**units + weight * (level - self.level) / units
        return Trend(level, slope)

    def rate_in(self, seconds: float) -> float:
        """Requests per second expected `seconds` from the last sample, 0 or more."""
        return max(0.0, math.expm1(self.level + growth(self.slope, seconds)))


def growth(slope: float, seconds: float) -> float:
    """The change that a damped slope adds to the level in `seconds`, within the bounds of `MAX_GROWTH`."""
    total = slope * damped_units(seconds)
    return min(max(total, -MAX_LOG_GROWTH), MAX_LOG_GROWTH)


def damped_units(seconds: Seconds) -> Seconds:
    """The units of time that a damped slope acts for: DAMPING + DAMPING^2 + ..., at fractions of a unit too."""
    acting: Seconds = DAMPING * (1.0 - DAMPING ** (seconds / UNIT_SECONDS)) / (1.0 - DAMPING)
    return acting
