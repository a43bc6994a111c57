"""The rate to plan for at a lead time: what it will be, and what it will hardly exceed. Pure.

A `Forecaster` keeps two days of samples of one service as one immutable value, each with the trend and the rate that
the service had settled at by then. A forecast predicts from the newest of them, by the method that erred least at this
lead so far, and takes its margin from what that would have missed by at every earlier sample (`past_errors`). Bad
samples are named and change nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from medley_planner.workload.holt import Trend
from medley_planner.workload.past_errors import SEASONS, Method, PastErrors
from medley_planner.workload.season import Season
from medley_planner.workload.settled import Settled

SPACING_SECONDS = 120.0
"""Samples that come sooner after the last one are not kept."""
MAX_SAMPLES = 1440
"""Two days at that spacing: one day is too few to have seen each hour's surprises."""
LEAST_RPS, MOST_RPS = 1e-9, 1e12
"""Below: silence. Above: no rate of requests, and too near to what doubles can square."""
DOUBT, FIRST_DOUBT = 3.0, 1.5
"""Sums (`Settled.up`, `Settled.down`) from which a reading may be a change; the second while noise is hardly known."""
_ROW = struct.Struct("<6d")
_COLUMNS = 6


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
    """`rows`: time, rate, level, slope, settled rate and changes of it until then of each sample, oldest first, as
    little-endian doubles. `season`: rates of more days, where they are known."""

    rows: bytes = b""
    settled: Settled | None = None
    spacing_seconds: float = SPACING_SECONDS
    max_samples: int = MAX_SAMPLES
    season: Season | None = None

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
        kept, added, settled = self.rows, list[bytes](), self.settled
        last = self._last() if kept else None
        for at_seconds, rate_rps in samples:
            fault = self._fault(last[0] if last is not None else None, at_seconds, rate_rps)
            if fault is SampleFault.CLOCK_WENT_BACK:
                kept, added, last, settled = b"", [], None, None
                fault = self._fault(None, at_seconds, rate_rps)
            if fault is not None:
                continue
            if last is None:
                trend = Trend.begin(rate_rps)
            else:
                trend = Trend(last[2], last[3]).after(at_seconds - last[0], rate_rps)
            settled = (
                Settled(rate_rps) if last is None or settled is None else settled.after(at_seconds - last[0], rate_rps)
            )
            last = at_seconds, rate_rps, trend.level, trend.slope, settled.mean_rps, float(settled.changes)
            added.append(_ROW.pack(*last))
        if not added and kept is self.rows:
            return self
        return replace(self, rows=(kept + b"".join(added))[-max(self.max_samples, 1) * _ROW.size :], settled=settled)

    def seeing(self, at_seconds: float, rate_rps: float) -> Forecaster:
        """To forecast from: with a reading that comes too soon to be kept, where the rate changes, or just did."""
        if self.settled is None or self.fault(at_seconds, rate_rps) is not SampleFault.TOO_SOON:
            return self
        seconds = max(at_seconds - self._last()[0], 1.0)
        if not self.settled.fresh and self.settled.after(seconds, rate_rps).changes == self.settled.changes:
            return self
        seen = replace(self, spacing_seconds=0.0).update(self._last()[0] + seconds, rate_rps)
        return replace(seen, spacing_seconds=self.spacing_seconds)

    def usual_rps(self, at_seconds: float, rate_rps: float, *, lead_seconds: float) -> float:
        """A reading without its noise: the settled rate where that is what is predicted, or where too little past is
        known to say so. The reading itself where it may be a rise, and at first also where it may be a fall, or where
        the mean is already seen to stay behind: a ramp differs little from one reading to the next, as noise does that
        stays alike.

        `at_seconds`: not before the last sample.
        """
        if self.settled is None or self.last_at is None or rate_rps < LEAST_RPS:
            return rate_rps
        since = at_seconds - self.last_at
        settled = self.settled.after(since, rate_rps) if since > 0 else self.settled
        past = self._past(lead_seconds)
        if past is None:
            early = self._past(lead_seconds, early=True)
            behind = early is not None and early.better() is not Method.SETTLED
            return rate_rps if behind or max(settled.up, settled.down) > FIRST_DOUBT else settled.mean_rps
        return settled.mean_rps if settled.up <= DOUBT and past.better() is Method.SETTLED else rate_rps

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
        last_at = self._last()[0]
        ahead = lead_seconds + max(0.0, (last_at if at_seconds is None else at_seconds) - last_at)
        past = self._past(ahead)
        if past is None:
            return None
        method = past.better() if method is Method.BETTER else method
        growth = self._growth(last_at, ahead, method) if method in SEASONS else 0.0
        if math.isnan(growth):
            method, growth = past.better(seasons=False), 0.0
        _, rate_rps, level, slope, settled_rps, _ = self._last()
        mean_rps = (
            math.exp(growth)
            * {
                Method.LAST: rate_rps,
                Method.TREND: Trend(level, slope).rate_in(ahead),
                Method.SETTLED: settled_rps,
            }[past.season_base if method in SEASONS else method]
        )
        upper_rps = past.upper_rps(mean_rps, method, quantile=quantile)
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

    def _past(self, ahead_seconds: float, *, early: bool = False) -> PastErrors | None:
        table = np.frombuffer(self.rows, dtype="<f8").reshape(-1, _COLUMNS)
        return PastErrors.of(
            table, ahead_seconds=ahead_seconds, spacing_seconds=self.spacing_seconds, early=early, season=self.season
        )

    def _growth(self, at_seconds: float, ahead_seconds: float, method: Method) -> float:
        """NaN where the season does not know it."""
        if self.season is None:
            return math.nan
        at, ahead = np.array([at_seconds]), np.array([ahead_seconds])
        return float(self.season.growth(at, ahead, period_seconds=SEASONS[method])[0])

    def _last(self) -> tuple[float, float, float, float, float, float]:
        at, rate, level, slope, settled, changes = _ROW.unpack(self.rows[-_ROW.size :])
        return at, rate, level, slope, settled, changes
