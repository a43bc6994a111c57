"""Statuses that the operator writes: conditions, and the status of each kind.

Only the operator writes them, so no field has a server-side default, and no rule is needed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medley_operator.api.v1alpha1.base import ObservedModel
from medley_operator.api.v1alpha1.fields import figure_of
from medley_operator.api.v1alpha1.margin_status import MarginStatus
from medley_operator.api.v1alpha1.memory_status import MemoryStatus
from medley_operator.api.v1alpha1.plan_status import PlanStateStatus
from medley_operator.api.v1alpha1.start_failure_status import StartFailureStatus
from medley_operator.api.v1alpha1.status_target import HistoryStatus, TargetStatus


class Condition(ObservedModel):
    """A condition in the form of KEP-1623."""

    type: str
    status: str = Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = Field(json_schema_extra={"format": "date-time"})


Conditions = Annotated[
    list[Condition],
    Field(
        default_factory=list,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


class PriceStatus(ObservedModel):
    """The price that plans are made with."""

    per_hour: str = Field(description="US dollars of one GPU for one hour.")
    source: str = Field(
        description="Spec: spec.cost. Karpenter; OpenCost with the name of its metric. The last one stays where the "
        "source vanishes."
    )
    observed_at: str | None = Field(
        None, description="When the source said so, to a quarter of an hour. Absent with source Spec."
    )

    @property
    def per_hour_usd(self) -> float:
        return float(self.per_hour)


class StockLimitStatus(ObservedModel):
    """A limit of another system on the pool's stock."""

    kind: str = Field(description="ClusterQueue (Kueue) or NodePool (Karpenter).")
    name: str
    gpus: int = Field(description="GPUs that replicas may hold together under it, those included that they hold now.")


class GPUPoolStatus(ObservedModel):
    """Price, stock and planned GPUs of a pool."""

    observed_generation: int = 0
    price: PriceStatus | None = None
    ready_nodes: int = Field(0, description="Ready, schedulable nodes that match nodeSelector.")
    stock_gpus: int | None = Field(
        None,
        description="GPUs that the planner may use: those that are free, and those that replicas hold, wherever they "
        "run. Absent: no limit.",
    )
    free_gpus: int | None = Field(
        None,
        description="GPUs of the stock that no pod holds, on nodes where new replicas may start. Absent: no limit.",
    )
    foreign_gpus: int | None = Field(
        None,
        description="GPUs of the pool's nodes that pods of others hold. Absent: the operator cannot read pods.",
    )
    stock_limits: list[StockLimitStatus] = Field(
        default_factory=list, description="Limits of Kueue and Karpenter that bound stockGpus."
    )
    planned_gpus: int = Field(0, description="GPUs that the current plan uses.")
    planned_nodes: int | None = Field(
        None, description="Whole nodes that the current plan pays for. Absent: the pool is not paid by the node."
    )
    conditions: Conditions


class GPUTypeStatus(ObservedModel):
    """Whether GPUPools and ModelProfiles may name a GPU type."""

    observed_generation: int = 0
    conditions: Conditions


class RuntimeProfileStatus(ObservedModel):
    """Whether Medley can use a profile."""

    observed_generation: int = 0
    conditions: Conditions


class ModelProfileStatus(ObservedModel):
    """Whether Medley uses a measured profile, and the factors that it fitted."""

    observed_generation: int = 0
    fixed: str = Field("", description="Factor on the fixed time of a step.")
    compute: str = Field("", description="Factor on the time per token.")
    sequence: str = Field("", description="Factor on the time per decoding sequence.")
    kv: str = Field("", description="Factor on the time per cached token.")
    error_percent: str = Field("", description="Mean error of TPOT in percent, from the fit or from the spec.")
    derate: str = Field("", description="Share of a capacity with these factors that plans count on.")
    points_used: int = 0
    points_refused: int = 0
    conditions: Conditions


class MedleyPolicyStatus(ObservedModel):
    """Whether Medley applies a policy, and to how many."""

    observed_generation: int = 0
    namespaces: int = Field(0, description="Namespaces with LLMServices that the policy is for.")
    services: int = Field(0, description="LLMServices in them.")
    conditions: Conditions


class ScheduleStatus(ObservedModel):
    """The event of `spec.workload.schedule` that is in force, and the one that comes next."""

    event: str | None = Field(None, description="Name of the event in force, or its place. Absent: none is.")
    factor: str | None = Field(None, description="Load in it, as a multiple of the load without it.")
    until: str | None = Field(None, json_schema_extra={"format": "date-time"}, description="When it ends.")
    next_event: str | None = Field(None, description="Name of the next event, or its place. Absent: there is none.")
    next_factor: str | None = Field(None, description="Load in the next one.")
    next_at: str | None = Field(
        None,
        json_schema_extra={"format": "date-time"},
        description="When the next one begins. Plans count with it a start-up time before.",
    )


class LoadStatus(ObservedModel):
    """The load that the current plan was made for."""

    source: str = Field(description="Prometheus, Static, or MinReplicas if the load is unknown.")
    requests_per_second: str = Field(
        "0", description="Planned rate: the forecast, or the measured rate without a forecast."
    )
    measured_requests_per_second: str | None = Field(
        None, description="Rate measured when the plan was made. Absent: there were no metrics."
    )
    forecast_margin_percent: int | None = Field(
        None,
        description="Safety margin added to the forecast rate, in percent. Absent: the measured rate is planned.",
    )
    season: str | None = Field(
        None,
        description="Daily or Weekly: the forecast follows how the rate grew at this time of earlier days or weeks. "
        "Absent: history is too short or has gaps, or that erred no less.",
    )
    prompt_tokens: int = Field(0, description="Mean prompt length, in tokens.")
    generation_tokens: int = Field(0, description="Mean generation length, in tokens.")
    size_source: str = Field(
        "",
        description="Source of the joint prompt and generation sizes. Gateway: counted together. PerVariant: "
        "histograms of variants that serve prompt ranges. Tilted: the engine's histograms and KV usage. Independent: "
        "the histograms alone. Static: from the spec.",
    )
    size_headroom_percent: int | None = Field(
        None, description="Extra headroom for uncertain sizes, in percent, on top of spec.scaling.headroomPercent."
    )
    prefix_hit_percent: int | None = Field(
        None,
        description="Share of prompt tokens that prefix caches surely save, in percent; plans leave their computation "
        "out.",
    )

    schedule: ScheduleStatus | None = Field(
        None, description="What spec.workload.schedule says now. Absent: nothing, or nothing any more."
    )

    @property
    def rate_rps(self) -> float:
        return figure_of(self.requests_per_second)


class VariantStatus(ObservedModel):
    """One variant of the plan, and its running replicas."""

    name: str
    pool: str
    gpu: str
    gpus: int | None = Field(
        None, description="GPUs of one replica. Absent in statuses that older versions wrote: equal to tensorParallel."
    )
    tensor_parallel: int = Field(1, description="Tensor parallel degree of one replica.")
    desired: int = Field(
        0, description="Replicas in force: of the plan that Medley acts on. Mode Advisory: those that were found."
    )
    ready: int = Field(0, description="Ready replicas of the variant.")
    weight: int = Field(0, description="Weight of the variant behind the route, 0 to 1000.")
    prompt_range: str | None = Field(
        None,
        description="Prompt lengths in tokens that the plan sends to the variant, such as 0-2048. Mode InferencePool.",
    )
    cost_per_hour: str = Field("0", description="Planned cost of the variant's replicas.")
    capacity_rps: str = Field("0", description="Rate of this load that one replica serves in the plan.")
    provenance: str = Field(
        "estimated", description="Provenance of the capacity: measured, calibrated, estimated or given."
    )
    startup_seconds: int | None = Field(
        None, description="Start-up time of a replica, from its creation to Ready: measured, or the default."
    )
    capacity_basis: str = Field(
        "ClosedForm",
        description="Simulated: from the engine simulator. ClosedForm: from a formula, until the simulation is done.",
    )

    @property
    def cost_per_hour_usd(self) -> float:
        return figure_of(self.cost_per_hour)

    @property
    def replica_rps(self) -> float:
        """The capacity of one replica."""
        return figure_of(self.capacity_rps)

    @property
    def gpus_per_replica(self) -> int:
        """0 where the status is not plausible; statuses without `gpus` were written before it was a separate figure."""
        return max(self.tensor_parallel if self.gpus is None else self.gpus, 0)


class LLMServiceStatus(ObservedModel):
    """The plan of a service, and the state of its rollout."""

    observed_generation: int = 0
    problem: str | None = Field(
        None, description="Reasons of the conditions that say what is wrong; absent where nothing is."
    )
    mix: str = Field("", description='Ready/desired replicas by variant, such as "l4:5/5 h100:1/2".')
    desired_replicas: int = 0
    ready_replicas: int = 0
    cost_per_hour: str = Field("", description="Cost of the replicas that run now, in US dollars per hour.")
    url: str | None = None
    load: LoadStatus | None = None
    variants: list[VariantStatus] = Field(
        default_factory=list,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    plan: PlanStateStatus | None = None
    margin: MarginStatus | None = Field(
        None,
        description="Spare capacity that is learned from what requests attained. Absent: nothing was seen yet, or "
        "spec.scaling.margins is Fixed.",
    )
    start_failures: list[StartFailureStatus] = Field(
        default_factory=list,
        description="Variants whose replicas cannot start: plans go elsewhere until the time given.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["variant"]},
    )
    target: TargetStatus | None = Field(None, description="What is in force. Absent: Medley changes no replicas.")
    history: list[HistoryStatus] = Field(
        default_factory=list, description="The last ten changes of what is in force, the newest last."
    )
    memory: MemoryStatus | None = Field(
        None, description="The operator's notes on the load, so that a restart forgets nothing. Not for other programs."
    )
    conditions: Conditions

    @property
    def cost_per_hour_usd(self) -> float:
        """0 where no cost is known."""
        return figure_of(self.cost_per_hour)

    @property
    def in_force_cost_per_hour_usd(self) -> float:
        """Cost of the replicas in force."""
        return sum(variant.cost_per_hour_usd for variant in self.variants)
