"""What one round found and decided for one service, gathered for status, Events and gauges. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.goals import Goal
from medley_operator.domain.rollout.writes import ChildWrites, ReplicaTargets
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.snapshot import Manifest


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One variant in the status and the gauges: planned, running and now."""

    name: str
    pool: str
    gpu: str
    gpus_per_replica: int
    tensor_parallel: int
    desired: int
    ready: int
    weight: int
    cost_per_hour: float
    """Of its desired replicas."""
    capacity_rps: float
    """Of one replica, for the size mix of the load."""
    provenance: str
    startup_seconds: float | None
    """None where the variant is no longer one of the service's."""
    basis: str


@dataclass(frozen=True, slots=True)
class ServiceDecision:
    candidate: ServiceCandidate
    goal: Goal
    running: Mapping[str, RunningVariant]
    targets: ReplicaTargets
    rows: tuple[VariantRow, ...]
    writes: ChildWrites
    route: Manifest | None
    """The HTTPRoute as the API server has it."""
    same_model_as: str | None
    """Another LLMService of the namespace that serves the same model name, and that came first by name."""

    @property
    def ready_replicas(self) -> int:
        return sum(row.ready for row in self.rows)

    @property
    def desired_replicas(self) -> int:
        return sum(row.desired for row in self.rows)

    @property
    def cost_per_hour(self) -> float:
        return sum(row.cost_per_hour for row in self.rows)
