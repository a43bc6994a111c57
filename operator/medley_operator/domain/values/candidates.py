"""The findings of `prepare` about each service, as values for the planner and for `conclude`.

Kept apart from the code that fills them, so that tests and the command line can read them without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from medley_operator.api.v1alpha1 import GPUPool, LLMService, RuntimeProfile
from medley_operator.domain.values.bounds import NamespaceBounds
from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.profile_judgement import Judgement
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import LoadBasis, MetricsReason
from medley_planner.capacity import CapacityBasis, TableKey
from medley_planner.check import Subject
from medley_planner.model import Demand, Problem, Variant
from medley_planner.omitted import Omitted
from medley_planner.refusal import Refusal
from medley_planner.variants import Replica
from medley_planner.workload import Forecaster


class LoadSource(StrEnum):
    """Where the load that is planned for comes from (`status.load.source`)."""

    PROMETHEUS = "Prometheus"
    STATIC = "Static"
    MIN_REPLICAS = "MinReplicas"


@dataclass(frozen=True, slots=True)
class DemandChoice:
    """The demand to plan a service for and why. `hold`: plan nothing, keep the last plan (made for `demand`).

    `basis` is what `demand` rests on, `now` the same for the load of this round; None where nothing was measured.
    """

    demand: Demand
    source: LoadSource
    hold: bool
    had_metrics: bool
    reason: MetricsReason
    message: str
    drifting_since: float | None = None
    falling_since: float | None = None
    basis: LoadBasis | None = None
    now: LoadBasis | None = None
    forecaster: Forecaster = field(default_factory=Forecaster)


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool with what the cluster holds of it.

    `stock_gpus` None: no limit. `node_gpus`: GPUs of each node; None where nodes are made without a limit.
    `gpu` is its name in the catalogue, None where the catalogue lacks it. `zones`: none where they are not known.
    `refusal`: why it cannot be planned with; None where it can. `unreadable`: why nodes cannot be listed, "" where they
    can.
    """

    pool: GPUPool
    gpu: str | None
    ready_nodes: int
    stock_gpus: int | None
    node_gpus: tuple[int, ...] | None
    zones: tuple[str, ...] = ()
    refusal: Refusal | None = None
    unreadable: str = ""

    def replica_limit(self, gpus_per_replica: int) -> int | None:
        """Replicas that fit, since the GPUs of one replica must sit on one node; None: no limit."""
        if self.node_gpus is None:
            return None
        return sum(gpus // gpus_per_replica for gpus in self.node_gpus)


@dataclass(frozen=True, slots=True)
class VariantCandidate:
    """A variant as the planner sees it, the pool object that its pods are placed by, and the flags of its engine.

    `layout` is `labels.layout_hash` of it: with another one its pods are other objects.
    """

    variant: Variant
    pool: GPUPool
    engine_flags: tuple[tuple[str, str], ...]
    layout: str
    basis: CapacityBasis = CapacityBasis.CLOSED_FORM
    replica: Replica | None = None
    """How one replica is run, for the check of the plan."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Variants that run on simulated capacities that are missing now. `overdue`: it is not waited any longer."""

    variants: tuple[str, ...]
    since_seconds: float
    overdue: bool


class Disposition(StrEnum):
    """The treatment of a service in this round."""

    PLANNED = "planned"
    HELD = "held"
    REJECTED = "rejected"
    LEAVING = "leaving"
    """It is being deleted: it is left alone."""


@dataclass(frozen=True, slots=True)
class ServiceCandidate:
    """All that is known of one service before the solver runs.

    `last_replicas`: replicas of the last plan by variant, from memory or, after a restart, from the status.
    `omitted`: what is not a variant of this service or is left out, and why. `missing_tables`: simulated capacities
    that its variants would rest on and do not yet. `waiting`: those of them that what runs was planned with. `bounds`:
    what its namespace may ask for.
    """

    service: LLMService
    disposition: Disposition
    profile: RuntimeProfile | None = None
    choice: DemandChoice | None = None
    variants: tuple[VariantCandidate, ...] = ()
    omitted: tuple[Omitted, ...] = ()
    missing_tables: tuple[TableKey, ...] = ()
    waiting: Waiting | None = None
    refusal: Refusal | None = None
    last_replicas: Mapping[str, int] = field(default_factory=dict)
    bounds: NamespaceBounds = field(default_factory=NamespaceBounds)

    @property
    def key(self) -> ServiceKey:
        return ServiceKey.of(self.service)

    @property
    def layouts(self) -> dict[str, str]:
        """The layout of each variant, by its name."""
        return {known.variant.name: known.layout for known in self.variants}

    def variant(self, name: str) -> VariantCandidate | None:
        return next((candidate for candidate in self.variants if candidate.variant.name == name), None)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Result of `prepare`: the problem of all services that can be planned (None without any), and all candidates."""

    problem: Problem | None
    services: tuple[ServiceCandidate, ...]
    pools: tuple[PoolState, ...]
    model_profiles: tuple[Judgement, ...] = ()
    leads: LeadTimes = field(default_factory=LeadTimes)
    subjects: Mapping[str, Subject] = field(default_factory=dict)
    """Facts that the check of the plan needs beside the problem, by the service's name in it."""

    @property
    def missing_tables(self) -> tuple[TableKey, ...]:
        """The missing tables of all services, each once, in their order."""
        return tuple(dict.fromkeys(key for service in self.services for key in service.missing_tables))

    def candidate(self, key: ServiceKey) -> ServiceCandidate | None:
        return next((candidate for candidate in self.services if candidate.key == key), None)
