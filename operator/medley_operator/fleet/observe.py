"""One complete look at the world for one round: the cluster as it is in memory, and Prometheus.

What cannot be listed degrades what rests on it and nothing else: without nodes, pools have the stock that they declare;
without Gateways, a route's own status says whether it is accepted; PodDisruptionBudgets, which a ClusterRole of an
older chart does not grant, are left as they are; a kind of ours that is not installed is empty. But where services,
pools, profiles, policies, other children or pods cannot be listed the look is an error: a plan from half of them would
take away what runs, or give what nobody may have.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from medley_operator.api.v1alpha1 import GROUP, VERSION, GPUPool, LLMService, WorkloadSource
from medley_operator.domain.checks.policy import POLICY_CHECKS, PolicyInput
from medley_operator.domain.cluster.gpu_types import gpu_types
from medley_operator.domain.cluster.policies import Policies, bounds_by_namespace
from medley_operator.domain.cluster.prices import NO_PRICES, PriceMetrics, priced, prices_of
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.firewall import guarded
from medley_operator.domain.routing.gateway import gateway_of
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, MetricsReason, ObjectKey, Observation, Snapshot
from medley_operator.fleet.cluster import ClusterView
from medley_operator.kube.errors import KubeError, NotFound
from medley_operator.kube.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    GATEWAY_API,
    GATEWAYS,
    GPU_POOLS,
    HTTP_ROUTES,
    LLM_SERVICES,
    MAY_LACK,
    MEDLEY_POLICIES,
    NAMESPACES,
    OWN,
    PODS,
    RESIZERS,
    RUNTIME_PROFILES,
    SERVICES,
    Resource,
)
from medley_operator.metrics.history import Rates
from medley_operator.metrics.lanes import asked_window
from medley_operator.metrics.observe import ServiceQuery
from medley_planner.capacity import Speed
from medley_planner.refusal import first_refusal

NO_PROMETHEUS = (
    "the operator has no Prometheus configured; start it with --prometheus-url (Helm: prometheus.url), or set "
    "spec.workload.source: Static with spec.workload.static"
)


NEEDED = (LLM_SERVICES, GPU_POOLS, RUNTIME_PROFILES, MEDLEY_POLICIES, DEPLOYMENTS, SERVICES, HTTP_ROUTES, PODS)
"""Kinds without which nothing may be decided, where the cluster has them."""


class Cluster(Protocol):
    async def ready(self) -> None: ...

    def view(self) -> ClusterView: ...


class HistorySource(Protocol):
    async def once(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """(seconds ago, requests per second), the oldest first; empty after the first call."""


class SeasonSource(Protocol):
    async def read(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Rates]:
        """(Unix seconds, requests per second) of days and weeks, now and then; mostly empty."""


class MetricsSource(Protocol):
    async def observe(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Observation]: ...


class PriceFeed(Protocol):
    async def prices(self) -> PriceMetrics: ...


class SpeedSource(Protocol):
    async def speeds(self) -> Mapping[LearnedKey, Speed]: ...

    async def learn(self, snapshot: Snapshot) -> None: ...


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
    """`metrics` is None where no Prometheus is configured; `clock` is monotonic, `wall_clock` in Unix seconds."""

    cluster: Cluster
    metrics: MetricsSource | None
    clock: Callable[[], float]
    wall_clock: Callable[[], float] = time.time
    calibration: SpeedSource | None = None
    """Absent: engines are not calibrated."""
    history: HistorySource | None = None
    """Absent: rates of before the operator started are not asked for."""
    seasons: SeasonSource | None = None
    """Absent: forecasts have no daily and weekly part."""
    prices: PriceFeed | None = None
    """Absent: pools have the prices of their specs and of their statuses."""

    async def observe(self) -> Observed:
        """Raises `KubeError` where a kind cannot be listed that the look needs; `NotFound` with the way out where
        Medley's CRDs are missing."""
        await self.cluster.ready()
        view = self.cluster.view()
        seen = self._seen(view)
        queries = _queries(_allowed(view))
        asked_at = self.clock()
        # None of these raises; together they take as long as the slowest.
        async with asyncio.TaskGroup() as group:
            observing = group.create_task(self._observations(queries))
            remembering = group.create_task(self._history(queries))
            looking_back = group.create_task(self._seasons(queries))
            pricing = group.create_task(self._price_metrics(view.pools))
        observations, history = observing.result(), remembering.result()
        at, now = self.wall_clock(), self.clock()
        prices = prices_of(view.pools, view.nodes, pricing.result(), unix_seconds=at)
        snapshot = Snapshot.of(
            replace(seen, pools=tuple(priced(pool, prices.get(pool.metadata.name)) for pool in view.pools)),
            prices=prices,
            profiles=view.profiles,
            observations=observations,
            model_profiles=view.model_profiles,
            policies=view.policies,
            namespaces=_labels(view),
            power=view.power,
            at_seconds=now,
            unix_seconds=at,
            seasons={
                key: tuple((seen_at - at + now, rate_rps) for seen_at, rate_rps in rates)
                for key, rates in looking_back.result().items()
            },
            histories={
                key: tuple((asked_at - ago, rate_rps) for ago, rate_rps in rates) for key, rates in history.items()
            },
        )
        if self.calibration is not None:
            snapshot = replace(snapshot, calibrated=await self.calibration.speeds())
        unavailable = any(found.reason is MetricsReason.UNAVAILABLE for found in observations.values())
        return Observed(
            snapshot=snapshot,
            available=view.available,
            metrics_failed=unavailable and self.metrics is not None,
            degraded="; ".join(seen.unreadable.values()),
        )

    async def learn(self, snapshot: Snapshot) -> None:
        """Called at the end of a round: its plan does not wait for what only the next one uses."""
        if self.calibration is not None:
            await self.calibration.learn(snapshot)

    def look(self) -> ActuatorView:
        """The part that the actuator needs. Raises as `observe` does."""
        return self._seen(self.cluster.view())

    def _seen(self, view: ClusterView) -> ActuatorView:
        return ActuatorView(
            services=view.services,
            rejected=view.rejected,
            children=view.children,
            gateways=_gateways(view),
            autoscalers=view.autoscalers,
            watched=view.watched,
            pods=view.pods,
            at_seconds=self.clock(),
            pools=view.pools,
            gpu_types=view.gpu_types,
            catalogue=gpu_types(view.gpu_types).catalogue,
            nodes=view.nodes,
            supply=view.supply,
            unreadable={kind.kind: error.message for kind, error in _unreadable(view).items()},
            lacking=_lacking(view),
            ending=_ending(view),
        )

    async def _observations(self, queries: Sequence[ServiceQuery]) -> Mapping[ServiceKey, Observation]:
        if self.metrics is None:
            absent = Observation(reason=MetricsReason.UNAVAILABLE, message=NO_PROMETHEUS)
            return {query.key: absent for query in queries}
        return await self.metrics.observe(queries) if queries else {}

    async def _price_metrics(self, pools: Sequence[GPUPool]) -> PriceMetrics:
        """Nothing is asked where all specs say their prices."""
        if self.prices is None or all(pool.spec.cost.is_given for pool in pools):
            return NO_PRICES
        return await self.prices.prices()

    async def _history(self, queries: Sequence[ServiceQuery]) -> Mapping[ServiceKey, Rates]:
        return await self.history.once(queries) if self.history is not None and queries else {}

    async def _seasons(self, queries: Sequence[ServiceQuery]) -> Mapping[ServiceKey, Rates]:
        return await self.seasons.read(queries) if self.seasons is not None and queries else {}


def _unreadable(view: ClusterView) -> dict[Resource, KubeError]:
    """Kinds that cannot be listed, less those that a cluster may lack. Raises the first that a look needs."""
    found = {kind: _with_way_out(kind, error) for kind, error in view.missing.items()}
    for kind, error in found.items():
        lacking = isinstance(error, NotFound)
        if kind == LLM_SERVICES or (kind in NEEDED and not lacking):
            raise error
    # To know of autoscalers is of use and never vital.
    may_lack = {AUTOSCALERS, RESIZERS} | {kind for kind in MAY_LACK if isinstance(found.get(kind), NotFound)}
    return {kind: error for kind, error in found.items() if kind not in may_lack}


def _labels(view: ClusterView) -> dict[str, Mapping[str, str]]:
    """The labels of each namespace."""
    return {name: seen.labels for name, seen in view.namespaces.items()}


def _ending(view: ClusterView) -> frozenset[str]:
    """Namespaces that are being deleted. Where they cannot be listed any more, none: one of the same name may have come
    since, and the API server refuses what it does not take."""
    if NAMESPACES in view.missing:
        return frozenset()
    return frozenset(name for name, seen in view.namespaces.items() if seen.ending)


def _lacking(view: ClusterView) -> frozenset[str]:
    return frozenset(kind.kind for kind in MAY_LACK if isinstance(view.missing.get(kind), NotFound))


def _with_way_out(kind: Resource, error: KubeError) -> KubeError:
    if kind not in OWN or not isinstance(error, NotFound):
        return error
    return NotFound(
        f"CRDs of {GROUP} are not installed (no {kind.plural} in {GROUP}/{VERSION}): "
        "helm upgrade --take-ownership --force-conflicts with crds.install=true, or, where the chart has "
        "crds.install=false, kubectl apply --server-side -f crds/",
        reason="CrdsNotInstalled",
    )


def _gateways(view: ClusterView) -> frozenset[tuple[str, str]] | None:
    """(namespace, name) of each Gateway; None where the cluster has no Gateway API.

    Where they cannot be listed, or are in a namespace that is not watched, those that services name are taken to be
    there.
    """
    if any(isinstance(view.missing.get(kind), NotFound) for kind in GATEWAY_API):
        return None
    seen = {(key.namespace, key.name) for key in view.gateways}
    named = {gateway for each in view.services if (gateway := gateway_of(each)) is not None}
    unseen = GATEWAYS in view.missing
    return frozenset(seen | {each for each in named if unseen or (view.watched and each[0] not in view.watched)})


def _allowed(view: ClusterView) -> list[LLMService]:
    """Without those that their namespace's policies refuse: what is not planned costs Prometheus nothing."""
    bounds = bounds_by_namespace(view.services, Policies(view.policies, _labels(view), view.rejected))

    def refused(service: LLMService) -> bool:
        given = PolicyInput(service, bounds[service.metadata.namespace])
        about = ObjectKey.of("LLMService", service.metadata)
        # A check that raises refuses the service in `prepare` too.
        return guarded(about, partial(first_refusal, POLICY_CHECKS, given)) is not None

    return [service for service in view.services if not refused(service)]


def _queries(services: Sequence[LLMService]) -> list[ServiceQuery]:
    return [
        ServiceQuery(
            namespace=service.metadata.namespace,
            name=service.metadata.name,
            window_seconds=asked_window(service.spec.workload.window_seconds),
            served_model=served_model_name(service),
        )
        for service in services
        if service.spec.workload.source is WorkloadSource.PROMETHEUS
    ]
