"""The input and the decisions of the two loops, as values.

The planner: `fleet.observe` fills one `Snapshot`, `domain.prepare` and `domain.conclude` turn it into a planner problem
and then into what each service is to have. The actuator: `domain.act` compares that with a `ActuatorView` and makes a
`Decision`, which `fleet.publish` carries out. Nothing in here touches the world, so every decision can be tested
without a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from medley_operator.api.v1alpha1 import (
    GPUPool,
    GPUType,
    LLMService,
    MedleyPolicy,
    ModelProfile,
    ObjectMeta,
    PriceStatus,
    RuntimeProfile,
)
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.margins import LatencyCounts
from medley_operator.domain.values.power import NO_POWER, PowerFacts
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.supply import Supply
from medley_operator.domain.values.views import Autoscaler, NodeView, PodView
from medley_planner.capacity import Speed, TableGroup
from medley_planner.catalog import Catalogue
from medley_planner.model import Demand
from medley_planner.refusal import Refusal

if TYPE_CHECKING:
    # Loads numpy, which processes that make no snapshot do without.
    from medley_planner.capacity import GridRatios

Manifest = dict[str, Any]
"""A Kubernetes object as plain JSON values."""
RatesSeen = tuple[tuple[float, float], ...]
"""(Seconds on the operator's monotonic clock, requests per second), oldest first."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """Identity of an object. `namespace` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, kind: str, metadata: ObjectMeta) -> ObjectKey:
        return cls(kind=kind, namespace=metadata.namespace, name=metadata.name)

    @property
    def service(self) -> ServiceKey:
        """The key of an LLMService."""
        return ServiceKey(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class ObjectFault:
    """A failure of this program on one object. `error` is type and message of what was raised, `trace` where; the trace
    is for the log alone."""

    about: ObjectKey
    error: str
    trace: str

    @property
    def refusal(self) -> Refusal:
        where = f" -n {self.about.namespace}" if self.about.namespace else ""
        return Refusal(
            PlanReason.INTERNAL_ERROR,
            f"Medley itself failed on this object ({self.error}). It leaves the object out, keeps the replicas that "
            "run, and goes on with all others. Report it with the object's YAML: "
            f"kubectl get {self.about.kind.lower()}{where} {self.about.name} -o yaml",
        )


@dataclass(frozen=True, slots=True)
class InvalidObject:
    """An object of ours that the API server holds but that does not parse."""

    key: ObjectKey
    uid: str
    generation: int
    refusal: Refusal
    status: Manifest
    """The status it has now, so that an equal one is not written again."""


class MetricsReason(StrEnum):
    """Stable reasons of the condition MetricsAvailable."""

    FOUND = "MetricsFound"
    STATIC = "StaticWorkload"
    MISSING = "MetricsMissing"
    """Prometheus answers, but has no series of this service's pods."""
    STALE = "MetricsStale"
    """There were series, and now there are none, or no new samples."""
    UNAVAILABLE = "PrometheusUnavailable"
    INVALID = "MetricsInvalid"
    """The series are there but make no sense (NaN, negative, decreasing histogram)."""
    PARTIAL = "MetricsPartial"
    """Prometheus sees fewer pods than are Ready."""
    JUMP = "MetricsJump"
    """The load is many times that of the plan, and not yet for a window."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The answer of Prometheus about one service: a demand, or why there is none.

    `samples` is the number of requests behind the figures; `message` says what was asked and answered. A service that
    is scraped but had no request has no sizes either: reason FOUND, `demand` None, `samples` 0. `pods` are those that
    Prometheus sees; None where it was not asked. `pod_requests`: requests in batch and queue by the pod's name.
    `latencies`: what requests attained in the window, by variant.
    """

    reason: MetricsReason
    demand: Demand | None = None
    samples: float = 0.0
    message: str = ""
    pods: int | None = None
    pod_requests: Mapping[str, float] = field(default_factory=dict)
    latencies: Mapping[str, LatencyCounts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActuatorView:
    """The sight of the actuator: what the cluster holds, without Prometheus and what only plans are made from."""

    services: tuple[LLMService, ...]
    """With the statuses that they have now."""
    rejected: tuple[InvalidObject, ...]
    """Objects of ours that do not parse."""
    children: Mapping[ObjectKey, Manifest]
    """Objects of the kinds that we make, with our managed-by label, as the API server returns them."""
    gateways: frozenset[tuple[str, str]] | None
    """(namespace, name) of each Gateway; None where the cluster has no Gateway API."""
    autoscalers: Mapping[ObjectKey, Autoscaler] = field(default_factory=dict)
    """HorizontalPodAutoscalers and VerticalPodAutoscalers, by the Deployment that they are on."""
    pods: tuple[PodView, ...] = ()
    """Pods that hold or ask for extended resources, of anybody, and those that carry our managed-by label."""
    at_seconds: float = 0.0
    """When it was taken, on the operator's monotonic clock."""
    pools: tuple[GPUPool, ...] = ()
    gpu_types: tuple[GPUType, ...] = ()
    catalogue: Catalogue = field(default_factory=Catalogue)
    """The built-in GPU types, and those of `gpu_types` that count."""
    nodes: tuple[NodeView, ...] = ()
    """All nodes of the cluster, usable or not; none where they cannot be read."""
    supply: Supply = field(default_factory=Supply)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Kinds that cannot be listed, and why; of them there is what was last seen."""
    lacking: frozenset[str] = frozenset()
    """Kinds that the cluster does not have and that Medley can do without."""
    watched: tuple[str, ...] = ()
    """Namespaces that are looked at; none: all."""
    ending: frozenset[str] = frozenset()
    """Namespaces that are being deleted."""

    @property
    def budgets(self) -> bool:
        """Whether PodDisruptionBudgets can be listed; where not, they are left as they are."""
        return "PodDisruptionBudget" not in self.unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(ActuatorView):
    """Complete input of one round of the planner."""

    profiles: tuple[RuntimeProfile, ...]
    observations: Mapping[ServiceKey, Observation]
    calibrated: Mapping[LearnedKey, Speed] = field(default_factory=dict)
    """Speed of running engines, from their counters."""
    model_profiles: tuple[ModelProfile, ...] = ()
    capacity_tables: Mapping[TableGroup, tuple[GridRatios, ...]] = field(default_factory=dict)
    """Simulated capacities; what is not in it is planned by the closed form."""
    simulates: bool = False
    """Whether missing ones are being made."""
    unix_seconds: float = 0.0
    """When it was taken, in Unix seconds: times that outlive the operator are kept in these."""
    policies: tuple[MedleyPolicy, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels of each namespace, by its name; one that is not in it is not known."""
    histories: Mapping[ServiceKey, RatesSeen] = field(default_factory=dict)
    """Rates from before the operator started, given once."""
    seasons: Mapping[ServiceKey, RatesSeen] = field(default_factory=dict)
    """Rates of days and weeks, given now and then."""
    prices: Mapping[str, PriceStatus] = field(default_factory=dict)
    """The price of each pool that has one, by its name; `pools` have it as their cost."""
    power: PowerFacts = NO_POWER

    @classmethod
    def of(cls, view: ActuatorView, **more: Any) -> Snapshot:
        """Extends the sight of the actuator by all that plans need beside it."""
        return cls(**{each.name: getattr(view, each.name) for each in fields(ActuatorView)} | more)


FieldKey = tuple[ObjectKey, str]
"""An object and the path of one of its fields."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A field that was not as we set it, at these times of the snapshots' clock, and was set to `wanted` each time.
    `left`: it is not set again for now, since others take it back. `stayed`: a look found it as it was set last."""

    wanted: str
    at_seconds: tuple[float, ...]
    left: bool = False
    stayed: bool = False
