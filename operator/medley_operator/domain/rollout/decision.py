"""The findings and decisions of one round for one service, gathered for status, Events and gauges. Values only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import MemoryStatus
from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.goals import Goal
from medley_operator.domain.rollout.writes import ChildWrites, ReplicaTargets
from medley_operator.domain.routing.router import RoutedService
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.views import PodView
from medley_planner.model import Demand, ServicePlan


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
    """Cost of its desired replicas."""
    running_cost_per_hour: float
    """Cost of the replicas that hold GPUs now."""
    capacity_rps: float
    """Capacity of one replica for the size mix of the load."""
    provenance: str
    startup_seconds: float | None
    """None where the variant is no longer one of the service's."""
    basis: str
    prompt_range: str | None = None
    """Prompts that the plan sends there; None where its router sees none."""


@dataclass(frozen=True, slots=True)
class ServiceDecision:
    candidate: ServiceCandidate
    goal: Goal
    running: Mapping[str, RunningVariant]
    targets: ReplicaTargets
    rows: tuple[VariantRow, ...]
    writes: ChildWrites
    routed: RoutedService
    """The sight of its router."""
    same_model_as: str | None
    """Another LLMService of the namespace that serves the same model name, and that came first by name."""
    pods: tuple[PodView, ...] = ()
    """Its engine pods, those on their way out included."""
    stranded: tuple[PodView, ...] = ()
    """Its Ready pods on nodes that are going, for which the pool has no other place."""
    memory_status: MemoryStatus | None = None
    """The load as a restarted operator is to know it."""

    @property
    def plan_id(self) -> str | None:
        """The new plan's; None where the last one stays."""
        plan, choice = self.goal.plan, self.candidate.choice
        return None if plan is None or choice is None else plan_id(plan, choice.demand)

    @property
    def plan_stays(self) -> bool:
        """Whether the plan in force is the one that the status shows: no other was made, or an equal one."""
        if self.goal.plan is None:
            return bool(self.rows)
        shown = self.candidate.service.status.plan
        return shown is not None and shown.id == self.plan_id

    @property
    def ready_replicas(self) -> int:
        return sum(row.ready for row in self.rows)

    @property
    def desired_replicas(self) -> int:
        return sum(row.desired for row in self.rows)

    @property
    def cost_per_hour(self) -> float:
        """Cost of the plan."""
        return sum(row.cost_per_hour for row in self.rows)

    @property
    def running_cost_per_hour(self) -> float:
        """Cost of the replicas that run."""
        return sum(row.running_cost_per_hour for row in self.rows)


def plan_id(plan: ServicePlan, demand: Demand) -> str:
    """Short hash of what the plan decides and of the load that it is for; equal plans have equal ids."""
    content = {
        "replicas": {name: count for name, count in sorted(plan.replicas().items()) if count > 0},
        "routing": plan.routing.value,
        "rate": f"{demand.rate_rps:.6g}",
        "sizes": [
            (f"{bucket.prompt_tokens:.6g}", f"{bucket.generation_tokens:.6g}", f"{share:.6g}")
            for bucket, share in zip(demand.buckets, demand.shares, strict=True)
        ]
        if demand.rate_rps > 0
        else [],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
