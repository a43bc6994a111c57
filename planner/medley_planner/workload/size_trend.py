"""How much longer prompts and answers will be at the end of a lead time, where their means grow steadily.

Pure. Sizes have no daily course of their own as rates have; they stay, jump, or drift as one use of a model takes over
from another. So growth counts that was there in each of several spans in a row, as much as in the least of them. A
wobble falls back in one of them, and a jump, which a mean takes a window to show, lies in fewer than there are. Falling
sizes are not foreseen: plans are for sizes that are there already, and capacity goes when they have gone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPANS_WINDOWS = (0.5, 1.0, 2.0)
"""Lengths of a span, in windows: a fast drift shows in short ones, and a slow one above noise in long ones alone."""
READINGS_PER_WINDOW = 10.0
"""Means that are kept. With fewer, a jump between two of them would seem to take longer than a window."""
MOST_GROWTH = 2.0
"""No trend makes a size longer than this factor."""


@dataclass(frozen=True, slots=True)
class SizeTrend:
    """`rows`: (time, mean prompt, mean generation) in seconds and tokens, oldest first; each mean is over a window that
    ends at that time. The last one is the newest there is, the others lie apart."""

    rows: tuple[tuple[float, float, float], ...] = ()

    def after(
        self, at_seconds: float, prompt_tokens: float, generation_tokens: float, *, window_seconds: float
    ) -> SizeTrend:
        """With further means. A time before the last one begins anew: what is known has no known age then."""
        newest = at_seconds, prompt_tokens, generation_tokens
        if self.rows and at_seconds < self.rows[-1][0]:
            return SizeTrend((newest,))
        apart = window_seconds / READINGS_PER_WINDOW
        oldest = at_seconds - apart - max(span * _spans(span) for span in SPANS_WINDOWS) * window_seconds
        rows = [row for row in self.rows if row[0] >= oldest]
        if len(rows) >= 2 and rows[-1][0] - rows[-2][0] < apart:
            rows.pop()
        return SizeTrend((*rows, newest))

    def growth(self, ahead_seconds: float, *, window_seconds: float) -> tuple[float, float]:
        """Factors, 1 or more, by which prompts and generations will be longer so much later."""
        table = np.array(self.rows).reshape(-1, 3)
        prompt, generation = (
            self._growth(table[:, 0], means, window_seconds) * ahead_seconds for means in (table[:, 1], table[:, 2])
        )
        return min(1.0 + prompt, MOST_GROWTH), min(1.0 + generation, MOST_GROWTH)

    def _growth(self, at: NDArray[np.float64], means: NDArray[np.float64], window_seconds: float) -> float:
        """Part of the newest mean by which it grows in a second, 0 or more."""
        found = 0.0
        for span in SPANS_WINDOWS:
            seconds, count = span * window_seconds, _spans(span)
            if len(at) and at[0] <= at[-1] - seconds * count and means[-1] > 0.0:
                steps = np.interp(at[-1] - seconds * np.arange(count, -1, -1), at, means)
                found = max(found, float(np.diff(steps).min()) / (seconds * float(means[-1])))
        return found


def _spans(windows: float) -> int:
    """More spans in a row than the window that a jump takes to show can lie in."""
    return 2 + math.ceil(1.0 / windows)
