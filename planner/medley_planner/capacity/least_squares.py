"""A small non-linear least squares (Levenberg-Marquardt with finite differences) for a handful of parameters. Pure.

Apart: a numerical method that knows nothing of engines.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

_DIFFERENCE = 1e-4
_ITERATIONS = 60
_TOLERANCE = 1e-9
_LEAST_DAMPING, _MOST_DAMPING = 1e-9, 1e9


def least_squares(residuals: Callable[[Vector], Vector], start: Vector, *, low: float, high: float) -> Vector:
    """The parameters within [low, high] at which the sum of squared `residuals` is (locally) least.

    `residuals` must be finite within the bounds. Deterministic. Method: Marquardt 1963, damping by the diagonal;
    a step that leaves the bounds is cut to them.
    """
    at = np.clip(start, low, high)
    now = residuals(at)
    cost = float(now @ now)
    damping = 1e-3
    for _ in range(_ITERATIONS):
        slopes = _slopes(residuals, at, now)
        curvature, gradient = slopes.T @ slopes, slopes.T @ now
        improved = False
        while damping < _MOST_DAMPING:
            damped = curvature + damping * np.diag(np.diag(curvature) + 1e-12)
            trial = np.clip(at - np.linalg.solve(damped, gradient), low, high)
            then = residuals(trial)
            trial_cost = float(then @ then)
            if trial_cost < cost:
                improved = True
                break
            damping *= 4.0
        if not improved:
            break
        done = cost - trial_cost <= _TOLERANCE * cost
        at, now, cost = trial, then, trial_cost
        damping = max(damping / 8.0, _LEAST_DAMPING)
        if done:
            break
    return at


def _slopes(residuals: Callable[[Vector], Vector], at: Vector, now: Vector) -> Vector:
    columns = []
    for index in range(at.size):
        moved = at.copy()
        moved[index] += _DIFFERENCE
        columns.append((residuals(moved) - now) / _DIFFERENCE)
    return np.stack(columns, axis=1)
