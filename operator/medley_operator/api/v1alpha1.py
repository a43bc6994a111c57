"""The API `medley.dev/v1alpha1` as pydantic models: the one place where fields, defaults, bounds and rules are written.

`crdgen` turns these models into the CRDs that the API server enforces; the operator reads objects back through them.
Schemas are closed: no pod template, no free URL, no PromQL and no reference into another namespace, since an
`LLMService` is written by tenants and acted on with the operator's rights. Optional fields have no null: absent is
absent. Money and durations are strings with patterns.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

GROUP = "medley.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

MAX_SERVICE_NAME_LENGTH = 36
MAX_POOL_NAME_LENGTH = 20
MAX_VARIANTS = 16


def cel(rule: str, message: str) -> dict[str, JsonValue]:
    """One `x-kubernetes-validations` entry."""
    return {"rule": rule, "message": message}


class ApiModel(BaseModel):
    """Base of all API values: frozen, camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class ObservedModel(BaseModel):
    """Base of status values: as `ApiModel`, but fields of other versions are passed over when read back."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


Duration = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h)$", max_length=14)]
Money = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$", max_length=14)]
Rate = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$", max_length=14)]
Dns1123Label = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
LabelKey = Annotated[str, Field(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$", max_length=63)]
EngineArgument = Annotated[str, Field(pattern=r"^--[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)*(=.{0,512})?$", max_length=600)]


# --- GPUPool -----------------------------------------------------------------------------------------------------


class TolerationOperator(StrEnum):
    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ApiModel):
    """A toleration that the engine pods of this pool carry."""

    key: LabelKey
    operator: TolerationOperator = TolerationOperator.EXISTS
    value: LabelValue = ""
    effect: TaintEffect = TaintEffect.NO_SCHEDULE


class CapacityType(StrEnum):
    FIXED = "Fixed"
    ELASTIC = "Elastic"


class PoolCapacity(ApiModel):
    """How many GPUs the pool holds: nodes x GPUs per node."""

    type: CapacityType = Field(
        CapacityType.FIXED,
        description="Fixed: the nodes there are. Elastic: nodes are made on demand, up to `nodes` where it is given.",
    )
    nodes: int | None = Field(
        None,
        ge=0,
        le=10000,
        description="Number of nodes. Fixed without it: the Ready nodes that match nodeSelector are counted. "
        "Elastic without it: no limit.",
    )
    gpus_per_node: int = Field(ge=1, le=64, description="GPUs on each node; bounds the tensor-parallel degree.")


class PoolCost(ApiModel):
    per_hour: Money = Field(description='Price of one GPU for one hour in US dollars, as a decimal string ("0.805").')


class GPUPoolSpec(ApiModel):
    gpu: str = Field(
        min_length=1,
        max_length=63,
        description="GPU type as in Medley's catalogue, such as L4, A10G, L40S, A100-40, A100-80, H100, H200, B200, "
        "MI300X (or the product name that GPU feature discovery writes).",
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        min_length=1, max_length=16, description="Labels of the pool's nodes; engine pods select them."
    )
    tolerations: list[Toleration] = Field(
        default_factory=list, max_length=16, description="Tolerations that engine pods need on these nodes."
    )
    resource_name: str = Field(
        "nvidia.com/gpu",
        pattern=r"^[a-z0-9.-]{1,253}/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        description="Extended resource that a pod asks for, such as nvidia.com/gpu or amd.com/gpu.",
    )
    capacity: PoolCapacity
    cost: PoolCost


class Condition(ObservedModel):
    """A condition in the form of KEP-1623."""

    type: str
    status: str = Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = Field(json_schema_extra={"format": "date-time"})


class GPUPoolStatus(ObservedModel):
    observed_generation: int = 0
    ready_nodes: int = Field(0, description="Ready, schedulable nodes that match nodeSelector.")
    stock_gpus: int | None = Field(None, description="GPUs that the planner may use; absent: no limit.")
    planned_gpus: int = Field(0, description="GPUs that the current plan uses.")
    conditions: list[Condition] = Field(default_factory=list)


# --- RuntimeProfile ----------------------------------------------------------------------------------------------


class ProfileResources(ApiModel):
    """CPU and memory requests of one engine pod, per GPU of the replica."""

    cpu: str = Field("4", pattern=r"^[0-9]+(\.[0-9]{1,3})?m?$", max_length=12)
    memory: str = Field("16Gi", pattern=r"^[0-9]+(Mi|Gi)$", max_length=12)


class RuntimeProfileSpec(ApiModel):
    image: str = Field(
        min_length=1,
        max_length=512,
        pattern=r"^[a-z0-9][a-zA-Z0-9._/:@-]*$",
        description="Engine image, pinned by tag or digest.",
    )
    version: str = Field(
        pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$",
        max_length=16,
        description='Version of vLLM in the image ("0.32.0"); engine flags are chosen by it.',
    )
    args: list[EngineArgument] = Field(
        default_factory=list, max_length=64, description="Engine arguments of every pod, as --flag=value."
    )
    allowed_args: list[Annotated[str, Field(pattern=r"^--[a-z0-9][a-z0-9-]*$", max_length=80)]] = Field(
        default_factory=list, max_length=64, description="Flags that an LLMService may set in spec.runtime.args."
    )
    token_budget: int = Field(
        2048, ge=256, le=131072, description="Tokens in one engine step (--max-num-batched-tokens)."
    )
    max_sequences: int = Field(256, ge=1, le=4096, description="Requests in one engine step (--max-num-seqs).")
    gpu_memory_utilization_percent: int = Field(90, ge=10, le=99)
    startup_timeout: Duration = Field("30m", description="How long an engine may take from start to healthy.")
    shared_memory: str = Field("8Gi", pattern=r"^[0-9]+(Mi|Gi)$", max_length=12, description="Size of /dev/shm.")
    resources: ProfileResources = Field(default_factory=ProfileResources)


class RuntimeProfileStatus(ObservedModel):
    observed_generation: int = 0
    conditions: list[Condition] = Field(default_factory=list)


# --- LLMService --------------------------------------------------------------------------------------------------


class SecretKeyRef(ApiModel):
    """A key of a Secret in the LLMService's own namespace."""

    name: Dns1123Label
    key: str = Field("HF_TOKEN", pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)


class Precision(StrEnum):
    BF16 = "BF16"
    FP8 = "FP8"


class ModelSpec(ApiModel):
    uri: str = Field(
        pattern=r"^hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=256,
        description="Where the weights are: hf://organisation/model.",
    )
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        max_length=128,
        description="Name that clients ask for; the object's name where absent.",
    )
    precision: Precision = Precision.BF16
    max_model_len: int = Field(16384, ge=128, le=1048576, description="Longest prompt plus generation, in tokens.")
    token_secret_ref: SecretKeyRef | None = Field(None, description="Hugging Face token for gated models.")
    config_json: str | None = Field(
        None,
        max_length=32768,
        description="Content of the model's config.json, needed where Medley does not know the model's shape.",
    )


class RuntimeRef(ApiModel):
    profile_ref: Dns1123Label = Field("vllm", description="Name of the RuntimeProfile.")
    args: list[EngineArgument] = Field(
        default_factory=list, max_length=64, description="Further engine arguments, of the profile's allowedArgs."
    )


class SloSpec(ApiModel):
    ttft: Duration = Field("1s", description="Time to first token.")
    tpot: Duration = Field("50ms", description="Time per output token after the first.")
    percentile: int = Field(95, ge=50, le=99, description="Share of requests that must meet both targets, in percent.")


class VariantSpec(ApiModel):
    """One explicit way to run the model; without any, every pool that fits is used."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=24)] | None = Field(
        None, description="Name of the variant; the pool's name (with -tpN) where absent."
    )
    pool_ref: Annotated[
        str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=MAX_POOL_NAME_LENGTH)
    ]
    tensor_parallel: int | None = Field(
        None, ge=1, le=64, description="GPUs of one replica; the fewest that fit if absent."
    )
    min_replicas: int = Field(0, ge=0, le=1000)
    max_replicas: int | None = Field(None, ge=0, le=1000)

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
                    "minReplicas must not exceed maxReplicas",
                )
            ]
        }
    )


class StaticWorkload(ApiModel):
    """The load to plan for while there is no data: a rate and the mean sizes of a request."""

    requests_per_second: Rate
    prompt_tokens: int = Field(ge=1, le=1048576, description="Mean prompt length, in tokens.")
    generation_tokens: int = Field(ge=1, le=1048576, description="Mean generation length, in tokens.")


class WorkloadSource(StrEnum):
    PROMETHEUS = "Prometheus"
    STATIC = "Static"


class WorkloadSpec(ApiModel):
    source: WorkloadSource = Field(
        WorkloadSource.PROMETHEUS,
        description="Prometheus: live metrics, `static` until there are any. Static: always `static`.",
    )
    window: Duration = Field("5m", description="Time over which rates and sizes are taken; at least 10s.")
    static: StaticWorkload | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel("self.source != 'Static' || has(self.static)", "source Static needs workload.static"),
            ]
        }
    )


class ScalingSpec(ApiModel):
    min_replicas: int = Field(1, ge=0, le=1000, description="Replicas in all that are always kept.")
    max_replicas: int = Field(64, ge=1, le=1000, description="Replicas in all that are never exceeded.")
    headroom_percent: int = Field(10, ge=0, le=200, description="Capacity kept free above the observed load.")

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel("self.minReplicas <= self.maxReplicas", "minReplicas must not exceed maxReplicas")
            ]
        }
    )


class ServiceRoutingMode(StrEnum):
    SERVICE = "Service"
    HTTP_ROUTE = "HTTPRoute"


class GatewayRef(ApiModel):
    """A Gateway in the LLMService's own namespace."""

    name: Dns1123Label


class RoutingSpec(ApiModel):
    mode: ServiceRoutingMode | None = Field(
        None, description="Service: equal by pod. HTTPRoute: weighted by variant. Default: HTTPRoute with gatewayRef."
    )
    gateway_ref: GatewayRef | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!has(self.mode) || self.mode != 'HTTPRoute' || has(self.gatewayRef)",
                    "mode HTTPRoute needs routing.gatewayRef",
                )
            ]
        }
    )

    def effective_mode(self) -> ServiceRoutingMode:
        if self.mode is not None:
            return self.mode
        return ServiceRoutingMode.HTTP_ROUTE if self.gateway_ref else ServiceRoutingMode.SERVICE


class DrainSpec(ApiModel):
    pre_stop: Duration = Field("15s", description="Wait before SIGTERM, so that endpoints leave first.")
    timeout: Duration = Field("120s", description="How long running requests may take to finish after SIGTERM.")


class LLMServiceSpec(ApiModel):
    model: ModelSpec
    runtime: RuntimeRef = Field(default_factory=RuntimeRef)
    slo: SloSpec = Field(default_factory=lambda: SloSpec())
    variants: list[VariantSpec] = Field(
        default_factory=list,
        max_length=MAX_VARIANTS,
        description="Explicit variants; empty: every GPUPool that the model fits.",
    )
    workload: WorkloadSpec = Field(default_factory=lambda: WorkloadSpec())
    scaling: ScalingSpec = Field(default_factory=lambda: ScalingSpec())
    routing: RoutingSpec = Field(default_factory=lambda: RoutingSpec())
    drain: DrainSpec = Field(default_factory=lambda: DrainSpec())


class LoadStatus(ObservedModel):
    """The load that the current plan was made for."""

    source: str = Field(description="Prometheus, Static, or MinReplicas where nothing is known.")
    requests_per_second: str = "0"
    prompt_tokens: int = Field(0, description="Mean prompt length, in tokens.")
    generation_tokens: int = Field(0, description="Mean generation length, in tokens.")
    size_source: str = Field("", description="Independent: product of the engine's histograms. Static: from the spec.")


class VariantStatus(ObservedModel):
    name: str
    pool: str
    gpu: str
    tensor_parallel: int = 1
    desired: int = Field(0, description="Replicas of the plan.")
    ready: int = Field(0, description="Ready replicas.")
    weight: int = Field(0, description="Weight of the variant behind the route, 0 to 1000.")
    cost_per_hour: str = Field("0", description="Planned cost of the variant's replicas.")
    capacity_rps: str = Field("0", description="Rate of this load that one replica is planned to serve.")
    provenance: str = Field("estimated", description="Where the capacity figure comes from.")


class BestSingleStatus(ObservedModel):
    variant: str
    replicas: int
    cost_per_hour: str


class UnusedStatus(ObservedModel):
    variant: str
    reason: str
    message: str


class UnservedStatus(ObservedModel):
    prompt_tokens: int
    generation_tokens: int
    requests_per_second: str
    reason: str


class PlanStateStatus(ObservedModel):
    id: str
    state: str = Field(description="Optimal, Feasible, Partial, Infeasible or Held.")
    cost_per_hour: str
    lower_bound_per_hour: str
    gap: str = Field(description="Proven distance to the optimum of the planned group, as a fraction.")
    best_single: BestSingleStatus | None = None
    savings_percent: str | None = Field(None, description="Against the best single GPU type.")
    unused: list[UnusedStatus] = Field(default_factory=list)
    unserved: list[UnservedStatus] = Field(default_factory=list)


class LLMServiceStatus(ObservedModel):
    observed_generation: int = 0
    mix: str = Field("", description='Ready/desired replicas by variant, such as "l4:5/5 h100:1/2".')
    desired_replicas: int = 0
    ready_replicas: int = 0
    cost_per_hour: str = ""
    url: str | None = None
    load: LoadStatus | None = None
    variants: list[VariantStatus] = Field(default_factory=list)
    plan: PlanStateStatus | None = None
    conditions: list[Condition] = Field(default_factory=list)


# --- Kinds -------------------------------------------------------------------------------------------------------


class ObjectMeta(ObservedModel):
    """What is read of an object's metadata."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    deletion_timestamp: str | None = None


class LLMService(ObservedModel):
    metadata: ObjectMeta
    spec: LLMServiceSpec
    status: LLMServiceStatus = Field(default_factory=lambda: LLMServiceStatus())


class GPUPool(ObservedModel):
    metadata: ObjectMeta
    spec: GPUPoolSpec
    status: GPUPoolStatus = Field(default_factory=lambda: GPUPoolStatus())


class RuntimeProfile(ObservedModel):
    metadata: ObjectMeta
    spec: RuntimeProfileSpec
    status: RuntimeProfileStatus = Field(default_factory=lambda: RuntimeProfileStatus())


class Column(ApiModel):
    """One printer column."""

    name: str
    type: str
    json_path: str
    description: str = ""
    priority: int = 0


class Kind(ApiModel):
    """A custom resource: names, scope, columns and root rules beside its spec and status models."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    kind: str
    plural: str
    short_names: tuple[str, ...]
    namespaced: bool
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    rules: tuple[dict[str, Any], ...] = ()


def _condition_column(condition: str, *, name: str = "", field: str = "status", priority: int = 0) -> Column:
    path = f'.status.conditions[?(@.type=="{condition}")].{field}'
    return Column(name=name or condition, type="string", json_path=path, priority=priority)


_AGE = Column(name="Age", type="date", json_path=".metadata.creationTimestamp")

KINDS: tuple[Kind, ...] = (
    Kind(
        kind="LLMService",
        plural="llmservices",
        short_names=("llms",),
        namespaced=True,
        spec=LLMServiceSpec,
        status=LLMServiceStatus,
        columns=(
            _condition_column("Ready"),
            Column(name="Mix", type="string", json_path=".status.mix", description="Ready/desired replicas by variant"),
            Column(name="Cost/h", type="string", json_path=".status.costPerHour", description="US dollars per hour"),
            Column(name="Req/s", type="string", json_path=".status.load.requestsPerSecond"),
            _condition_column("PlanReady", name="Plan", field="reason"),
            Column(name="Savings%", type="string", json_path=".status.plan.savingsPercent", priority=1),
            _condition_column("Ready", name="Message", field="message", priority=1),
            _AGE,
        ),
        rules=(
            cel(
                f"self.metadata.name.size() <= {MAX_SERVICE_NAME_LENGTH}",
                f"metadata.name must have at most {MAX_SERVICE_NAME_LENGTH} characters, since Deployments are named after it",
            ),
        ),
    ),
    Kind(
        kind="GPUPool",
        plural="gpupools",
        short_names=("gpool",),
        namespaced=False,
        spec=GPUPoolSpec,
        status=GPUPoolStatus,
        columns=(
            Column(name="GPU", type="string", json_path=".spec.gpu"),
            Column(name="Capacity", type="string", json_path=".spec.capacity.type"),
            Column(
                name="Price/h", type="string", json_path=".spec.cost.perHour", description="US dollars per GPU-hour"
            ),
            Column(name="Nodes", type="integer", json_path=".status.readyNodes"),
            Column(name="Stock", type="integer", json_path=".status.stockGpus", description="GPUs that may be used"),
            Column(
                name="Planned", type="integer", json_path=".status.plannedGpus", description="GPUs that the plan uses"
            ),
            _condition_column("Ready"),
            _AGE,
        ),
        rules=(
            cel(
                f"self.metadata.name.size() <= {MAX_POOL_NAME_LENGTH}",
                f"metadata.name must have at most {MAX_POOL_NAME_LENGTH} characters, since Deployments are named after it",
            ),
        ),
    ),
    Kind(
        kind="RuntimeProfile",
        plural="runtimeprofiles",
        short_names=("rtp",),
        namespaced=False,
        spec=RuntimeProfileSpec,
        status=RuntimeProfileStatus,
        columns=(
            Column(name="Image", type="string", json_path=".spec.image"),
            Column(name="Version", type="string", json_path=".spec.version"),
            _condition_column("Ready"),
            _AGE,
        ),
    ),
)
