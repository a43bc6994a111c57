"""What the operator writes about an object: conditions, and the status of each kind.

Written by the operator alone, so no field has a server-side default, and no rule is needed.
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
    """What Medley sees and uses of a pool."""

    observed_generation: int = 0
    ready_nodes: int = Field(0, description="Ready, schedulable nodes that match nodeSelector.")
    stock_gpus: int | None = Field(None, description="GPUs that the planner may use; absent: no limit.")
    planned_gpus: int = Field(0, description="GPUs that the current plan uses.")
    planned_nodes: int | None = Field(
        None, description="Whole nodes that the current plan pays for, where the pool is paid by the node."
    )
    conditions: Conditions


class RuntimeProfileStatus(ObservedModel):
    """Whether Medley can use a profile."""

    observed_generation: int = 0
    conditions: Conditions


class ModelProfileStatus(ObservedModel):
    """Whether Medley can use a measured profile, and what it makes of it."""

    observed_generation: int = 0
    fixed: str = Field("", description="Factor on what a step takes whatever is in it.")
    compute: str = Field("", description="Factor on what each token takes.")
    sequence: str = Field("", description="Factor on what each decoding sequence takes.")
    kv: str = Field("", description="Factor on what each cached token takes.")
    error_percent: str = Field("", description="Mean error of TPOT, of the fit or as the spec says.")
    derate: str = Field("", description="Share of the capacity with these factors that plans count on.")
    points_used: int = 0
    points_refused: int = 0
    conditions: Conditions


class LoadStatus(ObservedModel):
    """The load that the current plan was made for."""

    source: str = Field(description="Prometheus, Static, or MinReplicas where nothing is known.")
    requests_per_second: str = Field("0", description="What is planned for: the forecast where there is one.")
    measured_requests_per_second: str | None = Field(
        None, description="What was measured when the plan was made. Absent: nothing was."
    )
    forecast_margin_percent: int | None = Field(
        None,
        description="What was put on top of the rate expected when new replicas serve, so that it is hardly exceeded. "
        "Absent: what was measured is planned.",
    )
    prompt_tokens: int = Field(0, description="Mean prompt length, in tokens.")
    generation_tokens: int = Field(0, description="Mean generation length, in tokens.")
    size_source: str = Field(
        "",
        description="Where it is known from how prompt and generation sizes go together. Gateway: counted together. "
        "PerVariant: histograms of variants that serve prompt ranges. Tilted: the engine's histograms and KV usage. "
        "Independent: the histograms alone. Static: from the spec.",
    )
    size_headroom_percent: int | None = Field(
        None, description="Spare capacity kept for sizes that are not certain, on top of spec.scaling.headroomPercent."
    )
    prefix_hit_percent: int | None = Field(
        None, description="Share of prompt tokens that prefix caches surely save, and so are not planned for."
    )

    @property
    def rate_rps(self) -> float:
        return figure_of(self.requests_per_second)


class VariantStatus(ObservedModel):
    """One variant of the plan, and what runs of it."""

    name: str
    pool: str
    gpu: str
    gpus: int | None = Field(
        None, description="GPUs of one replica. Absent in statuses of older versions: as tensorParallel."
    )
    tensor_parallel: int = Field(1, description="Tensor parallel degree of one replica.")
    desired: int = Field(0, description="Planned replicas.")
    ready: int = Field(0, description="Ready replicas of the variant.")
    weight: int = Field(0, description="Weight of the variant behind the route, 0 to 1000.")
    cost_per_hour: str = Field("0", description="Planned cost of the variant's replicas.")
    capacity_rps: str = Field("0", description="Rate of this load that one replica is planned to serve.")
    provenance: str = Field("estimated", description="Where the capacity figure comes from.")
    startup_seconds: int | None = Field(
        None, description="What a replica is taken to need from being asked for to being Ready, measured or by default."
    )
    capacity_basis: str = Field(
        "ClosedForm",
        description="Simulated: the engine simulator's capacity. ClosedForm: a formula, until the simulation is there.",
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
        """0 where what is written makes no sense; statuses without `gpus` come from before that was a figure of its
        own."""
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
        description="Dearer: the same requests cost more on it. TooLarge: whole replicas cost more at this load, the "
        "same requests do not. All words: docs/reference.md."
    )
    message: str


class UnservedStatus(ObservedModel):
    """A part of the load that the plan does not serve."""

    prompt_tokens: int
    generation_tokens: int
    requests_per_second: str
    reason: str
    limits: list[str] = Field(default_factory=list, description="Pools that bind, where the limit is shared.")

    @property
    def rate_rps(self) -> float:
        return figure_of(self.requests_per_second)


class RoutingSavingsStatus(ObservedModel):
    """What the next better routing mode would save."""

    mode: str
    saves_per_hour: str


class LimitStatus(ObservedModel):
    """A limit that services share and that left no room for one more replica of this one when the plan was made."""

    kind: str = Field(
        description="Stock: GPUs of a pool. Slots: places on the nodes of a pool. Power: watts of a power domain."
    )
    name: str = Field(description="The pool; a power domain is named like the pool whose budget it is.")
    size: int | None = Field(None, description="GPUs of one place, where kind is Slots.")
    used: int = Field(description="By the plans of all services, in GPUs, places or watts.")
    limit: int = Field(description="What the plans of this round could use of it.")
    saves_per_hour: str | None = Field(
        None,
        description="What one more GPU, place or watt would save the fleet in US dollars per hour: the shadow price in "
        "the relaxation that the bound comes from. Absent: not known.",
    )


class CapacityCorrectionStatus(ObservedModel):
    """A variant whose capacity for this load was found too high when the plan was simulated."""

    variant: str
    factor: str = Field(description="What the capacity was multiplied by.")

    @property
    def factor_figure(self) -> float:
        return figure_of(self.factor)


class PlanStateStatus(ObservedModel):
    """The plan in force, with its proof and what it is compared with."""

    id: str
    state: str = Field(description="Optimal, Feasible, Partial, Infeasible or Held.")
    cost_per_hour: str
    lower_bound_per_hour: str = Field(
        description="Proven least cost; a plan that starts more replicas is charged for their start."
    )
    gap: str = Field(description="Proven distance to the optimum of the planned group, as a fraction.")
    best_single: BestSingleStatus | None = None
    savings_percent: str | None = Field(None, description="Against the best single GPU type.")
    routing_savings: RoutingSavingsStatus | None = None
    cost_per_million_tokens: str | None = Field(
        None,
        description="US dollars, prompt and generated tokens of the planned load together. Absent: no load is planned.",
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
        default_factory=list, description="Shared limits that bind, dearest first, as they were when the plan was made."
    )
    unused: list[UnusedStatus] = Field(default_factory=list)
    unserved: list[UnservedStatus] = Field(default_factory=list)

    @property
    def predicted_percent(self) -> float | None:
        return None if self.predicted_attainment_percent is None else figure_of(self.predicted_attainment_percent)


class LLMServiceStatus(ObservedModel):
    """The plan of a service, and how far it is carried out."""

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
