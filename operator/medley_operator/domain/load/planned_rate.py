"""The expected request rate of a service while new replicas start: from its history to a rate to plan for.

Pure. A replica that is created now serves a lead time later, so the plan is made for the rate that will then hardly be
exceeded, never for less than what is measured. Capacity goes only when nothing within two lead times needs it: a
replica that goes takes one lead time to come back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from medley_operator.api.v1alpha1 import ForecastMode, LLMService
from medley_operator.domain.load.schedule import LoadSchedule
from medley_operator.domain.values.memories import LoadBasis
from medley_planner.workload import BAND, SEASONS, Forecast, Forecaster

RECONCILE_SECONDS = 30.0
"""From a change of the rate to the round that sees it, at the default resync; added to each lead time."""
LEADS_KEPT = 2
"""Capacity is kept while it is needed within this many lead times, or was; so is the plan through a short silence."""
FALL_FACTOR = 10.0
"""A rate this many times below the plan's is not believed sooner, with a forecast or without."""
NO_EVENTS = LoadSchedule()


@dataclass(frozen=True, slots=True)
class PlannedRate:
    """A rate to plan for; `falling_since`: when the plan before began to be too large, None where it is not."""

    rate_rps: float
    falling_since: float | None


@dataclass(frozen=True, slots=True)
class RateForecasts:
    """The rate of one service as it is measured in a round, and its forecasts at one lead time and at two.

    Both forecasts are None with mode Off or while there is too little history.
    """

    measured_rps: float
    usual_rps: float
    """The measured rate without its noise; with events, the most that it comes to within a lead time."""
    lead_seconds: float
    at_seconds: float
    forecaster: Forecaster
    at_lead: Forecast | None
    at_twice: Forecast | None

    @property
    def needed_rps(self) -> float:
        """The rate that a plan must serve."""
        return max(self.usual_rps, self.at_lead.upper_rps if self.at_lead is not None else 0.0)

    @property
    def kept_rps(self) -> float:
        """The rate that a plan may serve without being too large: the most that is expected within two lead times."""
        return max(self.needed_rps, self.at_twice.upper_rps if self.at_twice is not None else 0.0)

    def planned_rate(self, planned_rps: float | None, *, falling_since: float | None) -> PlannedRate:
        """The rate to plan for, where the plan now is for `planned_rps` (None: there is none).

        With a forecast a plan falls only after it was too large for two lead times without a break: a rate that swings
        would else take the plan with it. Without one, that holds for a fall to near zero. `falling_since` is that of
        the round before.
        """
        rate_rps = min(max(planned_rps or 0.0, self.needed_rps), self.kept_rps)
        if planned_rps is None or self.kept_rps >= self._believed_share * planned_rps:
            return PlannedRate(rate_rps, falling_since=None)
        since = self.at_seconds if falling_since is None else falling_since
        if self.at_seconds - since < LEADS_KEPT * self.lead_seconds:
            return PlannedRate(planned_rps, falling_since=since)
        return PlannedRate(rate_rps, falling_since=since)

    @property
    def _believed_share(self) -> float:
        """A fall to less than this share of the planned rate must last."""
        return 1.0 / FALL_FACTOR if self.at_lead is None else 1.0 - BAND

    @property
    def basis(self) -> LoadBasis:
        made = self.at_lead
        if made is None:
            return LoadBasis(measured_rps=self.measured_rps)
        return LoadBasis(
            measured_rps=self.measured_rps,
            forecast_margin=made.margin,
            season=made.method.value if made.method in SEASONS else None,
        )

    @property
    def pausing(self) -> bool:
        """Whether a silence is too short yet to be the end of the traffic."""
        last_at = self.forecaster.last_at
        if self.at_lead is None or last_at is None:
            return False
        return self.at_seconds - last_at < LEADS_KEPT * self.lead_seconds


def forecast_rate(
    service: LLMService,
    measured_rps: float,
    *,
    forecaster: Forecaster,
    lead_seconds: float,
    at_seconds: float,
    believed: bool = True,
    schedule: LoadSchedule = NO_EVENTS,
) -> RateForecasts:
    """`forecaster`: with the rates before; `lead_seconds`: the longest that a replica of the service takes to start.

    A rate that is not `believed` is not kept. Rates are kept without the events of `schedule`, which is on the clock of
    `at_seconds`; plans count with them as far ahead as replicas take to start.
    """
    seen, usual_rps = forecaster, measured_rps
    lead_seconds += RECONCILE_SECONDS
    window_seconds = service.spec.workload.window_seconds
    # Two readings that share requests agree, whatever comes.
    ahead, twice = (max(leads * lead_seconds, window_seconds) for leads in (1, LEADS_KEPT))
    rate_rps = schedule.usual_rps(measured_rps, at_seconds, window_seconds=window_seconds, kept_at=forecaster.last_at)
    believed = believed and not math.isnan(rate_rps)
    if believed:
        forecaster = seen = forecaster.update(at_seconds, rate_rps)
    if believed and measured_rps > 0:
        seen = forecaster.seeing(at_seconds, rate_rps)
        usual_rps = seen.usual_rps(at_seconds, rate_rps, lead_seconds=ahead)
    wanted = service.spec.scaling.forecast
    at_lead = at_twice = None
    if wanted.mode is ForecastMode.AUTO:
        quantile = wanted.quantile_percent / 100.0
        at_lead = seen.forecast(ahead, quantile=quantile, at_seconds=at_seconds)
        at_twice = seen.forecast(twice, quantile=quantile, at_seconds=at_seconds)
    if schedule.events:
        most, most_of_two = (
            schedule.most_factor(at_seconds, at_seconds + leads * lead_seconds) for leads in (1, LEADS_KEPT)
        )
        if believed:
            usual_rps *= most
        elif forecaster.settled is not None:
            usual_rps = max(measured_rps, forecaster.settled.mean_rps * most)
        at_lead, at_twice = _times(at_lead, most), _times(at_twice, most_of_two)
    return RateForecasts(
        measured_rps=measured_rps,
        usual_rps=usual_rps,
        lead_seconds=lead_seconds,
        at_seconds=at_seconds,
        forecaster=forecaster,
        at_lead=at_lead,
        at_twice=at_twice,
    )


def _times(forecast: Forecast | None, factor: float) -> Forecast | None:
    if forecast is None:
        return None
    return replace(forecast, mean_rps=factor * forecast.mean_rps, upper_rps=factor * forecast.upper_rps)
