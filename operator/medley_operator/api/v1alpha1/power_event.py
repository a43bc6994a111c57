"""`PowerEvent`: a grid or a facility asks a power domain for less from one time to another."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule, ObservedModel
from medley_operator.api.v1alpha1.fields import Dns1123Subdomain, Timestamp, seconds_between
from medley_operator.api.v1alpha1.node_power_cap import Fraction
from medley_operator.api.v1alpha1.status import Conditions

LONGEST_HOURS = 168


class PowerEventSpec(ApiModel):
    """The domain, its target and the time."""

    domain: Dns1123Subdomain = Field(description="Name of the PowerDomain.")
    target_watts: int | None = Field(
        None, ge=1, le=1000000000, description="Watts that the domain may draw at most; instead of targetFraction."
    )
    target_fraction: Fraction | None = Field(
        None, description="The same as a fraction of the domain's budget, such as 0.75; instead of targetWatts."
    )
    start: Timestamp = Field(description='Time from which the target counts, in UTC ("2026-11-27T13:00:00Z").')
    end: Timestamp = Field(description="Time at which it ends, in UTC; at most 7 days after start.")
    source: str = Field("", max_length=253, description="Who asks for it: a grid operator, a facility, a person.")

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="has(self.targetWatts) != has(self.targetFraction)",
            message="give either targetWatts or targetFraction",
            holds=lambda self: (self.target_watts is None) != (self.target_fraction is None),
        ),
        CelRule(
            cel="timestamp(self.end) > timestamp(self.start)",
            message="end must be after start",
            holds=lambda self: seconds_between(self.start, self.end) > 0.0,
        ),
        CelRule(
            cel=f"timestamp(self.end) - timestamp(self.start) <= duration('{LONGEST_HOURS}h')",
            message="end must be at most 7 days after start",
            holds=lambda self: seconds_between(self.start, self.end) <= LONGEST_HOURS * 3600.0,
        ),
    )


class EventPhase(StrEnum):
    REFUSED = "Refused"
    PENDING = "Pending"
    ACTIVE = "Active"
    ENDED = "Ended"


class PowerEventStatus(ObservedModel):
    """How far an event has come."""

    observed_generation: int = 0
    phase: str = Field(
        "",
        json_schema_extra={"enum": ["", *EventPhase]},
        description="Refused: see the condition Accepted. Pending: before start. Active: the target is the domain's "
        "budget. Ended: after end.",
    )
    target_watts: int | None = Field(None, description="Target in watts.")
    drawn_watts: int | None = Field(None, description="What the domain drew when the event became active.")
    shortfall_watts: int | None = Field(
        None, description="Watts that caps alone do not shed, and that the plan has to. Estimated at the start."
    )
    met_at: str | None = Field(
        None, json_schema_extra={"format": "date-time"}, description="When the domain was first within the target."
    )
    conditions: Conditions
