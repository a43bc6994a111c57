"""The part of an LLMService's status that says what the current plan is, how good, and what it leaves out."""

from __future__ import annotations

from pydantic import Field

from medley_operator.api.v1alpha1.base import ObservedModel
from medley_operator.api.v1alpha1.fields import figure_of
from medley_operator.api.v1alpha1.status_target import PlannedReplicasStatus


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
        description="The pool; a power domain is a PowerDomain, or named like the pool whose budget it is. Of a quota: "
        "namespace NAME."
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
    """The newest plan, with its proven bound and its comparisons."""

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
    replicas: list[PlannedReplicasStatus] | None = Field(
        None, description="Replicas of this plan while it is not in force. Absent: variants[].desired are the plan's."
    )
    staying: str | None = Field(
        None, description="A cheaper fleet that is not started yet, what leaving for it costs, and when that is done."
    )
    unused: list[UnusedStatus] = Field(default_factory=list)
    unserved: list[UnservedStatus] = Field(
        default_factory=list, description="The largest parts of the load that the plan does not serve."
    )
    unserved_requests_per_second: str | None = Field(
        None,
        description="All requests per second that the plan does not serve, parts that `unserved` does not list "
        "included. Absent: the plan serves all.",
    )

    @property
    def unserved_rps(self) -> float:
        """Rounded up."""
        if self.unserved_requests_per_second is not None:
            return figure_of(self.unserved_requests_per_second)
        # 0, or as an older operator wrote it.
        return sum((part.rate_rps for part in self.unserved), 0.0)

    @property
    def cost_per_hour_usd(self) -> float:
        return figure_of(self.cost_per_hour)

    @property
    def predicted_percent(self) -> float | None:
        return None if self.predicted_attainment_percent is None else figure_of(self.predicted_attainment_percent)
