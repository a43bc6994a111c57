"""One complete look at the world for one round: LISTs of everything that counts, and Prometheus.

All I/O of the input side is here. A look is whole or it is an error: the planner never sees half a cluster. Only what a
cluster may lack (the Gateway API) and what Prometheus does not say are part of a whole look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from medley_operator.api.v1alpha1 import (
    GROUP,
    VERSION,
    GPUPool,
    LLMService,
    ModelProfile,
    RuntimeProfile,
    WorkloadSource,
)
from medley_operator.domain.checks.spec import MAX_WINDOW_SECONDS, MIN_WINDOW_SECONDS
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, MetricsReason, ObjectKey, Observation, Snapshot
from medley_operator.fleet.parse import node_views, parse_objects
from medley_operator.fleet.startups import StartupWatch
from medley_operator.kube.client import KubeClient
from medley_operator.kube.errors import NotFound
from medley_operator.kube.resources import (
    CHILDREN,
    DEPLOYMENTS,
    GATEWAY_API,
    GATEWAYS,
    GPU_POOLS,
    LLM_SERVICES,
    MODEL_PROFILES,
    NODES,
    OWN,
    RUNTIME_PROFILES,
    Resource,
)
from medley_operator.metrics.history import Rates
from medley_operator.metrics.observe import ServiceQuery
from medley_planner.capacity import EngineKey, Speed

NO_PROMETHEUS = (
    "the operator has no Prometheus configured; start it with --prometheus-url (Helm: prometheus.url), or set "
    "spec.workload.source: Static with spec.workload.static"
)


class HistorySource(Protocol):
    async def once(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """(seconds ago, requests per second), the oldest first; empty after the first call."""


class MetricsSource(Protocol):
    async def observe(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Observation]: ...


class SpeedSource(Protocol):
    async def speeds(self, snapshot: Snapshot) -> Mapping[EngineKey, Speed]: ...


@dataclass(frozen=True, slots=True)
class Observed:
    """A snapshot, the kinds that the API server has, and whether metrics failed as a whole (for the counters)."""

    snapshot: Snapshot
    available: frozenset[Resource]
    metrics_failed: bool


@dataclass(frozen=True, slots=True)
class Observer:
    """`metrics` is None where no Prometheus is configured; `clock` is monotonic, in seconds."""

    client: KubeClient
    metrics: MetricsSource | None
    clock: Callable[[], float]
    calibration: SpeedSource | None = None
    """Absent: engines are not calibrated."""
    startups: StartupWatch | None = None
    """Absent: lead times are not measured."""
    history: HistorySource | None = None
    """Absent: rates of before the operator started are not asked for."""

    async def observe(self) -> Observed:
        """Raises `KubeError` where any list fails; `NotFound` with the way out where Medley's CRDs are missing."""
        lists = await self._lists()
        services, rejected_services = parse_objects(LLMService, lists[LLM_SERVICES] or [])
        pools, rejected_pools = parse_objects(GPUPool, lists[GPU_POOLS] or [])
        profiles, rejected_profiles = parse_objects(RuntimeProfile, lists[RUNTIME_PROFILES] or [])
        measured, rejected_measured = parse_objects(ModelProfile, lists[MODEL_PROFILES] or [])
        gateways = None if any(lists[kind] is None for kind in GATEWAY_API) else _names(lists[GATEWAYS] or [])
        queries = _queries(services)
        asked_at = self.clock()
        # None of these raises; together they take as long as the slowest.
        async with asyncio.TaskGroup() as group:
            observing = group.create_task(self._observations(queries))
            remembering = group.create_task(self._history(queries))
            listing = group.create_task(self._pods(lists[DEPLOYMENTS] or []))
        observations, history, pods = observing.result(), remembering.result(), listing.result()
        snapshot = Snapshot(
            services=tuple(services),
            pools=tuple(pools),
            profiles=tuple(profiles),
            rejected=(*rejected_services, *rejected_pools, *rejected_profiles, *rejected_measured),
            nodes=node_views(lists[NODES] or []),
            children=_by_key(item for kind in CHILDREN for item in lists[kind] or []),
            gateways=gateways,
            observations=observations,
            model_profiles=tuple(measured),
            at_seconds=self.clock(),
            pods=pods,
            histories={
                key: tuple((asked_at - ago, rate_rps) for ago, rate_rps in rates) for key, rates in history.items()
            },
        )
        if self.calibration is not None:
            snapshot = replace(snapshot, calibrated=await self.calibration.speeds(snapshot))
        unavailable = any(found.reason is MetricsReason.UNAVAILABLE for found in observations.values())
        return Observed(
            snapshot=snapshot,
            available=frozenset(kind for kind, items in lists.items() if items is not None),
            metrics_failed=unavailable and self.metrics is not None,
        )

    async def _lists(self) -> dict[Resource, list[Manifest] | None]:
        """All lists at once; None for a kind that a cluster may lack and does."""
        ours = f"{MANAGED_BY}={MANAGED_BY_VALUE}"
        selectors = {kind: ours for kind in CHILDREN}
        kinds = [*OWN, NODES, *CHILDREN, GATEWAYS]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {kind: group.create_task(self._list(kind, selectors.get(kind, ""))) for kind in kinds}
        except ExceptionGroup as failures:
            # One is enough to say: the others have most often the same cause.
            raise failures.exceptions[0] from None
        return {kind: task.result() for kind, task in tasks.items()}

    async def _list(self, kind: Resource, selector: str) -> list[Manifest] | None:
        try:
            return await self.client.list(kind, label_selector=selector)
        except NotFound as error:
            if kind in GATEWAY_API:
                return None
            if kind in OWN:
                raise NotFound(
                    f"CRDs of {GROUP} are not installed (no {kind.plural} in {GROUP}/{VERSION}): "
                    "helm install with crds.install=true, or kubectl apply -f crds/",
                    reason="CrdsNotInstalled",
                ) from error
            raise

    async def _observations(self, queries: Sequence[ServiceQuery]) -> Mapping[ServiceKey, Observation]:
        if self.metrics is None:
            absent = Observation(reason=MetricsReason.UNAVAILABLE, message=NO_PROMETHEUS)
            return {query.key: absent for query in queries}
        return await self.metrics.observe(queries) if queries else {}

    async def _history(self, queries: Sequence[ServiceQuery]) -> Mapping[ServiceKey, Rates]:
        return await self.history.once(queries) if self.history is not None and queries else {}

    async def _pods(self, deployments: Sequence[Manifest]) -> tuple[Manifest, ...]:
        return await self.startups.pods(deployments) if self.startups is not None else ()


def _queries(services: Sequence[LLMService]) -> list[ServiceQuery]:
    return [
        ServiceQuery(
            namespace=service.metadata.namespace,
            name=service.metadata.name,
            window_seconds=_window_seconds(service),
            served_model=served_model_name(service),
        )
        for service in services
        if service.spec.workload.source is WorkloadSource.PROMETHEUS
    ]


def _window_seconds(service: LLMService) -> int:
    """The window asked for, within the bounds that the domain checks (a bad one gets its own condition there)."""
    asked = service.spec.workload.window_seconds
    return round(min(max(asked, MIN_WINDOW_SECONDS), MAX_WINDOW_SECONDS))


def _names(items: Sequence[Manifest]) -> frozenset[tuple[str, str]]:
    return frozenset((item["metadata"]["namespace"], item["metadata"]["name"]) for item in items)


def _by_key(items: Iterable[Manifest]) -> dict[ObjectKey, Manifest]:
    return {key_of(item): item for item in items}
