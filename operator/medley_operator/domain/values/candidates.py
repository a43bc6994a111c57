"""The findings of `prepare` about each service, as values for the planner and for `conclude`.

Kept apart from the code that fills them, so that tests and the command line can read them without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from medley_operator.api.v1alpha1 import ActingMode, GPUPool, LLMService, PriceStatus, RuntimeProfile, ScheduleStatus
from medley_operator.api.v1alpha1.power import PowerDomain
from medley_operator.domain.cluster.start_failures import StartFailure
from medley_operator.domain.values.bounds import NamespaceBounds
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.margins import Margin
from medley_operator.domain.values.memories import LoadBasis, LoadJump, ServiceMemory
from medley_operator.domain.values.power import CountedLevel, PoolFeed
from medley_operator.domain.values.profile_judgement import Judgement
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, ObjectFault
from medley_operator.domain.values.stock import Ledger, PoolStock
from medley_planner.capacity import CapacityBasis, TableGroup, TableKey
from medley_planner.catalog import Gpu
from medley_planner.check import Subject
from medley_planner.layout import UNCAPPED_PERCENT
from medley_planner.model import Demand, Problem, Variant
from medley_planner.omitted import Omitted
from medley_planner.refusal import Refusal
from medley_planner.variants import Replica
from medley_planner.workload import Forecaster, SizeTrend


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
    jump: LoadJump | None = None
    """One that is not believed yet."""
    ready_lately: tuple[tuple[float, int], ...] = ()
    forecaster: Forecaster = field(default_factory=Forecaster)
    sizes: SizeTrend = field(default_factory=SizeTrend)
    schedule: ScheduleStatus | None = None
    """Known events, as the status shows them."""


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool with what the cluster holds of it.

    `gpu` is its type, None where the catalogue lacks it. `zones`: none where they are not known.
    `refusal`: why it cannot be planned with; None where it can. `unreadable`: why nodes cannot be listed, "" where they
    can. `price`: as its status shows it; None where nobody says it. `feed`: the power domains that feed its nodes, None
    where none does. `budget_name`: of the domain that is the pool's own budget. `clock_percent`: what its GPUs are held
    to for the service that looks at it.
    """

    pool: GPUPool
    gpu: Gpu | None
    stock: PoolStock
    zones: tuple[str, ...] = ()
    refusal: Refusal | None = None
    unreadable: str = ""
    price: PriceStatus | None = None
    feed: PoolFeed | None = None
    budget_name: str = ""
    clock_percent: int = UNCAPPED_PERCENT

    @property
    def name(self) -> str:
        return self.pool.metadata.name

    @property
    def limit_watts(self) -> float:
        """Watts of one GPU at its power limit: the pool's figure, else the board power of its type (0 where
        unknown)."""
        own = self.pool.spec.own_watts_per_gpu()
        if own is not None:
            return own
        return self.gpu.watts if self.gpu is not None else 0.0

    @property
    def has_budget(self) -> bool:
        """Whether the pool itself has a budget of watts, in which nothing caps GPUs, so that they count at their
        limit."""
        return self.pool.spec.power is not None and self.pool.spec.power.budget_watts is not None

    @property
    def stock_gpus(self) -> int | None:
        """GPUs that replicas of ours use or may use; None: no limit."""
        return self.stock.stock_gpus

    def replica_limit(self, gpus_per_replica: int) -> int | None:
        """Replicas that fit, since the GPUs of one replica must sit on one node; None: no limit."""
        node_gpus = self.stock.node_gpus
        return None if node_gpus is None else sum(gpus // gpus_per_replica for gpus in node_gpus)


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
    draws_watts: float | None = None
    """The watts that one replica is expected to draw as planned; None where no power domain asks for it."""


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

    `last_replicas`: replicas of the plan in force by variant, from memory or, after a restart, from the status.
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
    table_group: TableGroup | None = None
    """Simulated capacities of this group are those of its variants."""
    waiting: Waiting | None = None
    refusal: Refusal | None = None
    last_replicas: Mapping[str, int] = field(default_factory=dict)
    start_failures: tuple[StartFailure, ...] = ()
    """Variants whose replicas cannot start, and when they may be asked for again."""
    memory: ServiceMemory = field(default_factory=lambda: ServiceMemory(uid=""))
    """Its memory from before this round."""
    mode: ActingMode = ActingMode.AUTO
    """How far its plan is acted on."""
    bounds: NamespaceBounds = field(default_factory=NamespaceBounds)
    at_seconds: float = 0.0
    """When the round's snapshot was taken, on the operator's clock."""
    margins: Mapping[str, Margin] = field(default_factory=dict)
    """Learned margins by variant, after this round's requests."""
    domains: tuple[PowerDomain, ...] = ()
    """The power domains that feed its replicas, by name."""
    unconfirmed: Mapping[str, float] = field(default_factory=dict)
    """Those of them for which their controller answers no more, with the Unix time until which it did."""

    @property
    def key(self) -> ServiceKey:
        return ServiceKey.of(self.service)

    @property
    def gets_pods(self) -> bool:
        """Whether pods that its Deployments lack may still be made."""
        ends = self.refusal is not None and self.refusal.reason == PlanReason.NAMESPACE_ENDING
        return self.disposition is not Disposition.LEAVING and not ends

    @property
    def layouts(self) -> dict[str, str]:
        """The layout of each variant, by its name."""
        return {known.variant.name: known.layout for known in self.variants}

    def variant(self, name: str) -> VariantCandidate | None:
        return next((candidate for candidate in self.variants if candidate.variant.name == name), None)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Result of `prepare`: the problem of all services whose plan is acted on at once, that of those whose plan waits
    or is only shown (each None without any), and all candidates."""

    problem: Problem | None
    services: tuple[ServiceCandidate, ...]
    pools: tuple[PoolState, ...]
    ledger: Ledger = field(default_factory=Ledger)
    model_profiles: tuple[Judgement, ...] = ()
    leads: LeadTimes = field(default_factory=LeadTimes)
    subjects: Mapping[str, Subject] = field(default_factory=dict)
    """Facts that the check of the plan needs beside the problem, by the service's name in it."""
    faults: tuple[ObjectFault, ...] = ()
    """Objects that were left out because this program failed on them."""
    advice: Problem | None = None
    power_levels: Mapping[str, CountedLevel] = field(default_factory=dict)
    unconfirmed: Mapping[str, float] = field(default_factory=dict)
    """Power domains for which their controller answers no more, with the seconds since it did."""

    @property
    def missing_tables(self) -> tuple[TableKey, ...]:
        """The missing tables of all services, each once, in their order."""
        return tuple(dict.fromkeys(key for service in self.services for key in service.missing_tables))

    @property
    def missing_by_namespace(self) -> Mapping[str, tuple[TableKey, ...]]:
        """The missing tables of each namespace's services, each once, in their order."""
        found: dict[str, dict[TableKey, None]] = {}
        for service in self.services:
            found.setdefault(service.key.namespace, {}).update(dict.fromkeys(service.missing_tables))
        return {namespace: tuple(keys) for namespace, keys in found.items()}

    @property
    def table_groups(self) -> frozenset[TableGroup]:
        """The groups of simulated capacities that services are planned with."""
        return frozenset(service.table_group for service in self.services if service.table_group is not None)

    def candidate(self, key: ServiceKey) -> ServiceCandidate | None:
        return next((candidate for candidate in self.services if candidate.key == key), None)
