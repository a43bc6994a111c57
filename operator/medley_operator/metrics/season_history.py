"""Reads the rates of fifteen days from Prometheus, so that forecasts can have a daily and a weekly part.

One range query over a day for all services and windows together, at most one in a round, the newest day first; then
what is new, every six hours. What was read is kept here, and all of it is given to the caller whenever a reading is
done. A day that does not answer ends the reading: what came before it counts, and all is asked for again in half an
hour.
"""

from __future__ import annotations

import logging
from collections import defaultdict
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

log = logging.getLogger(__name__)


class SeasonHistory:
    """`clock` is monotonic."""

    def __init__(
        self, *, prometheus: Prometheus, clock: Callable[[], float], names: EngineNames = EVERY_ENGINE
    ) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._names = names
        self._rates: dict[ServiceKey, dict[float, float]] = defaultdict(dict)
        """Rates at Unix times, on whole steps."""
        self._known_until = 0.0
        self._parts: list[tuple[float, float]] = []
        """Ends of the days that are still to be read, the next one last."""
        self._due_at = clock()

    async def read(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """(Unix seconds, requests per second) of each service, the oldest first, when a reading is done; else {}."""
        if self._clock() < self._due_at:
            return {}
        try:
            if not self._parts:
                self._begin(await self._prometheus.now())
            more = await self._part()
        except MetricsError as error:
            log.warning("history of days and weeks ends early", extra={"error": str(error)})
            self._due_at = self._clock() + RETRY_SECONDS
            self._parts.clear()
            return self._told(services)
        if self._parts and more:
            return {}
        self._known_until = max((at for rates in self._rates.values() for at in rates), default=0.0)
        self._due_at = self._clock() + REFRESH_SECONDS
        self._parts.clear()
        return self._told(services)

    def _begin(self, now: float) -> None:
        end = now // SEASON_STEP_SECONDS * SEASON_STEP_SECONDS
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
            self._rates[key].update(each.points)
        return bool(series)

    def _told(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """All that is known of these services; the rest, and what is too old, is forgotten."""
        newest = max((at for rates in self._rates.values() for at in rates), default=0.0)
        oldest = newest - PARTS * PART_SECONDS
        wanted = {service.key for service in services}
        kept = {
            key: {at: rate for at, rate in rates.items() if at > oldest}
            for key, rates in self._rates.items()
            if key in wanted
        }
        self._rates = defaultdict(dict, kept)
        return {key: tuple(sorted(rates.items())) for key, rates in kept.items() if rates}
