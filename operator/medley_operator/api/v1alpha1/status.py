"""Statuses that the operator writes: conditions, and the status of each kind.

Only the operator writes them, so no field has a server-side default, and no rule is needed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medley_operator.api.v1alpha1.base import ObservedModel
from medley_operator.api.v1alpha1.fields import figure_of


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


class GPUPoolStatus(ObservedModel):
    """Stock and planned GPUs of a pool."""

    observed_generation: int = 0
    ready_nodes: int = Field(0, description="Ready, schedulable nodes that match nodeSelector.")
    stock_gpus: int | None = Field(None, description="GPUs that the planner may use. Absent: no limit.")
    planned_gpus: int = Field(0, description="GPUs that the current plan uses.")
    planned_nodes: int | None = Field(
        None, description="Whole nodes that the current plan pays for. Absent: the pool is not paid by the node."
    )
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
    desired: int = Field(0, description="Planned replicas.")
    ready: int = Field(0, description="Ready replicas of the variant.")
    weight: int = Field(0, description="Weight of the variant behind the route, 0 to 1000.")
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


class BestSingleStatus(ObservedModel):
    """The cheapest fleet of one GPU type that serves the load."""

    variant: str
    replicas: int
    cost_per_hour: str

    @property
    def cost_per_hour_usd(self) -> float:
        return figure_of(self.cost_per_hour)


class UnusedStatus(ObservedModel):
    """A variant that the plan does not use, and why."""

    variant: str
    reason: str = Field(
        description="Dearer: the same requests cost more on it. TooLarge: whole replicas cost more at this load, but "
        "the same requests do not. docs/reference.md lists all reasons."
    )
    message: str


class UnservedStatus(ObservedModel):
    """A part of the load that the plan does not serve."""

    prompt_tokens: int
    generation_tokens: int
    requests_per_second: str
    reason: str
    limits: list[str] = Field(default_factory=list, description="Pools whose shared limit binds.")

    @property
    def rate_rps(self) -> float:
        return figure_of(self.requests_per_second)


class RoutingSavingsStatus(ObservedModel):
    """Saving of the next better routing mode."""

    mode: str
    saves_per_hour: str


class LimitStatus(ObservedModel):
    """A shared limit that left no room for one more replica of this service when the plan was made."""

    kind: str = Field(
        description="Stock: GPUs of a pool. Slots: places on the nodes of a pool. Power: watts of a power domain. "
        "QuotaGpus, QuotaCost: GPUs and whole US dollars per hour that a MedleyPolicy allows the namespace."
    )
    name: str = Field(
        description="The pool; a power domain is named like the pool whose budget it is. Of a quota: namespace NAME."
    )
    size: int | None = Field(None, description="GPUs of one place, where kind is Slots.")
    used: int = Field(description="Used by the plans of all services, in GPUs, places or watts.")
    limit: int = Field(description="Available to the plans of this round.")
    saves_per_hour: str | None = Field(
        None,
        description="US dollars per hour that one more GPU, place or watt would save: the shadow price. Absent: not "
        "known.",
    )


class CapacityCorrectionStatus(ObservedModel):
    """A variant whose capacity for this load turned out too high in the simulation of the plan."""

    variant: str
    factor: str = Field(description="Factor on the capacity.")

    @property
    def factor_figure(self) -> float:
        return figure_of(self.factor)


class PlanStateStatus(ObservedModel):
    """The current plan, with its proven bound and its comparisons."""

    id: str
    state: str = Field(description="Optimal, Feasible, Partial, Infeasible or Held.")
    cost_per_hour: str
    lower_bound_per_hour: str = Field(
        description="Proven lower bound on cost, including the charge for starting replicas."
    )
    gap: str = Field(
        description="Proven gap between cost and lower bound of the group that was planned together, as a share."
    )
    best_single: BestSingleStatus | None = None
    savings_percent: str | None = Field(None, description="Saving against the best single GPU type, in percent.")
    routing_savings: RoutingSavingsStatus | None = None
    cost_per_million_tokens: str | None = Field(
        None,
        description="US dollars per million prompt and generated tokens of the planned load. Absent: no load is "
        "planned.",
    )
    predicted_attainment_percent: str | None = Field(
        None,
        description="Percent of the planned requests that meet both targets when the plan is simulated at its load. "
        "Absent: not simulated yet.",
    )
    capacity_corrections: list[CapacityCorrectionStatus] = Field(
        default_factory=list, description="Capacities that the simulation lowered before this plan was made."
    )
    limits: list[LimitStatus] = Field(
        default_factory=list,
        description="Shared limits that bound when the plan was made, the highest shadow price first.",
    )
    unused: list[UnusedStatus] = Field(default_factory=list)
    unserved: list[UnservedStatus] = Field(default_factory=list)

    @property
    def predicted_percent(self) -> float | None:
        return None if self.predicted_attainment_percent is None else figure_of(self.predicted_attainment_percent)


class LLMServiceStatus(ObservedModel):
    """The plan of a service, and the state of its rollout."""

    observed_generation: int = 0
    mix: str = Field("", description='Ready/desired replicas by variant, such as "l4:5/5 h100:1/2".')
    desired_replicas: int = 0
    ready_replicas: int = 0
    cost_per_hour: str = ""
    url: str | None = None
    load: LoadStatus | None = None
    variants: list[VariantStatus] = Field(
        default_factory=list,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    plan: PlanStateStatus | None = None
    conditions: Conditions

    @property
    def cost_per_hour_usd(self) -> float:
        """0 where no cost is known."""
        return figure_of(self.cost_per_hour)
