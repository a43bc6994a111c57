"""Reads the rates of the last two days from Prometheus once, so that a restart of the operator loses no forecast.

One range query per window and part of the time: a part's answer stays small with a thousand services. The newest part
comes first, and what was read counts where a later part fails. Failures go to the log, and the operator collects rates
itself, as it does for services that are new.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.metrics.engine_names import EVERY_ENGINE, EngineNames
from medley_operator.metrics.errors import MetricsError
from medley_operator.metrics.observe import ServiceQuery
from medley_operator.metrics.prometheus import Prometheus
from medley_operator.metrics.queries import NAMESPACE, SERVICE, rate_query
from medley_planner.workload.forecast import MAX_SAMPLES, SPACING_SECONDS

PART_SAMPLES = 180
"""Six hours."""
ATTEMPTS = 3
"""Rounds in which a Prometheus that does not answer is asked again."""

Rates = tuple[tuple[float, float], ...]
log = logging.getLogger(__name__)


class RateHistory:
    """Remembers only whether it has answered."""

    def __init__(self, *, prometheus: Prometheus, names: EngineNames = EVERY_ENGINE) -> None:
        self._prometheus = prometheus
        self._names = names
        self._attempts = ATTEMPTS

    async def once(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """(seconds ago, requests per second) of each service that had any, the oldest first; {} after one answer."""
        if self._attempts == 0:
            return {}
        try:
            now = await self._prometheus.now()
        except MetricsError as error:
            self._attempts -= 1
            log.warning(
                "cannot read the history of rates", extra={"error": str(error), "attempts_left": self._attempts}
            )
            return {}
        self._attempts = 0
        wanted = {service.key: service.window_seconds for service in services}
        found: dict[ServiceKey, Rates] = {}
        for window in sorted(set(wanted.values())):
            rates = await self._window(window, now)
            found |= {key: rates[key] for key, seconds in wanted.items() if seconds == window and key in rates}
        return found

    async def _window(self, window: int, now: float) -> dict[ServiceKey, Rates]:
        """The history of all services, by rates over this window; as far back as Prometheus answers."""
        parts: dict[ServiceKey, list[Rates]] = defaultdict(list)
        query = rate_query(self._names, window_seconds=window, matchers=self._prometheus.matchers)
        end = now - SPACING_SECONDS
        for _ in range(MAX_SAMPLES // PART_SAMPLES):
            start = end - (PART_SAMPLES - 1) * SPACING_SECONDS
            try:
                series = await self._prometheus.matrix(query, start=start, end=end, step_seconds=SPACING_SECONDS)
            except MetricsError as error:
                log.warning("history of rates ends early", extra={"error": str(error), "window_seconds": window})
                break
            if not series:
                break
            for each in series:
                key = ServiceKey(each.labels.get(NAMESPACE, ""), each.labels.get(SERVICE, ""))
                parts[key].append(tuple((now - at, rate) for at, rate in each.points))
            end = start - SPACING_SECONDS
        return {key: tuple(point for part in reversed(found) for point in part) for key, found in parts.items()}
