"""The growth of a rate at the same time of earlier days or weeks, as far as two of them agree on it.

Pure. The rates of one day are a poor forecast of the next: what comes again is a part of how they change. So what is
taken from the past is growth over the lead time, and of two periods the smaller one where both go the same way, else
none. While there is one period before, only growth clearly beyond noise counts. Whether that helps is for errors over
the whole past to say, and for those of the last two days (`past_errors`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medley_planner.workload.conformal import FLOOR_SHARE, Floats

STEP_SECONDS = 600.0
DAY_SECONDS = 86400.0
ONCE_ALLOWANCE = 0.2
"""Growth that was seen once counts so much less: the noise of two rates."""
WHOLE_PERIOD = 0.95
"""So much of a period is a whole one: some hours lie between two readings."""
MOST_LOG_GROWTH = float(np.log(10.0))
"""No season moves a forecast by more than this factor."""


@dataclass(frozen=True, slots=True)
class Season:
    """`start_seconds`: time of the first rate; `levels`: logarithms of the rates with a floor, one for each
    `STEP_SECONDS`, as little-endian doubles; NaN where none is known."""

    start_seconds: float
    levels: bytes

    @classmethod
    def of(cls, samples: Sequence[tuple[float, float]]) -> Season | None:
        """From samples of (time, rate) at about that spacing, in any order; None without traffic."""
        table = np.asarray(samples, dtype=float).reshape(-1, 2)
        table = table[np.isfinite(table).all(axis=1) & (table[:, 1] >= 0.0)]
        if not table[:, 1].any():
            return None
        start = float(table[:, 0].min())
        places = np.rint((table[:, 0] - start) / STEP_SECONDS).astype(int)
        rates = np.full(places.max() + 1, np.nan)
        rates[places] = table[:, 1]
        return cls(start, np.log(rates + FLOOR_SHARE * np.nanmean(rates)).astype("<f8").tobytes())

    def growth(self, at_seconds: Floats, ahead_seconds: Floats | float, *, period_seconds: float) -> Floats:
        """Change of the rate's logarithm from each time to so much later, as it was a period before, and two where that
        is known; NaN where it was not known a period before."""
        return _agreed(
            *(
                self._level(at_seconds + ahead_seconds - before) - self._level(at_seconds - before)
                for before in (period_seconds, 2 * period_seconds)
            )
        )

    def error_share(self, ahead_seconds: float, *, period_seconds: float) -> float:
        """Its errors over all that is known, as a part of those of the last rate; 1 where it foretold less than a whole
        period."""
        levels = np.frombuffer(self.levels, dtype="<f8")
        ahead, period = ahead_seconds / STEP_SECONDS, period_seconds / STEP_SECONDS
        last, other = (_shifted(levels, ahead - before) - _shifted(levels, -before) for before in (period, 2 * period))
        now, then = np.exp(levels), np.exp(_shifted(levels, ahead))
        grown = now * np.exp(_agreed(last, other))
        known = np.flatnonzero(np.isfinite(grown) & np.isfinite(then))
        if not len(known) or known[-1] - known[0] < WHOLE_PERIOD * period:
            return 1.0
        missed, missed_by_last = (float(np.abs(then - by)[known].sum()) for by in (grown, now))
        return missed / missed_by_last if missed_by_last > 0.0 else 1.0

    def _level(self, at_seconds: Floats) -> Floats:
        """Between two that are known; NaN elsewhere."""
        levels = np.frombuffer(self.levels, dtype="<f8")
        times = self.start_seconds + STEP_SECONDS * np.arange(len(levels))
        found: Floats = np.interp(at_seconds, times, levels, left=np.nan, right=np.nan)
        return found


def _agreed(last: Floats, other: Floats) -> Floats:
    """The growth to expect, from that of a period before and of two."""
    agreed = np.where(last * other > 0.0, np.minimum(np.abs(last), np.abs(other)), 0.0)
    size = np.where(np.isfinite(other), agreed, np.maximum(np.abs(last) - ONCE_ALLOWANCE, 0.0))
    return np.sign(last) * np.minimum(size, MOST_LOG_GROWTH)


def _shifted(levels: Floats, steps: float) -> Floats:
    """The level so many steps after each one, as `np.interp` has it; NaN beyond both ends."""
    whole = math.floor(steps)
    first, second = (_moved(levels, whole + more) for more in (0, 1))
    return first if steps == whole else first + (steps - whole) * (second - first)


def _moved(levels: Floats, places: int) -> Floats:
    found = np.full(len(levels), np.nan)
    count = len(levels) - abs(places)
    if count > 0:
        found[max(-places, 0) : max(-places, 0) + count] = levels[max(places, 0) : max(places, 0) + count]
    return found
