"""The fleet itself: services with their arrivals, pods with their engines, and time that is pushed from outside.

No I/O and no clock: `apply` gives it the cluster, `advance` gives it the time. A deleted pod takes no new request and
drains what it has for its grace period, as a kubelet would let it, even where the pod object is gone at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from e2e.fleet.arguments import UnknownEngine
from e2e.fleet.cluster import ClusterState, EnginePod, Key
from e2e.fleet.engine import Engine, EngineSpec, Usage
from e2e.fleet.exposition import Exposition
from e2e.fleet.judge import Targets, report
from e2e.fleet.load import Arrivals, Workload
from e2e.fleet.requests import Failure, Request
from e2e.fleet.split import Split, split_of

KEPT_REQUESTS = 200_000
KEPT_USAGES = 3600
USAGE_PERIOD_SECONDS = 1.0

SpecOf = Callable[[EnginePod, str | None], EngineSpec]
"""How the engine of a pod runs, given config.json of its model where the LLMService carries one.

Raises `UnknownEngine`."""


@dataclass(slots=True)
class _Pod:
    pod: EnginePod
    engine: Engine
    exposition: Exposition
    usages: deque[Usage]
    gone_at: float | None = None


@dataclass(slots=True)
class _Service:
    arrivals: Arrivals
    random: Random
    split: Split
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
            service.split = split_of(key, state)

    def set_load(self, service: Key, workload: Workload, *, now: float) -> None:
        """Sets the load of this service from `now` on; it need not exist yet."""
        self.advance(now)
        known = self._services.get(service)
        if known is None:
            arrivals = Arrivals(workload, random=self._random("load", service), start=now)
            split = split_of(service, self._state)
            self._services[service] = _Service(arrivals, self._random("split", service), split)
        else:
            known.arrivals.change(workload, now=now)

    def loads(self) -> dict[Key, Workload]:
        return {key: service.arrivals.workload for key, service in self._services.items()}

    def advance(self, now: float) -> None:
        """Lets arrivals and engines run to `now`."""
        if now <= self._now:
            return
        for key, service in self._services.items():
            for request in service.arrivals.until(now):
                service.requests.append(request)
                self._send(request, key.namespace, service)
        for key, pod in list(self._pods.items()):
            if pod.gone_at is None or now < pod.gone_at:
                pod.engine.advance(now)
            else:
                pod.engine.advance(pod.gone_at)
                pod.engine.abort_all(pod.gone_at)
            # A pod that is being deleted is scraped as long as its object is there.
            if pod.gone_at is not None and key not in self._state.pods and pod.engine.idle:
                del self._pods[key]
        self._now = now
        if now >= self._next_usage:
            self._next_usage = now + USAGE_PERIOD_SECONDS
            for pod in self._pods.values():
                pod.usages.append(pod.engine.usage)

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
            "path": None if known is None else known.split.path,
            **report(self.requests(service, since=since, until=until), targets=targets, now=self._now),
            "pods": {pod.pod.key.name: _pod_report(pod, since=since) for pod in self._pods_of(service)},
        }

    def _start(self, pod: EnginePod, model_config: str | None, now: float) -> None:
        if pod.key in self._pods or pod.key in self.problems:
            return
        try:
            spec = self._spec_of(pod, model_config)
        except UnknownEngine as error:
            self.problems[pod.key] = f"pod {pod.key}: {error}"
            return
        engine = Engine(spec, random=self._random("engine", pod.key), start=now)
        usages = deque([engine.usage], maxlen=KEPT_USAGES)
        self._pods[pod.key] = _Pod(pod, engine, Exposition(engine), usages)

    def _send(self, request: Request, namespace: str, service: _Service) -> None:
        pod = service.split.choose(service.random)
        if pod is None:
            request.fail(Failure.NO_BACKEND, request.arrival)
            return
        request.variant, request.pod = pod.variant, pod.key.name
        known = self._pods.get(pod.key)
        if known is None:
            request.fail(Failure.UNKNOWN_ENGINE, request.arrival)
        else:
            known.engine.submit(request)

    def _pods_of(self, service: Key) -> Iterator[_Pod]:
        for key in sorted(self._pods):
            if key.namespace == service.namespace and self._pods[key].pod.service == service.name:
                yield self._pods[key]

    def _random(self, purpose: str, key: Key) -> Random:
        return Random(f"{self._seed}/{purpose}/{key}")  # noqa: S311 - a reproducible simulation


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
