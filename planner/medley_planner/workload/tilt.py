"""The product of two size distributions tilted to a given mean of prompt x generation, both kept as they are. Pure.

Engines export one histogram of prompts and one of generations, not how they go together, and the same two histograms
can load a GPU by a third more or less. Where the mean of prompt x generation is known (`held_tokens`), the product is
multiplied by exp(theta * u * v), u and v being the standardised logarithms of both sizes, and fitted back to both
histograms by iterative proportional fitting (Deming and Stephan 1940): of all joint distributions with these margins
and this mean of u * v it is the one nearest to independence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medley_planner.workload.marginal import Bin

Array = NDArray[np.float64]

MAX_TILT = 1.5
"""Largest |theta|. For normal logarithms theta = r / (1 - r^2), so this is a correlation of 0.72. The strongest of
public traces is 0.52 by rank (Mooncake synthetic), and a figure that asks for more is most likely wrong."""
NO_TILT = 0.03
"""A mean within this of independence, relative, counts as independent: both are wrong by as much."""
MAX_SCORE = 2.5
"""Standard deviations: a rare bin far off decides no more than that, and the fit converges."""
_BISECTIONS = 40
_SWEEPS = 500
_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Tilt:
    """`shares[i][j]` of the requests have prompt bin i and generation bin j; they sum to both margins (to 1e-4).

    `ratio`: mean of prompt x generation over the product of the means, as the shares have it. `clamped`: a stronger
    tilt was asked for than is plausible or than the margins allow.
    """

    shares: tuple[tuple[float, ...], ...]
    theta: float
    ratio: float
    clamped: bool


def tilted(prompt: Sequence[Bin], generation: Sequence[Bin], *, ratio: float) -> Tilt:
    """The product of both, tilted until mean(prompt x generation) is `ratio` x the product of the means.

    Bins need positive shares that sum to 1. Raises ValueError where `ratio` is not finite and above 0.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise ValueError(f"the ratio of mean prompt x generation to independence is {ratio}; give a number above 0")
    rows, columns = _Margin(prompt), _Margin(generation)
    together = np.outer(rows.scores, columns.scores)

    def at(theta: float) -> tuple[Array, float]:
        shares = _fitted(np.exp(theta * together), rows.shares, columns.shares)
        return shares, float(rows.sizes @ shares @ columns.sizes)

    if abs(ratio - 1.0) <= NO_TILT or not (rows.varies and columns.varies):
        shares, reached = at(0.0)
        return _tilt(shares, 0.0, reached, clamped=abs(ratio - 1.0) > NO_TILT)
    low, high = (0.0, MAX_TILT) if ratio > 1.0 else (-MAX_TILT, 0.0)
    limit = high if ratio > 1.0 else low
    shares, reached = at(limit)
    if (reached - ratio) * math.copysign(1.0, limit) <= 0.0:
        return _tilt(shares, limit, reached, clamped=True)
    for _ in range(_BISECTIONS):
        theta = (low + high) / 2.0
        shares, reached = at(theta)
        if abs(reached - ratio) < _TOLERANCE:
            break
        low, high = (theta, high) if reached < ratio else (low, theta)
    return _tilt(shares, theta, reached, clamped=False)


class _Margin:
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


def _fitted(weights: Array, rows: Array, columns: Array) -> Array:
    """`weights` x the product of the margins, scaled by rows and columns until both margins hold."""
    across = columns.copy()
    for _ in range(_SWEEPS):
        down = rows / (weights @ across)
        filled = weights.T @ down
        if float(np.abs(across * filled - columns).max()) < _TOLERANCE:
            break
        across = columns / filled
    down = rows / (weights @ across)
    return np.asarray(down[:, None] * weights * across[None, :])


def _tilt(shares: Array, theta: float, ratio: float, *, clamped: bool) -> Tilt:
    return Tilt(tuple(map(tuple, shares.tolist())), theta, ratio, clamped)
