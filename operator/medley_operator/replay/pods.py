"""Engine pods of the simulated cluster, the workloads that they belong to, and how both show to the operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medley_operator.domain.values.leadtime import Component, Start
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.views import PodTrouble, PodView
from medley_operator.replay.agenda import EPOCH_UNIX_SECONDS
from medley_planner.variants import Replica

UNSCHEDULABLE = "Unschedulable"


@dataclass(slots=True)
class EngineWorkload:
    """A Deployment as the cluster runs it. `gpus`: of one replica; `replica`: how its engine is run."""

    name: str
    service: ServiceKey
    variant: str
    pool: str
    gpus: int
    replica: Replica
    labels: Mapping[str, str]
    replicas: int
    pre_stop_seconds: float
    drain_seconds: float


@dataclass(slots=True)
class EnginePod:
    """One replica. Times are seconds of the replay: `placed` when it got GPUs, `bound` when their node was there.
    `engine`: its number in the traffic, None where it has none yet or none any more. `stuck_since`: no node has room
    since then. `stood`: it was there before the replay began, and nobody saw it start."""

    name: str
    workload: EngineWorkload
    created: float
    labels: dict[str, str]
    node: str = ""
    placed: float | None = None
    bound: float | None = None
    ready_at: float | None = None
    engine: int | None = None
    terminating_since: float | None = None
    gone_at: float | None = None
    deletion_cost: int = 0
    protected: bool = True
    stuck_since: float | None = None
    stood: bool = False
    _seen: PodView | None = field(default=None, repr=False)

    @property
    def terminating(self) -> bool:
        return self.terminating_since is not None

    @property
    def ready(self) -> bool:
        """Whether it gets requests."""
        return self.ready_at is not None and not self.terminating

    def changed(self) -> None:
        """Call after a field that shows was set."""
        self._seen = None

    def view(self, resource: str) -> PodView:
        """As the operator sees it; `resource`: the extended resource of its pool's GPUs."""
        if self._seen is None:
            self._seen = PodView(
                namespace=self.workload.service.namespace,
                name=self.name,
                uid=self.name,
                gpus={resource: self.workload.gpus},
                node=self.node,
                controller=("ReplicaSet", f"rs-{self.workload.name}"),
                labels=dict(self.labels),
                created_at=EPOCH_UNIX_SECONDS + self.created,
                ready=self.ready,
                terminating=self.terminating,
                protected=self.protected,
                deletion_cost=self.deletion_cost,
                trouble=self._trouble(),
                start=self._start(),
            )
        return self._seen

    def _trouble(self) -> PodTrouble | None:
        if self.stuck_since is None:
            return None
        return PodTrouble(UNSCHEDULABLE, "no node has room for it", EPOCH_UNIX_SECONDS + self.stuck_since)

    def _start(self) -> Start | None:
        if self.ready_at is None or self.bound is None or self.terminating or self.stood:
            return None
        seconds = {
            Component.SCHEDULED: self.bound - self.created,
            Component.STARTED: 0.0,
            Component.PULLED: 0.0,
            Component.READY: self.ready_at - self.bound,
            Component.TOTAL: self.ready_at - self.created,
        }
        return Start(uid=self.name, at=EPOCH_UNIX_SECONDS + self.ready_at, seconds=seconds)
