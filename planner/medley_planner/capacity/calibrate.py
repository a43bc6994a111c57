"""Learns how fast an engine really is from its counters while it serves: a Kalman filter on the four `StepFactors`.

One filter per `EngineKey`. The observation of a window is the mean inter-token latency, which is the mean step that
decoding sequences saw. It is compared with what the estimated `StepTime` gives at the window's operating point, and
the four factors move by how much each of them has to do with it (an extended Kalman filter: the step time is not linear
in them). A vector and not one ratio, since an engine that is slow at small batches need not be so at large ones. Times
to first token have no part in it: they hold queueing. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medley_planner.capacity.speed import DERATE, ESTIMATE, PARTS, UNCORRECTED, Speed, StepFactors
from medley_planner.capacity.step_time import StepTime
from medley_planner.capacity.window import OperatingPoint, SkipReason, Window
from medley_planner.model import Provenance

Vector: TypeAlias = NDArray[np.float64]
Prior: TypeAlias = Callable[[StepFactors], StepTime]
"""The estimated step time of the engine, with its parts multiplied."""

OWN_DEVIATION = 0.5
"""Doubt of each factor apart from what all have in common, at the start."""
COMMON_DEVIATION = 1.5
"""Doubt of all factors together: a data sheet may be off by three times as a whole."""
FIRST_COVARIANCE: Vector = np.eye(4) * OWN_DEVIATION**2 + COMMON_DEVIATION**2
DRIFT = 0.01
"""Standard deviation by which a factor may change from window to window, if it were all of the step."""
NOISE, LEAST_NOISE = 0.06, 0.01
"""Standard deviation of a window's latency, as a share of it: at most and at least."""
NOISE_PER_ERROR = 1.5
"""Times the mean error of the windows: a little more than the standard deviation that goes with it."""
GATE = 9.0
"""Squared deviations beyond which a window is an outlier."""
OUTLIERS = 10
"""In a row: they are right, and what was learned is wrong."""
RESTART_WIDTH = 4.0
"""Times the doubt of the start: an engine that is off by more than the start allows for must be found too."""
LEAST_FACTOR = 0.2
MOST_CHANGE = 0.5
"""Largest change of a factor by one window, as a share of it."""
MEMORY = 0.98
"""Share of a window's weight that is left in the next one, for the question whether loads differed at all."""
MAX_CONDITION = 1e4
"""Largest ratio of what the windows showed in two directions (squares: 100 times as far in the one as in the other);
beyond it they show one operating point only."""
AVERAGED = 0.2
"""Weight of the newest window in the mean error."""
MIN_WINDOWS = 12
TRUSTED_ERROR, LOST_ERROR = 0.12, 0.25
"""A mean error of at most the first is calibrated; above the second it is so no longer."""
PEAK = 2.0
"""Planning asks for an engine under this many times the heaviest load that it was seen under."""


class CalibrationState(StrEnum):
    """The accuracy of a calibration."""

    CALIBRATED = "Calibrated"
    LEARNING = "FewWindows"
    UNSETTLED = "LargeError"
    """The windows do not agree with what was learned; the estimate is used."""
    RESTARTED = "Restarted"
    """Too many outliers in a row; it learns anew and the estimate is used."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration of one engine. `covariance` is of the four factors, in the order of `PARTS`.

    `told`: how much the windows showed in each direction. `error`: running mean of how far windows were from what was
    expected of them, as a share. `heaviest`: the load with the largest batch so far.
    """

    factors: StepFactors = UNCORRECTED
    covariance: Vector = field(default_factory=lambda: FIRST_COVARIANCE.copy())
    told: Vector = field(default_factory=lambda: np.zeros((4, 4)))
    windows: int = 0
    outliers: int = 0
    error: float = 1.0
    standing: CalibrationState = CalibrationState.LEARNING
    heaviest: OperatingPoint | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """A calibration after one more window; `skipped` says why the window was not used."""

    calibration: Calibration
    skipped: SkipReason | None = None


def learn(calibration: Calibration, window: Window, prior: Prior) -> Learned:
    """The calibration after `window`. The calibration is kept as it is where the window cannot be used."""
    problem = window.problem()
    if problem is not None:
        return Learned(calibration, problem)
    point = window.point()
    state = _vector(calibration.factors)
    expected, slope = _slope(state, point, prior)
    observed = window.inter_token_seconds
    surprise = observed - expected
    scale = max(observed, expected)
    told = MEMORY * calibration.told + np.outer(slope, slope) / expected**2
    # A single operating point gives one number: the engine as a whole is slower or faster. The first window is one.
    direction = state if _one_point(told) else None
    # Where a window shows little, doubt does not grow either: else it would grow without end.
    covariance = calibration.covariance + DRIFT**2 * np.diag(slope * state / expected)
    doubt = float(slope @ covariance @ slope)
    if surprise**2 > GATE * (doubt + (NOISE * scale) ** 2):
        return Learned(_outlier(calibration), SkipReason.OUTLIER)
    noise = (_noise(calibration) * scale) ** 2
    spread = doubt + noise
    gain = covariance @ slope / spread
    if direction is not None:
        gain = direction * float(slope @ gain) / float(slope @ direction)
    gain *= _damped(state, gain * surprise)
    moved = np.maximum(state + gain * surprise, LEAST_FACTOR)
    # Joseph's form: it holds for any gain, also for one that was bent or damped.
    rest = np.eye(4) - np.outer(gain, slope)
    covariance = rest @ covariance @ rest.T + np.outer(gain, gain) * noise
    share = abs(surprise) / scale
    error = share if not calibration.windows else calibration.error + AVERAGED * (share - calibration.error)
    heaviest = calibration.heaviest
    if heaviest is None or point.decoding > heaviest.decoding:
        heaviest = point
    after = Calibration(
        factors=StepFactors(*map(float, moved)),
        covariance=(covariance + covariance.T) / 2.0,
        told=told,
        windows=calibration.windows + 1,
        error=error,
        standing=calibration.standing,
        heaviest=heaviest,
    )
    return Learned(replace(after, standing=_standing(after)))


def _noise(calibration: Calibration) -> float:
    """The noise of the engine's windows as they have shown it. To take quiet windows for noisy ones would leave the
    factors in doubt that have a small part in each step, and plan with them far slower than they are."""
    if not calibration.windows:
        return NOISE
    return min(max(NOISE_PER_ERROR * calibration.error, LEAST_NOISE), NOISE)


def cautious_factors(calibration: Calibration, prior: Prior) -> StepFactors:
    """One standard deviation slower than learned, where it matters: under `PEAK` times the heaviest load seen.

    Of all factors within one deviation, those with the longest step there (not each factor's own bound: a single
    operating point gives a sum of parts, each of which is uncertain while the sum is not).
    """
    if calibration.heaviest is None:
        return calibration.factors
    state = _vector(calibration.factors)
    _, slope = _slope(state, calibration.heaviest.loaded(PEAK), prior)
    towards = calibration.covariance @ slope
    deviation = math.sqrt(max(float(slope @ towards), 0.0))
    if deviation <= 0.0:
        return calibration.factors
    return StepFactors(*map(float, np.maximum(state + towards / deviation, LEAST_FACTOR)))


def calibrated_speed(calibration: Calibration, prior: Prior, *, kv_tokens: int | None = None) -> Speed:
    """The speed that planning may count on: the cautious factors where it is calibrated, else the estimate.

    `kv_tokens` is the engine's own figure and counts in both cases.
    """
    if calibration.standing is not CalibrationState.CALIBRATED:
        return replace(ESTIMATE, kv_tokens=kv_tokens)
    return Speed(
        factors=cautious_factors(calibration, prior),
        provenance=Provenance.CALIBRATED,
        derate=DERATE[Provenance.CALIBRATED],
        kv_tokens=kv_tokens,
    )


def step_change(before: StepFactors, after: StepFactors, calibration: Calibration, prior: Prior) -> float:
    """How much longer or shorter steps are with other factors, as a share: the most of light, known and peak load.

    Not the change of the factors themselves: one that has little part in a step moves much and means little.
    """
    if calibration.heaviest is None:
        return 0.0
    points = [calibration.heaviest.loaded(times) for times in (1.0 / PEAK, 1.0, PEAK)]
    pairs = [(point.mean_step_seconds(prior(before)), point.mean_step_seconds(prior(after))) for point in points]
    return max(abs(later / earlier - 1.0) for earlier, later in pairs)


def _vector(factors: StepFactors) -> Vector:
    return np.array([getattr(factors, part) for part in PARTS])


def _slope(state: Vector, point: OperatingPoint, prior: Prior) -> tuple[float, Vector]:
    """The step time expected at `point`, and its derivative by each factor.

    Step times are homogeneous in the factors: the parts of the slope times the factors sum up to the step time.
    """

    def seconds(values: Vector) -> float:
        return point.mean_step_seconds(prior(StepFactors(*map(float, values))))

    slope = np.zeros(4)
    for part in range(4):
        width = np.zeros(4)
        width[part] = 1e-3 * state[part]
        slope[part] = (seconds(state + width) - seconds(state - width)) / (2.0 * width[part])
    return seconds(state), slope


def _one_point(told: Vector) -> bool:
    values = np.linalg.eigvalsh(told)
    return bool(values[-1] > MAX_CONDITION * values[-2])


def _damped(state: Vector, change: Vector) -> float:
    """The share of a change that keeps within `MOST_CHANGE` of the largest of the factors that it moves."""
    relative = float(np.max(np.abs(change) / state))
    return 1.0 if relative <= MOST_CHANGE else MOST_CHANGE / relative


def _outlier(calibration: Calibration) -> Calibration:
    if calibration.outliers + 1 < OUTLIERS:
        return replace(calibration, outliers=calibration.outliers + 1)
    return Calibration(
        factors=calibration.factors, covariance=RESTART_WIDTH**2 * FIRST_COVARIANCE, standing=CalibrationState.RESTARTED
    )


def _standing(calibration: Calibration) -> CalibrationState:
    before = calibration.standing
    if calibration.windows < MIN_WINDOWS:
        return before if before is CalibrationState.RESTARTED else CalibrationState.LEARNING
    if before is CalibrationState.CALIBRATED:
        return CalibrationState.CALIBRATED if calibration.error <= LOST_ERROR else CalibrationState.UNSETTLED
    return CalibrationState.CALIBRATED if calibration.error <= TRUSTED_ERROR else CalibrationState.UNSETTLED
