"""`LLMService`: a model, its latency targets and its bounds, as an application team writes them.

Closed: no pod template, no free URL, no PromQL and no reference into another namespace, since tenants write it and the
operator acts on it with its own rights.
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
    Dns1123Subdomain,
    Duration,
    EngineArgument,
    ModelUri,
    Money,
    PoolName,
    Rate,
    TokenBudget,
    VariantName,
)
from medley_planner.units import duration_seconds


class SecretKeyRef(ApiModel):
    """A key of a Secret in the LLMService's own namespace."""

    name: Dns1123Subdomain
    key: str = Field("HF_TOKEN", pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)


class VariantPrecision(StrEnum):
    BF16 = "BF16"
    FP8 = "FP8"


class ModelPrecision(StrEnum):
    BF16 = "BF16"
    FP8 = "FP8"
    AUTO = "Auto"


class ModelSpec(ApiModel):
    """The model that is served."""

    uri: ModelUri = Field(description="Where the weights are: hf://organisation/model.")
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        max_length=128,
        description="Name that clients ask for; the object's name where absent.",
    )
    precision: ModelPrecision = Field(
        ModelPrecision.BF16,
        description="Number format of the weights. Auto: what is cheapest of BF16 and FP8, by GPU.",
    )
    max_model_len: int = Field(16384, ge=128, le=1048576, description="Longest prompt plus generation, in tokens.")
    token_secret_ref: SecretKeyRef | None = Field(None, description="Hugging Face token for gated models.")
    config_json: str | None = Field(
        None,
        max_length=32768,
        description="Content of the model's config.json, needed where Medley does not know the model's shape.",
    )


class RuntimeRef(ApiModel):
    """The engine that runs the model."""

    profile_ref: Dns1123Label = Field("vllm", description="Name of the RuntimeProfile.")
    args: list[EngineArgument] = Field(
        default_factory=list, max_length=64, description="Further engine arguments, of the profile's allowedArgs."
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


class VariantSpec(ApiModel):
    """A pool that may be used and, where named, how; without any, every pool that fits is used in every way.

    With name, tensorParallel, minReplicas or maxReplicas it stands for one variant, else for all of that pool.
    """

    name: VariantName | None = Field(
        None, description="Name of the variant; made of the pool's name, as in l4-tp2-fp8-b4096, where absent."
    )
    pool_ref: PoolName = Field(description="Name of the GPUPool.")
    tensor_parallel: int | None = Field(
        None,
        ge=1,
        le=64,
        description="GPUs of one replica; where absent, all of 1, 2, 4, 8 that fit or, if one variant is meant, the "
        "fewest that fit and keep the TPOT target.",
    )
    precision: VariantPrecision | None = Field(None, description="One of those that model.precision allows.")
    token_budget: TokenBudget | None = Field(None, description="One of the RuntimeProfile's token budgets.")
    min_replicas: int = Field(0, ge=0, le=1000, description="Replicas of this variant that are always kept.")
    max_replicas: int | None = Field(
        None, ge=0, le=1000, description="Replicas of this variant that are never exceeded."
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            message="minReplicas must not exceed maxReplicas",
            holds=lambda self: self.max_replicas is None or self.min_replicas <= self.max_replicas,
        ),
    )


class StaticWorkload(ApiModel):
    """The load to plan for while there is no data: a rate and the mean sizes of a request."""

    requests_per_second: Rate
    prompt_tokens: int = Field(ge=1, le=1048576, description="Mean prompt length, in tokens.")
    generation_tokens: int = Field(ge=1, le=1048576, description="Mean generation length, in tokens.")

    @property
    def rate_rps(self) -> float:
        return float(self.requests_per_second)


class WorkloadSource(StrEnum):
    PROMETHEUS = "Prometheus"
    STATIC = "Static"


class WorkloadSpec(ApiModel):
    """Where the load to plan for is taken from."""

    source: WorkloadSource = Field(
        WorkloadSource.PROMETHEUS,
        description="Prometheus: live metrics, `static` until there are any. Static: always `static`.",
    )
    window: Duration = Field("5m", description="Time over which rates and sizes are taken; 10s to 24h.")
    static: StaticWorkload | None = None

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="self.source != 'Static' || has(self.static)",
            message="source Static needs workload.static",
            holds=lambda self: self.source != WorkloadSource.STATIC or self.static is not None,
        ),
        CelRule(
            cel="duration(self.window) >= duration('10s') && duration(self.window) <= duration('24h')",
            message="window must be between 10s and 24h",
            holds=lambda self: 10 <= self.window_seconds <= 86400,
        ),
    )

    @property
    def window_seconds(self) -> float:
        return duration_seconds(self.window)


class ForecastMode(StrEnum):
    AUTO = "Auto"
    OFF = "Off"


class ForecastSpec(ApiModel):
    """Whether the load that is planned for is the one of when new replicas will serve."""

    mode: ForecastMode = Field(
        ForecastMode.AUTO,
        description="Auto: the forecast for when new replicas will serve, once there is half an hour of history. Off: "
        "what is measured.",
    )
    quantile_percent: int = Field(
        90, ge=50, le=99, description="Part of the time that the load should stay within what is planned, in percent."
    )


class ScalingSpec(ApiModel):
    """Bounds over all variants."""

    min_replicas: int = Field(
        1,
        ge=1,
        le=1000,
        description="Replicas in all that are always kept; at least 1, since load is read from the replicas.",
    )
    max_replicas: int = Field(64, ge=1, le=1000, description="Replicas in all that are never exceeded.")
    headroom_percent: int = Field(10, ge=0, le=200, description="Capacity kept free above the observed load.")
    burst_headroom: Beta = Field(
        "0",
        description="Capacity kept free for bursts, as the factor b of square-root staffing: a load of W replicas "
        'counts as W + b x sqrt(W), so that small fleets keep relatively more. 0: none; "0.5" to "2" are usual.',
    )
    forecast: ForecastSpec = Field(default_factory=ForecastSpec)
    zone_spread: bool = Field(
        False, description="Two or more replicas must not all depend on one zone (GPUPool spec.zones)."
    )
    tolerate_replica_loss: bool = Field(
        False, description="N+1: all planned load is still served when any one replica is lost."
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
    """What the service may cost, and how far it may rest on spot GPUs."""

    max_cost_per_hour: Money | None = Field(
        None, description="US dollars per hour that all replicas may cost together; absent: no limit."
    )
    spot_max_percent: int = Field(
        100, ge=0, le=100, description="Largest part of the replicas in pools with provisioning Spot, in percent."
    )
    on_demand_min_replicas: int = Field(
        0, ge=0, le=1000, description="Replicas in pools with provisioning OnDemand that are always kept."
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


class ServiceRoutingMode(StrEnum):
    SERVICE = "Service"
    HTTP_ROUTE = "HTTPRoute"


class GatewayRef(ApiModel):
    """A Gateway in the LLMService's own namespace."""

    name: Dns1123Subdomain


class RoutingSpec(ApiModel):
    """How requests reach the variants."""

    mode: ServiceRoutingMode | None = Field(
        None, description="Service: equal by pod. HTTPRoute: weighted by variant. Default: HTTPRoute with gatewayRef."
    )
    gateway_ref: GatewayRef | None = None

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.mode) || self.mode != 'HTTPRoute' || has(self.gatewayRef)",
            message="mode HTTPRoute needs routing.gatewayRef",
            holds=lambda self: self.mode != ServiceRoutingMode.HTTP_ROUTE or self.gateway_ref is not None,
        ),
    )

    def effective_mode(self) -> ServiceRoutingMode:
        """The mode where `mode` is given, else what `gatewayRef` implies."""
        if self.mode is not None:
            return self.mode
        return ServiceRoutingMode.HTTP_ROUTE if self.gateway_ref else ServiceRoutingMode.SERVICE


class DrainSpec(ApiModel):
    """How a replica is taken away."""

    pre_stop: Duration = Field("15s", description="Wait before SIGTERM, so that endpoints leave first.")
    timeout: Duration = Field("120s", description="How long running requests may take to finish after SIGTERM.")

    @property
    def pre_stop_seconds(self) -> float:
        return duration_seconds(self.pre_stop)

    @property
    def timeout_seconds(self) -> float:
        return duration_seconds(self.timeout)


class LLMServiceSpec(ApiModel):
    """What is to be served, how well, and within which bounds."""

    model: ModelSpec
    runtime: RuntimeRef = Field(default_factory=RuntimeRef)
    slo: SloSpec = Field(default_factory=SloSpec)
    variants: list[VariantSpec] = Field(
        default_factory=list,
        max_length=MAX_VARIANTS,
        description="Explicit variants; empty: every GPUPool that the model fits.",
    )
    workload: WorkloadSpec = Field(default_factory=WorkloadSpec)
    scaling: ScalingSpec = Field(default_factory=ScalingSpec)
    priority: ServicePriority = Field(
        ServicePriority.NORMAL,
        description="Where the pools cannot serve every service, load of High is left out last and load of Low first.",
    )
    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    routing: RoutingSpec = Field(default_factory=RoutingSpec)
    drain: DrainSpec = Field(default_factory=DrainSpec)

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.variants) || self.variants.all(a, !has(a.name) || "
            "self.variants.exists_one(b, has(b.name) && b.name == a.name))",
            message="variants: each name may be used once",
            holds=lambda self: _unique([v.name for v in self.variants if v.name is not None]),
        ),
        CelRule(
            cel="!has(self.variants) || self.variants.all(a, has(a.name) || "
            "self.variants.exists_one(b, !has(b.name) && b.poolRef == a.poolRef && "
            "has(b.tensorParallel) == has(a.tensorParallel) && "
            "(!has(a.tensorParallel) || b.tensorParallel == a.tensorParallel) && "
            "has(b.precision) == has(a.precision) && (!has(a.precision) || b.precision == a.precision) && "
            "has(b.tokenBudget) == has(a.tokenBudget) && (!has(a.tokenBudget) || b.tokenBudget == a.tokenBudget)))",
            message="variants: two of the same poolRef, tensorParallel, precision and tokenBudget need a name each",
            holds=lambda self: _unique(
                [(v.pool_ref, v.tensor_parallel, v.precision, v.token_budget) for v in self.variants if v.name is None]
            ),
        ),
        CelRule(
            cel="self.budget.onDemandMinReplicas <= self.scaling.maxReplicas",
            message="budget.onDemandMinReplicas must not exceed scaling.maxReplicas",
            holds=lambda self: self.budget.on_demand_min_replicas <= self.scaling.max_replicas,
        ),
    )


def _unique(values: list[object]) -> bool:
    return len(set(values)) == len(values)
