"""The parts of an LLMService's status about what is in force: the target, the plans before it, and a plan that is not.

Apart: `status.variants[].desired` holds the replicas in force, and nothing here repeats them.
"""

from __future__ import annotations

from pydantic import Field

from medley_operator.api.v1alpha1.base import ObservedModel
from medley_operator.api.v1alpha1.fields import figure_of


class PlannedReplicasStatus(ObservedModel):
    """Replicas of one variant in a plan that is not in force."""

    variant: str
    pool: str
    gpus: int = Field(description="GPUs of one replica.")
    replicas: int


class TargetStatus(ObservedModel):
    """The plan in force."""

    plan_id: str = Field(description="The plan that set the replicas in force; later plans may have equal replicas.")
    since: str = Field(json_schema_extra={"format": "date-time"})
    reason: str = Field(description="Planned: mode Auto. Approved: a person approved the plan.")


class HistoryStatus(ObservedModel):
    """A change of what is in force."""

    plan_id: str
    at: str = Field(json_schema_extra={"format": "date-time"})
    mix: str = Field(description='Replicas by variant, such as "l4:5 h100:2".')
    cost_per_hour: str
    reason: str

    @property
    def cost_per_hour_usd(self) -> float:
        return figure_of(self.cost_per_hour)
