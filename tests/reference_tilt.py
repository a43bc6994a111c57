"""The tilt done plainly, by bisection that works out every theta: what `workload/tilt.py` must equal to the last bit.

Shares with it the values and the margins. Slow: an oracle for tests, and the baseline of `make bench-tilt`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medley_planner.workload.marginal import Bin
from medley_planner.workload.tilt import MAX_SCORE, MAX_TILT, NO_TILT, Tilt

Array = NDArray[np.float64]
BISECTIONS = 40
SWEEPS = 500
TOLERANCE = 1e-10


def plainly_tilted(prompt: Sequence[Bin], generation: Sequence[Bin], *, ratio: float) -> Tilt:
    rows, columns = Margin(prompt), Margin(generation)
    together = np.outer(rows.scores, columns.scores)

    def at(theta: float) -> tuple[Array, float]:
        shares = fitted(np.exp(theta * together), rows.shares, columns.shares)
        return shares, float(rows.sizes @ shares @ columns.sizes)

    if abs(ratio - 1.0) <= NO_TILT or not (rows.varies and columns.varies):
        shares, reached = at(0.0)
        return _tilt(shares, 0.0, reached, clamped=abs(ratio - 1.0) > NO_TILT)
    low, high = (0.0, MAX_TILT) if ratio > 1.0 else (-MAX_TILT, 0.0)
    limit = high if ratio > 1.0 else low
    shares, reached = at(limit)
    if (reached - ratio) * math.copysign(1.0, limit) <= 0.0:
        return _tilt(shares, limit, reached, clamped=True)
    for _ in range(BISECTIONS):
        theta = (low + high) / 2.0
        shares, reached = at(theta)
        if abs(reached - ratio) < TOLERANCE:
            break
        low, high = (theta, high) if reached < ratio else (low, theta)
    return _tilt(shares, theta, reached, clamped=False)


class Margin:
    """One size: shares, sizes relative to their mean, and standardised logarithms."""

    def __init__(self, bins: Sequence[Bin]) -> None:
        self.shares = np.array([b.share for b in bins])
        tokens = np.array([b.tokens for b in bins])
        self.sizes = tokens / (self.shares @ tokens)
        logarithms = np.log(np.maximum(tokens, 1e-9))
        centred = logarithms - self.shares @ logarithms
        deviation = math.sqrt(float(self.shares @ centred**2))
        self.varies = deviation > 1e-6
        self.scores = np.clip(centred / deviation, -MAX_SCORE, MAX_SCORE) if self.varies else centred


def fitted(weights: Array, rows: Array, columns: Array) -> Array:
    """`weights` x the product of the margins, scaled by rows and columns until both margins hold."""
    across = columns.copy()
    for _ in range(SWEEPS):
        down = rows / (weights @ across)
        filled = weights.T @ down
        if float(np.abs(across * filled - columns).max()) < TOLERANCE:
            break
        across = columns / filled
    down = rows / (weights @ across)
    return np.asarray(down[:, None] * weights * across[None, :])


def _tilt(shares: Array, theta: float, ratio: float, *, clamped: bool) -> Tilt:
    return Tilt(tuple(map(tuple, shares.tolist())), theta, ratio, clamped)
