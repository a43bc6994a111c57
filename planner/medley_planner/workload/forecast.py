"""The rate to plan for at a lead time: what it will be, and what it will hardly exceed. Pure.

A `Forecaster` keeps two days of samples of one service with the trend that was known at each, as one immutable value.
A forecast predicts from the last sample, and takes its margin from what the same prediction would have missed by at
every earlier sample (`conformal`). Whether the trend is followed at all is decided in the same look back: a trend that
did not beat "as it is now" at this lead is not used. Bad samples are named and change nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from medley_planner.workload.conformal import Floats, margin_at, scores, with_margin
from medley_planner.workload.holt import MAX_LOG_GROWTH, Trend, damped_units

SPACING_SECONDS = 120.0
"""Samples that come sooner after the last one are not kept."""
MAX_SAMPLES = 1440
"""Two days at that spacing: one day is too few to have seen each hour's surprises."""
HALF_LIFE_SECONDS = 86400.0
"""A score this much older weighs half."""
LEAST_RPS, MOST_RPS = 1e-9, 1e12
"""Below: silence. Above: no rate of requests, and too near to what doubles can square."""
FEWEST_SCORES = 20
FEWEST_SCORES_SECONDS = 1800.0
"""No forecast before there are this many scores over this much time."""
_ROW = struct.Struct("<4d")


class SampleFault(StrEnum):
    """Why a sample is not taken."""

    NOT_FINITE = "NotFinite"
    """No number, infinite, or beyond `MOST_RPS`."""
    NEGATIVE = "Negative"
    TOO_SOON = "TooSoon"
    """Less than the spacing after the last one, or a little before it."""
    CLOCK_WENT_BACK = "ClockWentBack"
    """More than the spacing before the last one: what is known has no known age any more, and is dropped."""
    SILENT = "Silent"
    """No traffic. A gap is not a trend, and must not count as a prediction that was far too high."""


class Method(StrEnum):
    """The prediction method: the last rate, the last rate with its damped trend, or whichever erred less so far."""

    LAST = "Last"
    TREND = "Trend"
    BETTER = "Better"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Rates in requests per second. `margin` is `upper_rps` over `mean_rps`, less 1; 0 without traffic.

    `scores`: how many earlier predictions the margin rests on.
    """

    mean_rps: float
    margin: float
    upper_rps: float
    method: Method
    scores: int


@dataclass(frozen=True, slots=True)
class Forecaster:
    """`rows`: time, rate, level and slope of each sample, oldest first, as little-endian doubles."""

    rows: bytes = b""
    spacing_seconds: float = SPACING_SECONDS
    max_samples: int = MAX_SAMPLES

    def __len__(self) -> int:
        return len(self.rows) // _ROW.size

    @property
    def last_at(self) -> float | None:
        """Time of the last sample that was taken."""
        return self._last()[0] if self.rows else None

    def fault(self, at_seconds: float, rate_rps: float) -> SampleFault | None:
        """Why this sample would not be taken; None where it would."""
        return self._fault(self.last_at, at_seconds, rate_rps)

    def update(self, at_seconds: float, rate_rps: float) -> Forecaster:
        """With one more sample; see `fault` for those that are not taken. Times are seconds of any one clock."""
        return self.with_samples([(at_seconds, rate_rps)])

    def with_samples(self, samples: Iterable[tuple[float, float]]) -> Forecaster:
        """With samples of (time, rate) in the order of their times, taken as by `update`."""
        kept, added = self.rows, list[bytes]()
        last = self._last() if kept else None
        for at_seconds, rate_rps in samples:
            fault = self._fault(last[0] if last is not None else None, at_seconds, rate_rps)
            if fault is SampleFault.CLOCK_WENT_BACK:
                kept, added, last = b"", [], None
                fault = self._fault(None, at_seconds, rate_rps)
            if fault is not None:
                continue
            if last is None:
                trend = Trend.begin(rate_rps)
            else:
                trend = Trend(last[2], last[3]).after(at_seconds - last[0], rate_rps)
            last = at_seconds, rate_rps, trend.level, trend.slope
            added.append(_ROW.pack(*last))
        if not added and kept is self.rows:
            return self
        return replace(self, rows=(kept + b"".join(added))[-max(self.max_samples, 1) * _ROW.size :])

    def forecast(
        self, lead_seconds: float, *, quantile: float, at_seconds: float | None = None, method: Method = Method.BETTER
    ) -> Forecast | None:
        """The rate `lead_seconds` after `at_seconds` (the last sample's time where absent); None with too little past.

        `quantile` (0 to 1): the part of the time that the rate should stay at or below `upper_rps`. Raises ValueError
        for an impossible quantile or lead.
        """
        if not 0.0 <= quantile <= 1.0:
            raise ValueError(f"the quantile to plan for is {quantile:g}; give a number from 0 to 1")
        if not (math.isfinite(lead_seconds) and lead_seconds >= 0):
            raise ValueError(f"the lead time is {lead_seconds:g} s; give a finite number, 0 or more")
        if not self.rows:
            return None
        table = np.frombuffer(self.rows, dtype="<f8").reshape(-1, 4)
        last_at = float(table[-1, 0])
        ahead = lead_seconds + max(0.0, (last_at if at_seconds is None else at_seconds) - last_at)
        past = _Past.of(table, ahead_seconds=ahead, spacing_seconds=self.spacing_seconds)
        if past is None:
            return None
        method = past.better() if method is Method.BETTER else method
        _, rate_rps, level, slope = self._last()
        mean_rps = rate_rps if method is Method.LAST else Trend(level, slope).rate_in(ahead)
        weights = 0.5 ** ((last_at - past.at) / HALF_LIFE_SECONDS)
        score = margin_at(quantile, scores(past.actual, past.predicted(method), usual_rps=past.usual_rps), weights)
        upper_rps = with_margin(mean_rps, score, usual_rps=past.usual_rps)
        margin = upper_rps / mean_rps - 1.0 if mean_rps > 0 else 0.0
        return Forecast(mean_rps, margin, upper_rps, method, len(past.at))

    def _fault(self, last_at: float | None, at_seconds: float, rate_rps: float) -> SampleFault | None:
        if not (math.isfinite(at_seconds) and math.isfinite(rate_rps)) or rate_rps > MOST_RPS:
            return SampleFault.NOT_FINITE
        if rate_rps < 0:
            return SampleFault.NEGATIVE
        if last_at is not None:
            since = at_seconds - last_at
            if since < -self.spacing_seconds:
                return SampleFault.CLOCK_WENT_BACK
            if since < self.spacing_seconds:
                return SampleFault.TOO_SOON
        return SampleFault.SILENT if rate_rps < LEAST_RPS else None

    def _last(self) -> tuple[float, float, float, float]:
        at, rate, level, slope = _ROW.unpack(self.rows[-_ROW.size :])
        return at, rate, level, slope


@dataclass(frozen=True, slots=True)
class _Past:
    """The prediction for each earlier sample at this lead, beside its value."""

    at: Floats
    actual: Floats
    by_last: Floats
    by_trend: Floats
    usual_rps: float

    @classmethod
    def of(cls, table: Floats, *, ahead_seconds: float, spacing_seconds: float) -> _Past | None:
        at, rates = table[:, 0], table[:, 1]
        origin = np.searchsorted(at, at - ahead_seconds, side="right") - 1
        # One sample predicts itself at no lead; behind a gap the last sample before it was made for no such lead.
        origin = np.where(origin >= np.arange(len(at)), np.arange(len(at)) - 1, origin)
        gap = at - at[np.maximum(origin, 0)]
        used = (origin >= 0) & (gap <= 2.0 * ahead_seconds + spacing_seconds)
        if used.sum() < FEWEST_SCORES or at[used][-1] - at[used][0] < FEWEST_SCORES_SECONDS:
            return None
        start = table[origin[used]]
        grown = np.clip(start[:, 3] * damped_units(gap[used]), -MAX_LOG_GROWTH, MAX_LOG_GROWTH)
        by_trend = np.maximum(np.expm1(start[:, 2] + grown), 0.0)
        return cls(
            at=at[used],
            actual=rates[used],
            by_last=start[:, 1],
            by_trend=by_trend,
            usual_rps=float(rates.mean()),
        )

    def predicted(self, method: Method) -> Floats:
        return self.by_last if method is Method.LAST else self.by_trend

    def better(self) -> Method:
        missed_by_last = np.abs(self.actual - self.by_last).sum()
        return Method.TREND if np.abs(self.actual - self.by_trend).sum() < missed_by_last else Method.LAST
