"""Reads the demand of all services from Prometheus: a fixed number of requests per round, whatever their number.

One request for Prometheus's own time, at which everything else is evaluated; six per distinct window, seven where a
gateway's counts are read; one more where a service has no live series, to find out why. A few of them run at once, and
each window has its own time: `lanes` says who is asked for together, and is all that is kept between rounds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics.by_service import (
    CacheFigures,
    SizeFigures,
    by_cache,
    by_cell,
    by_pod,
    by_role,
    by_size,
    own_models,
    several_models,
)
from medley_operator.metrics.engine_names import EVERY_ENGINE, EngineNames
from medley_operator.metrics.errors import MetricsError, SlowAnswerError, TooLargeAnswerError
from medley_operator.metrics.lanes import Lanes, ServiceGroup
from medley_operator.metrics.latencies import latencies_by_variant
from medley_operator.metrics.observation import explain_absence, foreign_models, observe_live
from medley_operator.metrics.prometheus import Prometheus, VectorSample
from medley_operator.metrics.queries import (
    FigureRole,
    absence_query,
    engine_query,
    gateway_query,
    load_query,
    size_query,
)
from medley_operator.metrics.service_series import ServiceSeries
from medley_operator.metrics.sizes import JointFigures

LANE_SECONDS = 10.0
"""For all queries of one window."""
QUERIES_AT_ONCE = 3
"""The most queries of one window that run at once."""
NOTHING = SizeFigures()
NO_CACHES = CacheFigures()
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """An LLMService to observe, and the time over which its rates and sizes are taken.

    `served_model`: the name that its engines serve under, which selects its series where they export several models.
    """

    namespace: str
    name: str
    window_seconds: int
    served_model: str = ""

    @property
    def key(self) -> ServiceKey:
        return ServiceKey(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class _Answers:
    """All services' figures over one window."""

    load: Mapping[ServiceKey, Mapping[FigureRole, float]]
    pods: Mapping[ServiceKey, Mapping[str, float]]
    prompt: Mapping[ServiceKey, SizeFigures]
    generation: Mapping[ServiceKey, SizeFigures]
    ttft: Mapping[ServiceKey, SizeFigures]
    tpot: Mapping[ServiceKey, SizeFigures]
    engine: Mapping[ServiceKey, Mapping[FigureRole, float]]
    caches: Mapping[ServiceKey, CacheFigures]
    cells: Mapping[ServiceKey, Mapping[tuple[str, str], float]] | None
    strange: Mapping[ServiceKey, tuple[str, ...]]
    """Models of services that export several, none of them theirs."""

    def joint(self, key: ServiceKey) -> JointFigures:
        return JointFigures(
            engine=self.engine.get(key, {}),
            caches=self.caches.get(key, NO_CACHES),
            cells=None if self.cells is None else self.cells.get(key, {}),
        )


@dataclass
class _Lane:
    """The observations of one window. `slow`: why it took too long, or None; `rests`: it was not asked."""

    window_seconds: int
    rests: bool = False
    observations: dict[ServiceKey, Observation] = field(default_factory=dict)
    slow: SlowAnswerError | None = None


class MetricsReader:
    """`observe` answers for every service it is asked for, and raises for none.

    `gateway_metric`: a counter of requests by service and by prompt and generation size, "" where there is none.
    """

    def __init__(self, *, prometheus: Prometheus, names: EngineNames = EVERY_ENGINE, gateway_metric: str = "") -> None:
        self._prometheus = prometheus
        self._names = names
        self._gateway_metric = gateway_metric
        self._lanes = Lanes()

    async def observe(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Observation]:
        """Observations by (namespace, name). A failure becomes the reason and message of the services that it
        concerns."""
        if not services:
            return {}
        try:
            now = await self._prometheus.now()
        except MetricsError as error:
            return {service.key: _failed(error) for service in services}
        parts: dict[int, list[tuple[ServiceGroup, list[ServiceQuery]]]] = defaultdict(list)
        for group, members in self._lanes.groups(services):
            parts[group.window_seconds].append((group, members))
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._observe_window(*part, now=now)) for part in parts.items()]
        lanes = [task.result() for task in asked]
        late = [(lane.window_seconds, lane.slow) for lane in lanes if lane.slow is not None]
        if any(lane.slow is None and not lane.rests for lane in lanes):
            for window, slow in late:
                self._lanes.rest(window, slow, now=now)
        observed = {key: observation for lane in lanes for key, observation in lane.observations.items()}
        absent = [service for service in services if service.key not in observed]
        return observed | await self._explain(absent, now)

    async def _observe_window(
        self, window: int, parts: Sequence[tuple[ServiceGroup, list[ServiceQuery]]], *, now: float
    ) -> _Lane:
        """All that one window shows, part by part, within its own time; no failure is that of another window."""
        rested = self._lanes.resting(window, now=now)
        lane = _Lane(window, rests=rested is not None)
        everybody = [service for _, members in parts for service in members]
        if rested is not None:
            lane.observations = {service.key: _failed(rested) for service in everybody}
            return lane
        answered: list[tuple[list[ServiceQuery], list[Sequence[VectorSample]]]] = []
        try:
            async with asyncio.timeout(LANE_SECONDS):
                for group, members in parts:
                    try:
                        answered.append((members, await self._asked(group, now)))
                    except MetricsError as error:
                        lane.observations |= {service.key: _failed(error) for service in members}
                        if isinstance(error, TooLargeAnswerError):
                            self._lanes.too_large(group)
                        if isinstance(error, SlowAnswerError):
                            lane.slow = error
        except TimeoutError:
            lane.slow = SlowAnswerError(
                f"Prometheus {self._prometheus.address} did not answer the queries over {window} s within "
                f"{LANE_SECONDS:g} s; check its load, or shorten spec.workload.window"
            )
            done = {service.key for members, _ in answered for service in members} | lane.observations.keys()
            late = [service.key for service in everybody if service.key not in done]
            lane.observations |= {key: _failed(lane.slow) for key in late}
        for members, asked in answered:
            # In a thread: it takes seconds for a large fleet, for which neither events nor the Lease may wait.
            lane.observations |= await asyncio.to_thread(self._judged, members, asked, now)
        return lane

    def _judged(
        self, services: Sequence[ServiceQuery], asked: Sequence[Sequence[VectorSample]], now: float
    ) -> dict[ServiceKey, Observation]:
        """Observations of the services that have live series."""
        answers = self._sorted(services, asked)
        return {
            service.key: self._judge(service, answers, now)
            for service in services
            if FigureRole.NEWEST in answers.load.get(service.key, {}) or service.key in answers.strange
        }

    async def _asked(self, group: ServiceGroup, now: float) -> list[Sequence[VectorSample]]:
        """The answers on the load, both sizes, the engines and both latencies, and on a gateway's counts if any."""
        window, fixed = group.window_seconds, self._prometheus.matchers
        matchers = ",".join(part for part in (fixed, group.matchers) if part)
        expressions = [
            load_query(self._names, window_seconds=window, matchers=matchers),
            size_query(self._names.prompt, window_seconds=window, matchers=matchers),
            size_query(self._names.generation, window_seconds=window, matchers=matchers),
            engine_query(self._names, window_seconds=window, matchers=matchers),
            size_query(self._names.ttft_seconds, window_seconds=window, matchers=matchers),
            size_query(self._names.tpot_seconds, window_seconds=window, matchers=matchers),
        ]
        if self._gateway_metric:
            expressions.append(gateway_query(self._gateway_metric, window_seconds=window, matchers=fixed))
        few = asyncio.Semaphore(QUERIES_AT_ONCE)

        async def ask(text: str) -> Sequence[VectorSample]:
            async with few:
                return await self._prometheus.vector(text, at=now)

        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(ask(text)) for text in expressions]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [task.result() for task in asked]

    def _sorted(self, services: Sequence[ServiceQuery], asked: Sequence[Sequence[VectorSample]]) -> _Answers:
        served = {service.key: service.served_model for service in services}
        strange: dict[ServiceKey, tuple[str, ...]] = {}
        own: list[list[VectorSample]] = []
        several = several_models(asked[0])
        for answer in asked[:6]:
            samples, others = own_models(answer, served, several=several)
            own.append(samples)
            strange |= others
        load, prompt, generation, engine, ttft, tpot = own
        return _Answers(
            load=by_role(load),
            pods=by_pod(load),
            prompt=by_size(prompt),
            generation=by_size(generation),
            ttft=by_size(ttft),
            tpot=by_size(tpot),
            engine=by_role(engine),
            caches=by_cache(engine),
            cells=by_cell(asked[6]) if self._gateway_metric else None,
            strange=strange,
        )

    def _judge(self, service: ServiceQuery, answers: _Answers, now: float) -> Observation:
        question = self._question(service)
        if service.key in answers.strange:
            return _failed(foreign_models(question, answers.strange[service.key], service.served_model))
        try:
            seen = observe_live(
                question,
                now=now,
                figures=answers.load[service.key],
                prompt=answers.prompt.get(service.key, NOTHING),
                generation=answers.generation.get(service.key, NOTHING),
                joint=answers.joint(service.key),
            )
        except MetricsError as error:
            return _failed(error)
        except Exception as error:
            # The figures of one service, which may be any numbers, are that service's trouble alone.
            log.exception("the operator failed on a service's figures", extra={"service": service.key.problem_name})
            message = (
                f"the operator failed on the figures of this service in Prometheus {self._prometheus.address} "
                f"({type(error).__name__}: {error}); report it with what its series show (docs/metrics.md)"
            )
            return Observation(reason=MetricsReason.INVALID, message=message)
        # The log and not the status says why the sizes are not better known: in the status its figures would change all
        # the time.
        log.debug("observed", extra={"namespace": service.namespace, "service": service.name, "found": seen.message})
        return replace(
            seen,
            pod_requests=answers.pods.get(service.key, {}),
            latencies=latencies_by_variant(
                answers.ttft.get(service.key, NOTHING), answers.tpot.get(service.key, NOTHING)
            ),
        )

    async def _explain(self, services: Sequence[ServiceQuery], now: float) -> dict[ServiceKey, Observation]:
        if not services:
            return {}
        try:
            query = absence_query(self._names, matchers=self._prometheus.matchers)
            absence = by_role(await self._prometheus.vector(query, at=now))
        except MetricsError as error:
            return {service.key: _failed(error) for service in services}
        return {
            service.key: _failed(explain_absence(self._question(service), absence.get(service.key, {})))
            for service in services
        }

    def _question(self, service: ServiceQuery) -> ServiceSeries:
        return ServiceSeries(
            key=service.key,
            window_seconds=service.window_seconds,
            names=self._names,
            address=self._prometheus.address,
            gateway_metric=self._gateway_metric,
        )


def _failed(error: MetricsError) -> Observation:
    return Observation(reason=error.reason, message=str(error))
