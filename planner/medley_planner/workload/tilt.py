"""The product of two size distributions tilted to a given mean of prompt x generation, both kept as they are. Pure.

Engines export one histogram of prompts and one of generations, not how they go together, and the same two histograms
can load a GPU by a third more or less. Where the mean of prompt x generation is known (`held_tokens`), the product is
multiplied by exp(theta * u * v), u and v being the standardised logarithms of both sizes, and fitted back to both
histograms by iterative proportional fitting (Deming and Stephan 1940): of all joint distributions with these margins
and this mean of u * v it is the one nearest to independence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

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
_STEPS = 20
KEPT = 1024
"""Results that are kept for the same figures."""


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
    return _tilted(tuple(prompt), tuple(generation), ratio)


@lru_cache(maxsize=KEPT)
def _tilted(prompt: tuple[Bin, ...], generation: tuple[Bin, ...], ratio: float) -> Tilt:
    """The same figures come again, as of a service at rest in each round."""
    family = _Family(prompt, generation)
    if abs(ratio - 1.0) <= NO_TILT or not family.varies:
        return family.at(0.0).tilt(0.0, clamped=abs(ratio - 1.0) > NO_TILT)
    low, high = (0.0, MAX_TILT) if ratio > 1.0 else (-MAX_TILT, 0.0)
    limit = high if ratio > 1.0 else low
    last = family.at(limit)
    if (last.ratio - ratio) * math.copysign(1.0, limit) <= 0.0:
        return last.tilt(limit, clamped=True)
    below, above = family.around(ratio, limit, last) if math.isfinite(last.lag) else (-math.inf, math.inf)
    for _ in range(_BISECTIONS):
        theta = (low + high) / 2.0
        if below < theta < above:
            fit = family.at(theta)
            if abs(fit.ratio - ratio) < _TOLERANCE:
                return fit.tilt(theta, clamped=False)
            is_low = fit.ratio < ratio
        else:
            # The mean rises with theta, so that here nothing need be worked out.
            is_low = theta <= below
        low, high = (theta, high) if is_low else (low, theta)
    return family.at(theta).tilt(theta, clamped=False)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Shares with both margins, and their mean of prompt x generation in products of the means. `across`: the factors
    of the columns, from which another theta nearby is fitted sooner. `lag`: how many times the last correction all
    further ones would have come to; infinite where the margins do not hold."""

    shares: Array
    ratio: float
    across: Array
    lag: float

    def tilt(self, theta: float, *, clamped: bool) -> Tilt:
        return Tilt(tuple(map(tuple, self.shares.tolist())), theta, self.ratio, clamped)


class _Family:
    """The tilted products of two margins, by theta."""

    def __init__(self, prompt: Sequence[Bin], generation: Sequence[Bin]) -> None:
        self._rows, self._columns = _Margin(prompt), _Margin(generation)
        self._together = np.outer(self._rows.scores, self._columns.scores)
        self.varies = self._rows.varies and self._columns.varies

    def at(self, theta: float, across: Array | None = None) -> _Fit:
        start = self._columns.shares if across is None else across
        shares, across, lag = _fitted(np.exp(theta * self._together), self._rows.shares, self._columns.shares, start)
        return _Fit(shares, float(self._rows.sizes @ shares @ self._columns.sizes), across, lag)

    def around(self, ratio: float, limit: float, at_limit: _Fit) -> tuple[float, float]:
        """Thetas close together whose means are certain to be below and above `ratio`, by more than two fits of one
        theta may differ; infinite where none is found. `at_limit`: the fit at the end of the range, than which no other
        lags more."""
        off_per_column = 2.0 * _TOLERANCE * at_limit.lag
        certain = off_per_column * (1.0 + float(self._columns.sizes.sum() * self._rows.sizes.max()))
        below, above, across = -math.inf, math.inf, None

        def look(theta: float) -> float:
            """How far the mean there is off, in logarithms."""
            nonlocal below, above, across
            fit = self.at(theta, across)
            across = fit.across
            if fit.lag <= at_limit.lag and fit.ratio < ratio - certain:
                below = max(below, theta)
            elif fit.lag <= at_limit.lag and fit.ratio > ratio + certain:
                above = min(above, theta)
            return math.log(fit.ratio / ratio)

        ends = sorted([(0.0, -math.log(ratio)), (limit, math.log(at_limit.ratio / ratio))])
        root, slope = _root(ends[0], ends[1], look, close=certain / ratio)
        for side in (-1.0, 1.0) if slope > 0.0 else ():
            for steps in (2.0, 8.0, 32.0):
                theta = root + side * steps * certain / (ratio * slope)
                if look(min(max(theta, ends[0][0]), ends[1][0])) * side * ratio > certain:
                    break
        return (below, above) if below < above else (-math.inf, math.inf)


def _root(
    low: tuple[float, float], high: tuple[float, float], look: Callable[[float], float], *, close: float
) -> tuple[float, float]:
    """About where the rising `look` is 0, and its slope there, by false position with ends that count for less the
    longer they stay (Anderson and Bjorck 1973). `low` and `high`: thetas with what it is there."""
    (a, at_a), (b, at_b) = low, high
    before = (a, at_a) if abs(at_a) < abs(at_b) else (b, at_b)
    theta, slope = before[0], (at_b - at_a) / (b - a)
    for _ in range(_STEPS):
        theta = b - at_b * (b - a) / (at_b - at_a)
        found = look(theta)
        if theta != before[0]:
            slope = (found - before[1]) / (theta - before[0])
        if abs(found) <= close:
            break
        if found < 0.0:
            if before[1] < 0.0:
                at_b *= _share(found, before[1])
            a, at_a = theta, found
        else:
            if before[1] > 0.0:
                at_a *= _share(found, before[1])
            b, at_b = theta, found
        before = theta, found
    return theta, slope


def _share(found: float, before: float) -> float:
    left = 1.0 - found / before
    return left if left > 0.0 else 0.5


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


def _fitted(weights: Array, rows: Array, columns: Array, across: Array) -> tuple[Array, Array, float]:
    """`weights` x the product of the margins, scaled by rows and columns until both margins hold, the factors of the
    columns, and the lag; it begins with `across`. In place, since a fleet asks for some hundred thousand sweeps in a
    round."""
    across, lag, before = across.copy(), math.inf, math.inf
    sums, down = np.empty_like(rows), np.empty_like(rows)
    filled, off = np.empty_like(columns), np.empty_like(columns)
    by_row, by_column = weights.dot, weights.T.dot
    for _ in range(_SWEEPS):
        by_row(across, sums)
        np.divide(rows, sums, down)
        by_column(down, filled)
        np.multiply(across, filled, off)
        np.subtract(off, columns, off)
        # A few figures: Python compares them faster than numpy is called.
        errors = off.tolist()
        worst = max(max(errors), -min(errors))
        if worst < _TOLERANCE:
            lag = 1.0 / (1.0 - worst / before) if worst < before else 1.0 / _TOLERANCE
            break
        before = worst
        np.divide(columns, filled, across)
    down = rows / (weights @ across)
    return np.asarray(down[:, None] * weights * across[None, :]), across, lag
