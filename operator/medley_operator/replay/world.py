"""One replayed world: time, cluster, traffic and Prometheus of all services, for one policy that scales them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medley_operator.api.v1alpha1 import GPUPool, LLMService
from medley_operator.domain.cluster.gpu_types import gpu_types
from medley_operator.domain.values import labels
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Observation
from medley_operator.replay.agenda import EPOCH_UNIX_SECONDS, Agenda
from medley_operator.replay.billing import Prices
from medley_operator.replay.cluster import PodEvents, SimulatedCluster
from medley_operator.replay.energy import EnergyMeter
from medley_operator.replay.engines import TrueEngines
from medley_operator.replay.faults_in_world import schedule
from medley_operator.replay.observations import UNAVAILABLE, observation
from medley_operator.replay.pods import EnginePod
from medley_operator.replay.power import CONTROL_SECONDS, PowerControl
from medley_operator.replay.routes import plain_route
from medley_operator.replay.scenario import Scenario
from medley_operator.replay.scrapes import Scrapes, ScrapeTarget
from medley_operator.replay.timeline import Timeline
from medley_operator.replay.traffic import Route, Traffic
from medley_planner.engine import EngineState

TEMPLATE = "pod-template-hash"
DRAINED_LOOK_SECONDS = 5.0


class World:
    """A policy sets `routes`, which answers where a service's requests go (to all its Ready pods unless it is set);
    `on_change`, called after pods or nodes changed; and `on_pool`, which gets a pool that its owner wrote anew."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.agenda = Agenda()
        self.engines = TrueEngines(scenario.settings.step_factors)
        events = PodEvents(begin=self._begin, idle=self._idle, end=self._end, changed=self.dirty)
        self.cluster = SimulatedCluster(scenario.own.pools, self.agenda, scenario.settings, events)
        seed = scenario.settings.seed
        self.services = {ServiceKey.of(service): service for service in scenario.own.services}
        self.traffic = {
            key: Traffic(scenario.traces[key].cut_to(_longest(service)), seed=seed)
            for key, service in self.services.items()
        }
        self.scrapes = {
            key: Scrapes(self.traffic[key], max_model_len=_longest(service)) for key, service in self.services.items()
        }
        self.lost: dict[ServiceKey, NDArray[np.bool_]] = {
            key: np.zeros(len(traffic.trace), dtype=np.bool_) for key, traffic in self.traffic.items()
        }
        self.prices = {pool.metadata.name: Prices.of(pool) for pool in scenario.own.pools}
        self.routes: Callable[[ServiceKey], Route] = self._plain_route
        self.on_change: Callable[[], None] = _nothing
        self.on_pool: Callable[[GPUPool], None] = _nothing_of
        self.prometheus_answers = True
        self.timeline = Timeline()
        self.energy = EnergyMeter({pool.metadata.name: _limit_watts(pool, scenario) for pool in scenario.own.pools}, {})
        self.power = PowerControl(scenario.own, self.cluster, self.agenda, self.energy, held=self._held)
        self._dirty = False

    @property
    def now(self) -> float:
        return self.agenda.now

    def run(self) -> float:
        """Serves all arrivals, to their end or until the scenario's drain is over; the time at the end."""
        scenario = self.scenario
        every = scenario.settings.scrape_seconds
        self.agenda.every(every, self._scrape, first=every / 3)
        for fault in scenario.faults:
            schedule(fault, self)
        every = CONTROL_SECONDS if self.power.domains else self.timeline.step_seconds
        self.agenda.every(every, self._measure, first=every)
        self.agenda.every(self.timeline.step_seconds, partial(self.timeline.note, self), first=0.0)
        last = scenario.last_arrival_seconds
        self.agenda.run(last)
        latest = last + scenario.drain_seconds
        while self.now < latest:
            self.agenda.run(min(self.now + DRAINED_LOOK_SECONDS, latest))
            self.advance()
            if all(self._unfinished(key) == 0 for key in self.services):
                break
        self._count_energy()
        return self.now

    def advance(self) -> None:
        """Moves traffic on to now, by the routes as they are."""
        if self._dirty:
            self._dirty = False
            for key, traffic in self.traffic.items():
                traffic.route = self.routes(key)
        for traffic in self.traffic.values():
            traffic.advance(self.now)

    def dirty(self) -> None:
        """Pods, nodes or routing objects are others from now on."""
        if not self._dirty:
            self.advance()
            self._dirty = True
        self.on_change()

    def observe(self, key: ServiceKey) -> Observation:
        """The operator's reading of what Prometheus has of the service."""
        if not self.prometheus_answers:
            return UNAVAILABLE
        return observation(self.services[key], self.scrapes[key], now=self.now, unix_offset=EPOCH_UNIX_SECONDS)

    def unfinished_requests(self) -> int:
        """Requests that wait or run, of all services."""
        return sum(self._unfinished(key) for key in self.services)

    def _unfinished(self, key: ServiceKey) -> int:
        live = self.traffic[key].live
        return sum(live.unfinished(engine) for engine in live.live)

    def _plain_route(self, key: ServiceKey) -> Route:
        return plain_route(self.services[key].spec.routing.effective_mode(), self.cluster.of_service(key))

    def _measure(self) -> None:
        self._count_energy()
        if self.power.domains:
            self.power.control()
        self.energy.by_node.clear()

    def _count_energy(self) -> None:
        self.advance()
        for pod in self.cluster.pods.values():
            self.energy.count(pod, self._state, now=self.now)

    def _state(self, pod: EnginePod) -> EngineState:
        assert pod.engine is not None  # noqa: S101 - asked of pods that have one
        return self.traffic[pod.workload.service].live.state(pod.engine, at_seconds=self.now)

    def _held(self, node: str, clock_percent: int) -> None:
        """The engines on the node go on at that clock."""
        self.advance()
        pods = [pod for pod in self.cluster.pods.values() if pod.node == node]
        for pod in pods:
            self.energy.count(pod, self._state, now=self.now)
        self.energy.clocks[node] = clock_percent
        for pod in pods:
            if pod.engine is not None:
                _, table = self.engines.of(pod.workload.replica, clock_percent=clock_percent)
                self.traffic[pod.workload.service].live.go_on_with(pod.engine, table)

    def _begin(self, pod: EnginePod) -> int:
        self.energy.count(pod, self._state, now=self.now)
        spec, table = self.engines.of(pod.workload.replica, clock_percent=self.energy.clock(pod.node))
        return self.traffic[pod.workload.service].begin(spec, table)

    def _idle(self, pod: EnginePod) -> bool:
        self.advance()
        return pod.engine is None or self.traffic[pod.workload.service].live.unfinished(pod.engine) == 0

    def _end(self, pod: EnginePod) -> None:
        self.advance()
        self.energy.count(pod, self._state, now=self.now)
        if pod.engine is None:
            return
        key = pod.workload.service
        scrapes = self.scrapes[key]
        scrapes.count()
        self.lost[key][scrapes.lose(pod.engine)] = True
        self.traffic[key].live.stop(pod.engine)
        pod.engine = None

    def _scrape(self) -> None:
        self.advance()
        if not self.prometheus_answers:
            return
        for key, scrapes in self.scrapes.items():
            pods = [pod for pod in self.cluster.of_service(key) if pod.engine is not None]
            scrapes.scrape(self.now, [_target(pod) for pod in pods])


def _target(pod: EnginePod) -> ScrapeTarget:
    assert pod.engine is not None  # noqa: S101 - the caller left the others out
    return ScrapeTarget(
        pod.engine, pod.name, (pod.labels.get(labels.VARIANT, ""), pod.labels.get(TEMPLATE, pod.workload.name))
    )


def _limit_watts(pool: GPUPool, scenario: Scenario) -> float:
    """The limit of one GPU; 0 where its type is not known, so that nothing runs there."""
    own, known = pool.spec.own_watts_per_gpu(), find_gpu(pool.spec.gpu, gpu_types(scenario.own.gpu_types).catalogue)
    if own is not None:
        return own
    return known.watts if known is not None else 0.0


def _longest(service: LLMService) -> int:
    return service.spec.model.max_model_len


def _nothing() -> None:
    return


def _nothing_of(_pool: GPUPool) -> None:
    return
