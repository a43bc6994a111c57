"""`LLMService`: a model, its latency targets and its limits, as an application team writes them.

The API is closed: it has no pod template, no free URL, no PromQL and no reference into another namespace but to
Gateways that a MedleyPolicy lists, because tenants write it and the operator acts on it with its own rights.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import (
    MAX_VARIANTS,
    Beta,
    Dns1123Label,
    Duration,
    EngineArgument,
    Money,
)
from medley_operator.api.v1alpha1.mode import ActingMode
from medley_operator.api.v1alpha1.service_model import ModelSpec
from medley_operator.api.v1alpha1.service_routing import RoutingSpec
from medley_operator.api.v1alpha1.service_variant import VARIANT_RULES, VariantSpec
from medley_operator.api.v1alpha1.service_workload import WorkloadSpec
from medley_planner.units import duration_seconds


class RuntimeRef(ApiModel):
    """The engine that runs the model."""

    profile_ref: Dns1123Label = Field("vllm", description="Name of the RuntimeProfile.")
    args: list[EngineArgument] = Field(
        default_factory=list,
        max_length=64,
        description="Further engine arguments; their flags must be in the profile's allowedArgs.",
    )


class SloSpec(ApiModel):
    """Latency targets."""

    ttft: Duration = Field("1s", description="Time to first token.")
    tpot: Duration = Field("50ms", description="Time per output token after the first.")
    percentile: int = Field(95, ge=50, le=99, description="Share of requests that must meet both targets, in percent.")

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="duration(self.ttft) > duration('0s') && duration(self.tpot) > duration('0s')",
            message="ttft and tpot must be more than 0",
            holds=lambda self: self.ttft_seconds > 0 and self.tpot_seconds > 0,
        ),
    )

    @property
    def ttft_seconds(self) -> float:
        return duration_seconds(self.ttft)

    @property
    def tpot_seconds(self) -> float:
        return duration_seconds(self.tpot)


class ForecastMode(StrEnum):
    AUTO = "Auto"
    OFF = "Off"


class ForecastSpec(ApiModel):
    """Whether plans look ahead to the time when new replicas will serve."""

    mode: ForecastMode = Field(
        ForecastMode.AUTO,
        description="Auto: plan for the forecast at the time when new replicas will serve, once there is half an hour "
        "of history. Off: plan for the measured rate.",
    )
    quantile_percent: int = Field(
        90,
        ge=50,
        le=99,
        description="Share of the time in which the load should stay within the planned rate, in percent.",
    )


class MarginMode(StrEnum):
    LEARNED = "Learned"
    FIXED = "Fixed"


class ScalingSpec(ApiModel):
    """How far Medley acts, limits over all variants, headroom and forecast."""

    mode: ActingMode = Field(
        ActingMode.AUTO,
        description="Auto: act on each plan. Approve: a new plan waits for `medley approve`. Advisory: only show "
        "plans. Paused: make no plan and change nothing. The more careful of it and the operator's --mode counts.",
    )
    min_replicas: int = Field(
        1,
        ge=1,
        le=1000,
        description="Fewest replicas over all variants; at least 1, because load is read from the replicas.",
    )
    max_replicas: int = Field(64, ge=1, le=1000, description="Most replicas over all variants.")
    headroom_percent: int = Field(10, ge=0, le=200, description="Spare capacity above the planned load, in percent.")
    burst_headroom: Beta = Field(
        "0",
        description="Spare capacity for bursts, as the factor b of square-root staffing: a load of W replicas counts "
        'as W + b x sqrt(W), so that small fleets keep relatively more. 0 turns it off; "0.5" to "2" are usual.',
    )
    forecast: ForecastSpec = Field(default_factory=ForecastSpec)
    margins: MarginMode = Field(
        MarginMode.LEARNED,
        description="Learned: headroom and derating are where each variant's margin begins; it follows the share of "
        "requests within both targets, within the bounds of MedleyPolicies. Fixed: they stay as they are.",
    )
    zone_spread: bool = Field(
        False, description="Whether two or more replicas must not all depend on one zone (GPUPool spec.zones)."
    )
    tolerate_replica_loss: bool = Field(
        False, description="N+1: whether the plan still serves all planned load when any one replica is lost."
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="self.minReplicas <= self.maxReplicas",
            message="minReplicas must not exceed maxReplicas",
            holds=lambda self: self.min_replicas <= self.max_replicas,
        ),
        CelRule(
            cel="!self.tolerateReplicaLoss || self.maxReplicas >= 2",
            message="tolerateReplicaLoss needs maxReplicas of 2 or more",
            holds=lambda self: not self.tolerate_replica_loss or self.max_replicas >= 2,
        ),
    )

    @property
    def staffing_beta(self) -> float:
        return float(self.burst_headroom)


class ServicePriority(StrEnum):
    HIGH = "High"
    NORMAL = "Normal"
    LOW = "Low"


class BudgetSpec(ApiModel):
    """Limits on the cost of the service and on its use of spot GPUs."""

    max_cost_per_hour: Money | None = Field(
        None, description="Most US dollars per hour for all replicas. Default: no limit."
    )
    spot_max_percent: int = Field(
        100, ge=0, le=100, description="Largest share of replicas in pools with provisioning Spot, in percent."
    )
    on_demand_min_replicas: int = Field(
        0, ge=0, le=1000, description="Fewest replicas in pools with provisioning OnDemand."
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.maxCostPerHour) || double(self.maxCostPerHour) > 0.0",
            message="maxCostPerHour must be more than 0; leave it out for no limit",
            holds=lambda self: self.max_cost_per_hour_usd is None or self.max_cost_per_hour_usd > 0,
        ),
    )

    @property
    def max_cost_per_hour_usd(self) -> float | None:
        return None if self.max_cost_per_hour is None else float(self.max_cost_per_hour)


class DrainSpec(ApiModel):
    """How a replica is stopped."""

    pre_stop: Duration = Field("15s", description="Wait before SIGTERM, so that endpoints leave first.")
    timeout: Duration = Field(
        "120s",
        description="Longest time for running requests to finish after SIGTERM. With preStop at most 1h: the replica "
        "holds its GPUs for so long.",
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="duration(self.preStop) + duration(self.timeout) <= duration('1h')",
            message="preStop and timeout must add up to at most 1h",
            holds=lambda self: self.pre_stop_seconds + self.timeout_seconds <= 3600,
        ),
    )

    @property
    def pre_stop_seconds(self) -> float:
        return duration_seconds(self.pre_stop)

    @property
    def timeout_seconds(self) -> float:
        return duration_seconds(self.timeout)


class LLMServiceSpec(ApiModel):
    """The model to serve, its latency targets and its limits."""

    model: ModelSpec
    runtime: RuntimeRef = Field(default_factory=RuntimeRef)
    slo: SloSpec = Field(default_factory=SloSpec)
    variants: list[VariantSpec] = Field(
        default_factory=list,
        max_length=MAX_VARIANTS,
        description="Pools and variants to use. Empty: every layout that fits, in every GPUPool.",
    )
    workload: WorkloadSpec = Field(default_factory=WorkloadSpec)
    scaling: ScalingSpec = Field(default_factory=ScalingSpec)
    priority: ServicePriority = Field(
        ServicePriority.NORMAL,
        description="If the pools cannot serve every service, load of Low is left out first and load of High last.",
    )
    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    routing: RoutingSpec = Field(default_factory=RoutingSpec)
    drain: DrainSpec = Field(default_factory=DrainSpec)

    rules: ClassVar[tuple[CelRule, ...]] = (
        *VARIANT_RULES,
        CelRule(
            cel="self.budget.onDemandMinReplicas <= self.scaling.maxReplicas",
            message="budget.onDemandMinReplicas must not exceed scaling.maxReplicas",
            holds=lambda self: self.budget.on_demand_min_replicas <= self.scaling.max_replicas,
        ),
    )
