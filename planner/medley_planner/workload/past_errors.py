"""Errors of earlier predictions of a rate: which method to follow, and how far its next one may be exceeded.

Pure. Every kept sample was once in the future of one before it. So each method is judged by what it would have said
then, at the same lead. A rate that changed for good in between was foreseen by no method; such a miss says nothing of
how the methods differ. A single one is not a spread: it would stand for every other change for as long as it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from medley_planner.workload.conformal import Floats, margin_at, scores, with_margin
from medley_planner.workload.holt import MAX_LOG_GROWTH, damped_units
from medley_planner.workload.season import DAY_SECONDS, STEP_SECONDS, Season

FEWEST_SCORES = 20
FEWEST_SCORES_SECONDS = 1800.0
"""No forecast before there are this many scores over this much time."""
FEWEST_EARLY_SCORES = 3
"""Which method errs least is asked before there is a forecast, from so many on."""
HALF_LIFE_SECONDS = 86400.0
"""A score this much older weighs half."""
SETTLED_BIAS = 1.25
"""The settled rate is followed where it erred at most so many times as much as the better of the others: a plan that
follows each swing and falls late is dearer than one that stays."""
SEASON_BIAS, SEASON_LATELY = 0.97, 1.1
"""The growth of earlier days or weeks is followed where it erred less than so many times as much as the last rate over
all that is known, and lately no more than so many times as much as what would be predicted without it."""


class Method(StrEnum):
    """The prediction method: the last rate, the last rate with its damped trend, the rate that it has settled at, the
    one without its noise with the growth of the same time of earlier days or weeks, or whichever erred least so far."""

    LAST = "Last"
    TREND = "Trend"
    SETTLED = "Settled"
    DAILY = "Daily"
    WEEKLY = "Weekly"
    BETTER = "Better"


SEASONS: Mapping[Method, float] = MappingProxyType({Method.DAILY: DAY_SECONDS, Method.WEEKLY: 7 * DAY_SECONDS})
"""Their periods, in seconds."""


@dataclass(frozen=True, slots=True)
class PastErrors:
    """The prediction of each method for each earlier sample at one lead, beside the sample. Those by a season are NaN
    where there was none.

    `before`, `after`: how often the rate had changed for good when the prediction was made, and when its time came.
    """

    at: Floats
    actual: Floats
    predicted: dict[Method, Floats]
    before: Floats
    after: Floats
    usual_rps: float
    season_base: Method = Method.LAST
    """The prediction that a season's growth is put on top of."""
    season_shares: Mapping[Method, float] = field(default_factory=dict)
    """Errors of each season over all that is known of it, as a part of those of the last rate."""

    @classmethod
    def of(
        cls,
        table: Floats,
        *,
        ahead_seconds: float,
        spacing_seconds: float,
        early: bool = False,
        season: Season | None = None,
    ) -> PastErrors | None:
        """`table`: the samples as rows of time, rate, level and slope of the trend, settled rate, and changes of it.
        None with too few predictions for a margin, or, `early`, to tell the methods apart."""
        at, rates = table[:, 0], table[:, 1]
        origin = np.searchsorted(at, at - ahead_seconds, side="right") - 1
        # One sample predicts itself at no lead; behind a gap the last sample before it was made for no such lead.
        origin = np.where(origin >= np.arange(len(at)), np.arange(len(at)) - 1, origin)
        gap = at - at[np.maximum(origin, 0)]
        used = (origin >= 0) & (gap <= 2.0 * ahead_seconds + spacing_seconds)
        if used.sum() < (FEWEST_EARLY_SCORES if early else FEWEST_SCORES):
            return None
        if not early and at[used][-1] - at[used][0] < FEWEST_SCORES_SECONDS:
            return None
        start = table[origin[used]]
        grown = np.clip(start[:, 3] * damped_units(gap[used]), -MAX_LOG_GROWTH, MAX_LOG_GROWTH)
        found = cls(
            at=at[used],
            actual=rates[used],
            predicted={
                Method.LAST: start[:, 1],
                Method.TREND: np.maximum(np.expm1(start[:, 2] + grown), 0.0),
                Method.SETTLED: start[:, 4],
            },
            before=start[:, 5],
            after=table[used, 5],
            usual_rps=float(rates.mean()),
        )
        if season is None or early:
            return found
        every = max(round(STEP_SECONDS / spacing_seconds), 1)
        return found._with_season(season, start[:, 0], gap[used], ahead_seconds=ahead_seconds, every=every)

    def _with_season(
        self, season: Season, start: Floats, gap: Floats, *, ahead_seconds: float, every: int
    ) -> PastErrors:
        """With predictions for one of `every` samples, as rates of a season lie apart, each from its time `start` on
        over `gap` seconds: growth on top of the settled rate where that is what is predicted, else of the last rate."""
        base = Method.SETTLED if self.better() is Method.SETTLED else Method.LAST
        predicted, shares = dict(self.predicted), dict[Method, float]()
        for method, period in SEASONS.items():
            predicted[method] = np.full(len(start), np.nan)
            growth = season.growth(start[::every], gap[::every], period_seconds=period)
            predicted[method][::every] = self.predicted[base][::every] * np.exp(growth)
            shares[method] = season.error_share(ahead_seconds, period_seconds=period)
        return replace(self, predicted=predicted, season_base=base, season_shares=shares)

    def better(self, *, seasons: bool = True) -> Method:
        kept = self.before == self.after
        missed = {method: float(np.abs(self.actual - by)[kept].sum()) for method, by in self.predicted.items()}
        moving = Method.TREND if missed[Method.TREND] < missed[Method.LAST] else Method.LAST
        steady = Method.SETTLED if missed[Method.SETTLED] <= SETTLED_BIAS * missed[moving] else moving
        best = min(self.season_shares, key=self.season_shares.__getitem__, default=steady)
        followed = seasons and self.season_shares.get(best, 1.0) < SEASON_BIAS and self._holds_lately(best)
        return best if followed else steady

    def _holds_lately(self, season: Method) -> bool:
        """A season may foresee changes for good, so that all that it says something of counts."""
        known = np.isfinite(self.predicted[season])
        missed, missed_else = (
            float(np.abs(self.actual - self.predicted[each])[known].sum()) for each in (season, self.season_base)
        )
        return missed <= SEASON_LATELY * missed_else

    def upper_rps(self, mean_rps: float, method: Method, *, quantile: float) -> float:
        """The rate that a prediction of `mean_rps` is exceeded at in no more than the other part of the time.

        Changes raise it no further than to the highest rate that there was.
        """
        found = scores(self.actual, self.predicted[method], usual_rps=self.usual_rps)
        known = np.isfinite(found)
        weights = 0.5 ** ((self.at[-1] - self.at) / HALF_LIFE_SECONDS)

        def above(counted: NDArray[np.bool_]) -> float:
            counted = counted & known
            if not counted.any():
                return mean_rps
            return with_margin(
                mean_rps, margin_at(quantile, found[counted], weights[counted]), usual_rps=self.usual_rps
            )

        steady = above(self.before == self.after)
        return min(above(~self._of_worst_change(found)), max(steady, float(self.actual.max())))

    def _of_worst_change(self, found: Floats) -> NDArray[np.bool_]:
        """The predictions from before the change that was missed by most, for after it; none where noise was."""
        worst = int(np.nanargmax(found))
        if self.before[worst] == self.after[worst]:
            return np.zeros(len(found), dtype=np.bool_)
        spans: NDArray[np.bool_] = (self.before < self.after[worst]) & (self.after >= self.after[worst])
        return spans
