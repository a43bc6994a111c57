"""One complete look at the world for one round: the cluster as it is in memory, and Prometheus.

What cannot be listed degrades what rests on it and nothing else: without nodes, pools have the stock that they declare;
without Gateways, a route's own status says whether it is accepted; a kind of ours that is not installed is empty. But
where services, pools, profiles, policies, children or pods cannot be listed the look is an error: a plan from half of
them would take away what runs, or give what nobody may have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from medley_operator.api.v1alpha1 import GROUP, VERSION, LLMService, WorkloadSource
from medley_operator.domain.checks.policy import POLICY_CHECKS, PolicyInput
from medley_operator.domain.checks.spec import MAX_WINDOW_SECONDS, MIN_WINDOW_SECONDS
from medley_operator.domain.cluster.policies import Policies, bounds_by_namespace
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.rollout.httproute import gateway_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, MetricsReason, Observation, Snapshot
from medley_operator.fleet.cluster import ClusterView
from medley_operator.kube.errors import KubeError, NotFound
from medley_operator.kube.resources import (
    AUTOSCALERS,
    CHILDREN,
    GATEWAY_API,
    GATEWAYS,
    GPU_POOLS,
    LLM_SERVICES,
    MEDLEY_POLICIES,
    OWN,
    PODS,
    RUNTIME_PROFILES,
    Resource,
)
from medley_operator.metrics.history import Rates
from medley_operator.metrics.observe import ServiceQuery
from medley_planner.capacity import EngineKey, Speed
from medley_planner.refusal import first_refusal

NO_PROMETHEUS = (
    "the operator has no Prometheus configured; start it with --prometheus-url (Helm: prometheus.url), or set "
    "spec.workload.source: Static with spec.workload.static"
)


NEEDED = (LLM_SERVICES, GPU_POOLS, RUNTIME_PROFILES, MEDLEY_POLICIES, *CHILDREN, PODS)
"""Kinds without which nothing may be decided, where the cluster has them."""


class Cluster(Protocol):
    async def ready(self) -> None: ...

    def view(self) -> ClusterView: ...


class HistorySource(Protocol):
    async def once(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """(seconds ago, requests per second), the oldest first; empty after the first call."""


class MetricsSource(Protocol):
    async def observe(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Observation]: ...


class SpeedSource(Protocol):
    async def speeds(self, snapshot: Snapshot) -> Mapping[EngineKey, Speed]: ...


@dataclass(frozen=True, slots=True)
class Observed:
    """A snapshot, the kinds that the API server has, and whether metrics failed as a whole (for the counters).

    `degraded`: what cannot be listed though the look goes on without it; empty where all can.
    """

    snapshot: Snapshot
    available: frozenset[Resource]
    metrics_failed: bool
    degraded: str = ""


@dataclass(frozen=True, slots=True)
class Observer:
    """`metrics` is None where no Prometheus is configured; `clock` is monotonic, in seconds."""

    cluster: Cluster
    metrics: MetricsSource | None
    clock: Callable[[], float]
    calibration: SpeedSource | None = None
    """Absent: engines are not calibrated."""
    history: HistorySource | None = None
    """Absent: rates of before the operator started are not asked for."""

    async def observe(self) -> Observed:
        """Raises `KubeError` where a kind cannot be listed that the look needs; `NotFound` with the way out where
        Medley's CRDs are missing."""
        await self.cluster.ready()
        view = self.cluster.view()
        unreadable = _unreadable(view)
        queries = _queries(_allowed(view))
        asked_at = self.clock()
        # None of these raises; together they take as long as the slowest.
        async with asyncio.TaskGroup() as group:
            observing = group.create_task(self._observations(queries))
            remembering = group.create_task(self._history(queries))
        observations, history = observing.result(), remembering.result()
        snapshot = Snapshot(
            services=view.services,
            pools=view.pools,
            profiles=view.profiles,
            rejected=view.rejected,
            nodes=view.nodes,
            children=view.children,
            gateways=_gateways(view),
            observations=observations,
            model_profiles=view.model_profiles,
            policies=view.policies,
            namespaces=view.namespaces,
            at_seconds=self.clock(),
            pods=view.pods,
            autoscalers=view.autoscalers,
            unreadable={kind.kind: error.message for kind, error in unreadable.items()},
            histories={
                key: tuple((asked_at - ago, rate_rps) for ago, rate_rps in rates) for key, rates in history.items()
            },
        )
        if self.calibration is not None:
            snapshot = replace(snapshot, calibrated=await self.calibration.speeds(snapshot))
        unavailable = any(found.reason is MetricsReason.UNAVAILABLE for found in observations.values())
        return Observed(
            snapshot=snapshot,
            available=view.available,
            metrics_failed=unavailable and self.metrics is not None,
            degraded="; ".join(error.message for error in unreadable.values()),
        )

    def look(self) -> ActuatorView:
        """What the actuator needs. Raises as `observe` does."""
        view = self.cluster.view()
        _unreadable(view)
        return ActuatorView(
            services=view.services,
            rejected=view.rejected,
            children=view.children,
            gateways=_gateways(view),
            autoscalers=view.autoscalers,
            at_seconds=self.clock(),
        )

    async def _observations(self, queries: Sequence[ServiceQuery]) -> Mapping[ServiceKey, Observation]:
        if self.metrics is None:
            absent = Observation(reason=MetricsReason.UNAVAILABLE, message=NO_PROMETHEUS)
            return {query.key: absent for query in queries}
        return await self.metrics.observe(queries) if queries else {}

    async def _history(self, queries: Sequence[ServiceQuery]) -> Mapping[ServiceKey, Rates]:
        return await self.history.once(queries) if self.history is not None and queries else {}


def _unreadable(view: ClusterView) -> dict[Resource, KubeError]:
    """What cannot be listed, less what a cluster may lack. Raises the first error that a look cannot do without."""
    found = {kind: _with_way_out(kind, error) for kind, error in view.missing.items()}
    for kind, error in found.items():
        lacking = isinstance(error, NotFound)
        if kind == LLM_SERVICES or (kind in NEEDED and not lacking):
            raise error
    # To know of autoscalers is of use and never vital.
    may_lack = {AUTOSCALERS} | {kind for kind in GATEWAY_API if isinstance(found.get(kind), NotFound)}
    return {kind: error for kind, error in found.items() if kind not in may_lack}


def _with_way_out(kind: Resource, error: KubeError) -> KubeError:
    if kind not in OWN or not isinstance(error, NotFound):
        return error
    return NotFound(
        f"CRDs of {GROUP} are not installed (no {kind.plural} in {GROUP}/{VERSION}): "
        "helm install with crds.install=true, or kubectl apply -f crds/",
        reason="CrdsNotInstalled",
    )


def _gateways(view: ClusterView) -> frozenset[tuple[str, str]] | None:
    """(namespace, name) of each Gateway; None where the cluster has no Gateway API.

    Where they cannot be listed, those that services name are taken to be there.
    """
    if any(isinstance(view.missing.get(kind), NotFound) for kind in GATEWAY_API):
        return None
    seen = {(key.namespace, key.name) for key in view.gateways}
    if GATEWAYS in view.missing:
        seen |= {gateway for each in view.services if (gateway := gateway_of(each)) is not None}
    return frozenset(seen)


def _allowed(view: ClusterView) -> list[LLMService]:
    """Without those that their namespace's policies refuse: what is not planned costs Prometheus nothing."""
    bounds = bounds_by_namespace(view.services, Policies(view.policies, view.namespaces, view.rejected))

    def refused(service: LLMService) -> bool:
        given = PolicyInput(service, bounds[service.metadata.namespace])
        return first_refusal(POLICY_CHECKS, given) is not None

    return [service for service in view.services if not refused(service)]


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
