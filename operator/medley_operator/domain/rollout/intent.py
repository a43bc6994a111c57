"""The planner's message to the actuator: for each service its goal and what acting on it needs. Values only.

An intent stays in force until the next round of the planner. It holds nothing that moves while pods start: what runs
is looked at by the actuator itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import MemoryStatus
from medley_operator.domain.rollout.goals import Goal
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.gauges import GaugeSample
from medley_operator.domain.values.service_key import ServiceKey


@dataclass(frozen=True, slots=True)
class ServiceIntent:
    """One service. `served`: the buckets of its load that the plan in force serves.

    `surge`: whether a pod beyond the plan finds a GPU, by variant. `same_model_as`: another LLMService of the
    namespace that serves the same model name, and that came first by name. `memory_status`: what a restarted operator
    is to know of its load.
    """

    candidate: ServiceCandidate
    goal: Goal
    served: frozenset[int] = frozenset()
    surge: Mapping[str, bool] = field(default_factory=dict)
    same_model_as: str | None = None
    memory_status: MemoryStatus | None = None


@dataclass(frozen=True, slots=True)
class FleetIntent:
    """All services that stay, in the order of their keys. `gauges`: those that only change with the plan.

    `pod_requests`: requests that the pods of a service had when Prometheus was asked last, by name. They are outside of
    its intent, since they change in each round and matter only where pods go.
    """

    services: tuple[ServiceIntent, ...]
    gauges: tuple[GaugeSample, ...] = ()
    pod_requests: Mapping[ServiceKey, Mapping[str, float]] = field(default_factory=dict)
