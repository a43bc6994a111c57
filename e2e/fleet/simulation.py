"""The fleet itself: services with their arrivals, pods with their engines, and time that is pushed from outside.

No I/O and no clock: `apply` gives it the cluster, `advance` gives it the time. Requests go to their pods, and are
served there, by the code that a replay uses (`Traffic`). A deleted pod takes no new request and drains what it has for
its grace period, as a kubelet would let it, even where the pod object is gone at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from e2e.fleet.arguments import UnknownEngine
from e2e.fleet.cluster import ClusterState, EnginePod, Key
from e2e.fleet.engine import Engine, ServedEngine, Usage
from e2e.fleet.exposition import Exposition
from e2e.fleet.judge import Targets, report
from e2e.fleet.load import Arrivals, Workload
from e2e.fleet.requests import Failure, Request
from e2e.fleet.split import split_of
from medley_operator.replay.traffic import BROKEN, NOBODY, Traffic
from medley_planner.engine import Trace

KEPT_REQUESTS = 200_000
KEPT_USAGES = 3600
USAGE_PERIOD_SECONDS = 1.0

SpecOf = Callable[[EnginePod, str | None], ServedEngine]
"""How the engine of a pod runs, given config.json of its model where the LLMService carries one.

Raises `UnknownEngine`."""


@dataclass(slots=True)
class _Pod:
    pod: EnginePod
    engine: Engine
    exposition: Exposition
    usages: deque[Usage]
    gone_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """A Ready pod on the data path."""

    labels: Mapping[str, str]
    engine: int
    ready: bool = True


@dataclass(slots=True)
class _Service:
    traffic: Traffic
    arrivals: Arrivals | None = None
    path: str = ""
    pods: dict[int, EnginePod] = field(default_factory=dict)
    """By the number of the engine. Engines that have gone or never started count too."""
    requests: deque[Request] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))


class Fleet:
    """All engines and all load. Times are Unix seconds and never go back."""

    def __init__(self, *, spec_of: SpecOf, seed: int, start: float) -> None:
        self._spec_of = spec_of
        self._seed = seed
        self._now = start
        self._state = ClusterState()
        self._pods: dict[Key, _Pod] = {}
        self._services: dict[Key, _Service] = {}
        self._next_usage = start
        self.problems: dict[Key, str] = {}
        """Ready pods whose engine would not have started, and why."""

    def apply(self, state: ClusterState, *, now: float) -> None:
        """The cluster as it is from `now` on."""
        self.advance(now)
        self._state = state
        for key, pod in state.pods.items():
            if pod.ready:
                self._start(pod, state.model_configs.get(Key(key.namespace, pod.service)), now)
        for key, known in self._pods.items():
            present = state.pods.get(key)
            if known.gone_at is None and (present is None or present.terminating):
                known.gone_at = now + known.pod.grace_seconds
        self.problems = {key: why for key, why in self.problems.items() if key in state.pods}
        for key, service in self._services.items():
            self._route(key, service)

    def set_load(self, service: Key, workload: Workload, *, now: float) -> None:
        """Sets the load of this service from `now` on; it need not exist yet."""
        self.advance(now)
        known = self._service(service)
        if known.arrivals is None:
            known.arrivals = Arrivals(workload, random=self._random("load", service), start=now)
        else:
            known.arrivals.change(workload, now=now)

    def loads(self) -> dict[Key, Workload]:
        return {
            key: service.arrivals.workload for key, service in self._services.items() if service.arrivals is not None
        }

    def advance(self, now: float) -> None:
        """Lets arrivals and engines run to `now`."""
        if now <= self._now:
            return
        due = [(pod.gone_at, pod) for pod in self._pods.values() if pod.gone_at is not None and pod.gone_at < now]
        for gone_at, pod in sorted(due, key=lambda each: each[0]):
            self._run(max(gone_at, self._now))
            pod.engine.abort_all(gone_at)
        self._run(now)
        for key, pod in list(self._pods.items()):
            # A pod that is being deleted is scraped as long as its object is there.
            if pod.gone_at is not None and key not in self._state.pods and pod.engine.idle:
                pod.engine.abort_all(now)
                del self._pods[key]
        if now >= self._next_usage:
            self._next_usage = now + USAGE_PERIOD_SECONDS
            for pod in self._pods.values():
                pod.usages.append(pod.engine.usage)

    def _run(self, now: float) -> None:
        for service in self._services.values():
            arrived = [] if service.arrivals is None else list(service.arrivals.until(now))
            first = len(service.traffic.trace)
            if arrived:
                service.requests.extend(arrived)
                service.traffic.extend(_trace(arrived))
            service.traffic.advance(now)
            for index, request in enumerate(arrived, first):
                self._hand_over(index, request, service)
        for pod in self._pods.values():
            pod.engine.look(now)
        self._now = now

    def _hand_over(self, index: int, request: Request, service: _Service) -> None:
        """What became of a request on its way."""
        number = int(service.traffic.engine_of[index])
        if number == NOBODY:
            request.fail(Failure.NO_BACKEND, request.arrival)
            return
        pod = service.pods[number]
        request.variant, request.pod = pod.variant, pod.key.name
        if number <= BROKEN:
            request.fail(Failure.UNKNOWN_ENGINE, request.arrival)
        else:
            self._pods[pod.key].engine.take(index, request)

    def metrics_text(self, pod: Key) -> str | None:
        """The pod's /metrics; None where there is no such engine."""
        found = self._pods.get(pod)
        return None if found is None else found.exposition.text()

    def requests(self, service: Key, *, since: float, until: float) -> list[Request]:
        """Requests that arrived in [since, until)."""
        known = self._services.get(service)
        return [] if known is None else [request for request in known.requests if since <= request.arrival < until]

    def report(self, service: Key, *, since: float, until: float, targets: Targets) -> dict[str, Any]:
        """The results of requests to `service` that arrived in [since, until), and how busy its pods are."""
        known = self._services.get(service)
        return {
            "service": str(service),
            "since": since,
            "until": min(until, self._now),
            "path": None if known is None else known.path,
            **report(self.requests(service, since=since, until=until), targets=targets, now=self._now),
            "pods": {pod.pod.key.name: _pod_report(pod, since=since) for pod in self._pods_of(service)},
        }

    def _service(self, key: Key) -> _Service:
        if key not in self._services:
            seed = self._random("routes", key).getrandbits(32)
            self._services[key] = _Service(Traffic(Trace.of([], [], []), seed=seed))
            self._route(key, self._services[key])
        return self._services[key]

    def _route(self, key: Key, service: _Service) -> None:
        pods = [
            _Endpoint(self._state.pods[pod.key].labels, number)
            for number, pod in sorted(service.pods.items())
            if self._takes_requests(number, pod.key)
        ]
        split = split_of(key, self._state, pods)
        service.path, service.traffic.route = split.path, split.route

    def _takes_requests(self, number: int, key: Key) -> bool:
        present, known = self._state.pods.get(key), self._pods.get(key)
        if present is None or not present.ready:
            return False
        if known is None:
            return number <= BROKEN
        return known.engine.number == number and known.gone_at is None

    def _start(self, pod: EnginePod, model_config: str | None, now: float) -> None:
        if pod.key in self._pods or pod.key in self.problems:
            return
        service = self._service(Key(pod.key.namespace, pod.service))
        try:
            served = self._spec_of(pod, model_config)
        except UnknownEngine as error:
            self.problems[pod.key] = f"pod {pod.key}: {error}"
            service.pods[min((BROKEN + 1, *service.pods)) - 1] = pod
            return
        engine = Engine(served, service.traffic.live, start=now)
        service.pods[engine.number] = pod
        usages = deque([engine.usage], maxlen=KEPT_USAGES)
        self._pods[pod.key] = _Pod(pod, engine, Exposition(engine), usages)

    def _pods_of(self, service: Key) -> Iterator[_Pod]:
        for key in sorted(self._pods):
            if key.namespace == service.namespace and self._pods[key].pod.service == service.name:
                yield self._pods[key]

    def _random(self, purpose: str, key: Key) -> Random:
        return Random(f"{self._seed}/{purpose}/{key}")  # noqa: S311 - a reproducible simulation


def _trace(requests: list[Request]) -> Trace:
    return Trace.of(
        [request.arrival for request in requests],
        [request.prompt_tokens for request in requests],
        [request.generation_tokens for request in requests],
    )


def _pod_report(pod: _Pod, *, since: float) -> dict[str, Any]:
    """Means since `since`, or since the pod's start where that is later."""
    first = next((usage for usage in pod.usages if usage.at >= since), pod.usages[-1])
    last = pod.engine.usage
    span = last.at - first.at
    return {
        "variant": pod.pod.variant,
        "gpu": pod.pod.gpu,
        "running": pod.engine.running,
        "waiting": pod.engine.waiting,
        "busy_share": (last.busy - first.busy) / span if span > 0 else None,
        "running_mean": (last.running - first.running) / span if span > 0 else None,
        "kv_usage_mean": (last.kv_usage - first.kv_usage) / span if span > 0 else None,
        "draining": pod.gone_at is not None,
    }
