"""How far reality went above earlier predictions, and from that how much must be put on top of the next one. Pure.

Conformal prediction over a rolling window: the margin is a quantile of the scores that the same method had in the past,
whatever their distribution. Recent scores weigh more (Barber et al. 2023, "Conformal prediction beyond
exchangeability"), which is how it adapts. The score is additive: a plain ratio of rate and prediction explodes after a
gap without traffic.

Apart: statistics of errors, whatever makes the predictions (`make bench-forecast` scores other methods with it).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOOR_SHARE = 0.1
"""Part of the usual rate that is added to a prediction before an error is set against it."""
MAX_SCORE = 1.5
"""A surprise of more than 150 % counts as one of 150 %: no margin pays for a tenfold one."""

Floats = NDArray[np.float64]


def scores(actual: Floats, predicted: Floats, *, usual_rps: float) -> Floats:
    """(actual - predicted) / (predicted + 0.1 x usual), at most `MAX_SCORE`. `usual_rps` is above 0."""
    return np.minimum((actual - predicted) / (predicted + FLOOR_SHARE * usual_rps), MAX_SCORE)


def with_margin(predicted_rps: float, margin: float, *, usual_rps: float) -> float:
    """The rate whose score would be `margin`, 0 or more."""
    return max(0.0, predicted_rps + margin * (predicted_rps + FLOOR_SHARE * usual_rps))


def margin_at(quantile: float, values: Floats, weights: Floats) -> float:
    """The weighted quantile of scores, the next one counted as above all of them; the largest where that is beyond.

    `values` is not empty, `weights` are above 0 and at most 1: the next score weighs 1. It never falls as `quantile`
    (0 to 1) rises.
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, quantile * (reached[-1] + 1.0)))
    return float(values[order][min(place, len(values) - 1)])
