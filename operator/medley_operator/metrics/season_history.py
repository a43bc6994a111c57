"""Reads the rates of fifteen days from Prometheus, so that forecasts can have a daily and a weekly part.

One range query over a day for all services and windows together, at most one in a round, the newest day first; then
what is new, every six hours. What was read is kept here, and all of it is given to the caller whenever a reading is
done. A day that does not answer ends the reading: what came before it counts, and all is asked for again in half an
hour.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Sequence

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.metrics.engine_names import EVERY_ENGINE, EngineNames
from medley_operator.metrics.errors import MetricsError
from medley_operator.metrics.history import Rates
from medley_operator.metrics.observe import ServiceQuery
from medley_operator.metrics.prometheus import Prometheus
from medley_operator.metrics.queries import NAMESPACE, SERVICE, rate_query
from medley_planner.workload import SEASON_STEP_SECONDS

PART_SECONDS = 86400.0
PARTS = 15
"""Two weeks and a day, which is what Prometheus keeps by default."""
REFRESH_SECONDS, RETRY_SECONDS = 6 * 3600.0, 1800.0

TOLD_AT_ONCE = 25
"""Services in one round."""

log = logging.getLogger(__name__)


class SeasonHistory:
    """`clock` is monotonic."""

    def __init__(
        self, *, prometheus: Prometheus, clock: Callable[[], float], names: EngineNames = EVERY_ENGINE
    ) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._names = names
        self._rates: dict[ServiceKey, array[float]] = {}
        """Unix time and rate in turns: two weeks of many services are many figures."""
        self._untold: list[ServiceKey] = []
        self._known_until = 0.0
        self._parts: list[tuple[float, float]] = []
        """Ends of the days that are still to be read, the next one last."""
        self._due_at = clock()

    async def read(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """(Unix seconds, requests per second) of some services, the oldest first, after a reading is done; else {}."""
        if self._untold:
            return self._told()
        if self._clock() < self._due_at:
            return {}
        try:
            if not self._parts:
                self._begin(await self._prometheus.now())
            more = await self._part()
        except MetricsError as error:
            log.warning("history of days and weeks ends early", extra={"error": str(error)})
            self._due_at = self._clock() + RETRY_SECONDS
            return self._done(services)
        if self._parts and more:
            return {}
        self._known_until = self._newest()
        self._due_at = self._clock() + REFRESH_SECONDS
        return self._done(services)

    def _begin(self, now: float) -> None:
        end = now // SEASON_STEP_SECONDS * SEASON_STEP_SECONDS
        if self._known_until == 0.0:
            self._rates.clear()
        first = max(self._known_until, end - PARTS * PART_SECONDS)
        while end > first:
            start = max(end - PART_SECONDS, first) + SEASON_STEP_SECONDS
            self._parts.insert(0, (start, end))
            end = start - SEASON_STEP_SECONDS

    async def _part(self) -> bool:
        """Whether there was anything."""
        if not self._parts:
            return False
        start, end = self._parts.pop()
        query = rate_query(self._names, window_seconds=round(SEASON_STEP_SECONDS), matchers=self._prometheus.matchers)
        series = await self._prometheus.matrix(query, start=start, end=end, step_seconds=SEASON_STEP_SECONDS)
        for each in series:
            key = ServiceKey(each.labels.get(NAMESPACE, ""), each.labels.get(SERVICE, ""))
            self._rates.setdefault(key, array("d")).extend(figure for point in each.points for figure in point)
        return bool(series)

    def _done(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """Forgets what is too old, and other services than these, which all get theirs from now on."""
        self._parts.clear()
        oldest = self._newest() - PARTS * PART_SECONDS
        wanted = {service.key for service in services}
        self._rates = {key: _since(rates, oldest) for key, rates in self._rates.items() if key in wanted}
        self._untold = list(self._rates)
        return self._told()

    def _told(self) -> dict[ServiceKey, Rates]:
        now, self._untold = self._untold[:TOLD_AT_ONCE], self._untold[TOLD_AT_ONCE:]
        return {
            key: tuple(sorted(zip(rates[::2], rates[1::2], strict=True))) for key in now if (rates := self._rates[key])
        }

    def _newest(self) -> float:
        return max((max(rates[::2]) for rates in self._rates.values() if rates), default=0.0)


def _since(rates: array[float], oldest: float) -> array[float]:
    pairs = zip(rates[::2], rates[1::2], strict=True)
    return array("d", (figure for at, rate in pairs if at > oldest for figure in (at, rate)))
