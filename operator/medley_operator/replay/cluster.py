"""The simulated cluster: workloads get pods, pods get GPUs, start, become Ready, drain and go."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.views import NodeView, PodView
from medley_operator.replay.agenda import Agenda
from medley_operator.replay.nodes import Nodes
from medley_operator.replay.pods import EnginePod, EngineWorkload
from medley_operator.replay.settings import WorldSettings

SHARED_SECONDS = 60.0
"""Pods that start within such a time wait for the same registry and the same disks."""
DRAIN_LOOK_SECONDS = 5.0
"""How often it is looked whether a pod that drains has finished."""


@dataclass(frozen=True, slots=True)
class PodEvents:
    """The world's answers to what happens to pods. `begin`: start the pod's engine and return its number. `idle`:
    whether that engine has nothing to do. `end`: stop it. `changed`: pods, nodes or workloads are others now."""

    begin: Callable[[EnginePod], int]
    idle: Callable[[EnginePod], bool]
    end: Callable[[EnginePod], None]
    changed: Callable[[], None]


class SimulatedCluster:
    """`instant`: pods are Ready as soon as they have a node, as for a fleet that is there when the replay begins."""

    def __init__(self, pools: Sequence[GPUPool], agenda: Agenda, settings: WorldSettings, events: PodEvents) -> None:
        self._agenda = agenda
        self._settings = settings
        self._events = events
        self._resources = {pool.metadata.name: pool.spec.resource_name for pool in pools}
        self._draws = np.random.default_rng([settings.seed, 1])
        self.nodes = Nodes(pools, agenda, node_seconds=settings.node_seconds, changed=self._nodes_changed)
        self.workloads: dict[str, EngineWorkload] = {}
        self.pods: dict[str, EnginePod] = {}
        self.gone: list[EnginePod] = []
        self.instant = False
        self._made = 0
        self._shared = -1, 0.0
        """The minute, and what pods that start in it have in common."""
        self._node_views: tuple[NodeView, ...] | None = None

    def put(self, workload: EngineWorkload) -> None:
        """Adds a workload, or changes that of its name, which keeps its pods."""
        known = self.workloads.get(workload.name)
        if known is not None:
            known.replicas = workload.replicas
        else:
            self.workloads[workload.name] = workload
        self.reconcile(workload.name)

    def take_away(self, name: str) -> None:
        """Takes a workload away; its pods drain."""
        self.workloads[name].replicas = 0
        self.reconcile(name)
        del self.workloads[name]

    def scale(self, name: str, replicas: int) -> None:
        self.workloads[name].replicas = replicas
        self.reconcile(name)

    def reconcile(self, name: str) -> None:
        """Makes or ends pods of the workload until as many stay as it asks for, ranked as a ReplicaSet does."""
        workload = self.workloads[name]
        staying = [pod for pod in self.of_workload(name) if not pod.terminating]
        for _ in range(workload.replicas - len(staying)):
            self._create(workload)
        going = len(staying) - workload.replicas
        if going > 0:
            staying.sort(
                key=lambda pod: (pod.node != "", pod.ready, pod.deletion_cost, -(pod.ready_at or 0.0), pod.name)
            )
            for pod in staying[:going]:
                self.terminate(pod)
        self._schedule()
        self._events.changed()

    def of_workload(self, name: str) -> list[EnginePod]:
        return [pod for pod in self.pods.values() if pod.workload.name == name]

    def of_service(self, key: ServiceKey) -> list[EnginePod]:
        return [pod for pod in self.pods.values() if pod.workload.service == key]

    def terminate(self, pod: EnginePod, *, within_seconds: float | None = None) -> None:
        """The pod gets no further requests and goes when it has finished those that it has; `within_seconds`: at the
        latest then, where that is sooner than its own drain allows."""
        was_ready = pod.ready
        pod.terminating_since = self._agenda.now
        pod.changed()
        workload = pod.workload
        latest = workload.pre_stop_seconds + workload.drain_seconds
        if within_seconds is not None:
            latest = min(latest, within_seconds)
        if not was_ready:
            self._end(pod)
            return
        deadline = self._agenda.now + latest
        self._agenda.after(min(workload.pre_stop_seconds, latest), lambda: self._look(pod, deadline))
        self._events.changed()

    def replace(self, pod: EnginePod) -> None:
        """Its workload, if it is still there, makes another pod for one that ends."""
        if pod.workload.name in self.workloads:
            self.reconcile(pod.workload.name)

    def out_of_stock(self, pool: str, lacks: bool) -> None:
        """From now on the pool gives no GPU to a pod that has none, or gives them again."""
        (self.nodes.out_of_stock.add if lacks else self.nodes.out_of_stock.discard)(pool)
        self._schedule()
        self._events.changed()

    def lose_node(self, name: str) -> None:
        """The node goes with all pods that are left on it."""
        for pod in [each for each in self.pods.values() if each.node == name]:
            self._end(pod)
        self.nodes.lose(self.nodes.named(name))

    def pod_views(self) -> tuple[PodView, ...]:
        return tuple(pod.view(self._resources[pod.workload.pool]) for pod in self.pods.values())

    def node_views(self) -> tuple[NodeView, ...]:
        if self._node_views is None:
            self._node_views = self.nodes.views()
        return self._node_views

    def _nodes_changed(self) -> None:
        self._node_views = None
        self._events.changed()

    def _create(self, workload: EngineWorkload) -> None:
        self._made += 1
        name = f"{workload.name}-{self._made}"
        self.pods[name] = EnginePod(name, workload, self._agenda.now, dict(workload.labels))

    def _schedule(self) -> None:
        """Pods without a node, in the order in which they were made, take one that has room."""
        for pod in list(self.pods.values()):
            if pod.node or pod.terminating:
                continue
            found = self.nodes.take(pod.workload.pool, pod.workload.gpus)
            if found is None:
                if pod.stuck_since is None:
                    pod.stuck_since = self._agenda.now
                    pod.changed()
                continue
            node, waits = found[0], 0.0 if self.instant else found[1]
            pod.node, pod.stuck_since = node.name, None
            pod.placed, pod.stood = self._agenda.now, self.instant
            pod.bound = self._agenda.now + waits
            pod.changed()
            starts = 0.0 if self.instant else waits + self._startup(pod.workload.pool)
            self._agenda.after(starts, lambda pod=pod: self._become_ready(pod))  # type: ignore[misc]

    def _startup(self, pool: str) -> float:
        settings = self._settings
        minute = int(self._agenda.now // SHARED_SECONDS)
        if minute != self._shared[0]:
            self._shared = minute, float(self._draws.standard_normal())
        draw = (self._shared[1] + float(self._draws.standard_normal())) / math.sqrt(2.0)
        return settings.startup_of(pool) * math.exp(settings.startup_spread * draw)

    def _become_ready(self, pod: EnginePod) -> None:
        if pod.terminating or pod.gone_at is not None:
            return
        pod.ready_at = self._agenda.now
        pod.engine = self._events.begin(pod)
        pod.changed()
        self._events.changed()

    def _look(self, pod: EnginePod, deadline: float) -> None:
        if pod.gone_at is not None:
            return
        if self._events.idle(pod) or self._agenda.now >= deadline:
            self._end(pod)
            return
        self._agenda.at(min(self._agenda.now + DRAIN_LOOK_SECONDS, deadline), lambda: self._look(pod, deadline))

    def _end(self, pod: EnginePod) -> None:
        pod.gone_at = self._agenda.now
        del self.pods[pod.name]
        self.gone.append(pod)
        if pod.engine is not None:
            self._events.end(pod)
        if pod.node:
            self.nodes.give_back(pod.node, pod.workload.gpus)
        self._schedule()
        self._events.changed()
