"""`PowerDomain`: a feed with a budget of watts, what hangs on it, how it is metered and how it is capped.

Field names are those that the checks of `medley_planner.power` name in what they refuse.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule, ObservedModel
from medley_operator.api.v1alpha1.fields import Dns1123Subdomain, LabelKey, LabelValue, written_as
from medley_operator.api.v1alpha1.node_power_cap import Fraction, GpuLimit
from medley_operator.api.v1alpha1.status import Conditions

Oversubscription = Annotated[
    str,
    Field(pattern=r"^(0\.[0-9]{1,3}|[12](\.[0-9]{1,3})?)$", max_length=5),
    written_as('a number below 3 in quotes, such as "1.25"'),
]


class PowerMode(StrEnum):
    """How far a domain is acted on; from the most careful to the boldest."""

    LOG = "Log"
    SHADOW = "Shadow"
    ENFORCE = "Enforce"


class PowerPreset(StrEnum):
    """Presets of `medley_planner.power`."""

    POLCA = "polca"
    INBAND = "inband"
    LADDER5 = "ladder5"
    LP_DEEP = "lp-deep"


class MeterSpec(ApiModel):
    """How the watts of the domain are read from Prometheus."""

    query: str | None = Field(
        None,
        min_length=1,
        max_length=2048,
        description="PromQL of the facility's meter. It answers one series: the watts of the whole domain, with all "
        "below it. Default: the sum of the GPUs' own readings, as the DCGM exporter gives them, and of nonGpuWatts.",
    )
    error: Fraction | None = Field(
        None,
        description="Part by which the meter may read too little; readings are raised by it. Default: 0 with query, "
        "else 0.05.",
    )


class PowerLevelSpec(ApiModel):
    """One level: when it is entered, and what it holds each GPU to, by the priority of its services."""

    enter: Fraction = Field(description="Part of the budget above which the level is entered.")
    low: GpuLimit = Field(default_factory=GpuLimit)
    normal: GpuLimit = Field(default_factory=GpuLimit)
    high: GpuLimit = Field(default_factory=GpuLimit)


class PowerDomainSpec(ApiModel):
    """Budget, members, meter and levels."""

    parent: Dns1123Subdomain | None = Field(
        None, description="Name of the PowerDomain that feeds this one, such as the row of a rack."
    )
    budget_watts: int = Field(
        ge=1, le=1000000000, description="Watts that the feed may carry. The facility's own brake acts at it."
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        max_length=16,
        description="Labels of the nodes that the domain itself feeds. Empty: none; only the domains below it.",
    )
    non_gpu_watts: int | None = Field(
        None, ge=0, le=1000000, description="Most watts that one node draws beside its GPUs. Needed with nodeSelector."
    )
    meter: MeterSpec = Field(default_factory=MeterSpec)
    preset: PowerPreset | None = Field(
        None, description="Levels by name (docs/power.md); instead of levels. Default: inband."
    )
    levels: list[PowerLevelSpec] = Field(
        default_factory=list, max_length=8, description="Levels, from the shallowest to the deepest; instead of preset."
    )
    brake: PowerLevelSpec | None = Field(
        None,
        description="Software brake: the last level. Default: that of the preset; with levels, 0.426 of the highest "
        "clock above 0.985 of the budget.",
    )
    safe_level: int | None = Field(
        None,
        ge=1,
        le=8,
        description="Level while the meter is not readable. Default: the deepest before the brake.",
    )
    relax_gap: Fraction | None = Field(
        None, description="How far below its entry a level is left. Default: the preset's, 0.05."
    )
    dwell_seconds: int | None = Field(
        None, ge=0, le=3600, description="Least time before a step back. Default: the preset's; with levels, 60."
    )
    ramp_seconds: int | None = Field(
        None,
        ge=0,
        le=3600,
        description="Time over which the GPUs of a step back are released. Default: the preset's; with levels, 30.",
    )
    stale_after_seconds: int = Field(
        10,
        ge=2,
        le=600,
        description="Age of the last good reading beyond which the domain goes to its safe limits. Prometheus has to "
        "scrape the meter at least twice in this time.",
    )
    telemetry_seconds: int = Field(2, ge=0, le=300, description="Age of a reading when it arrives.")
    actuation_seconds: int = Field(1, ge=0, le=300, description="Time from a decision until GPUs draw less.")
    plan_oversubscription: Oversubscription = Field(
        "1",
        description="Plans put replicas on the domain until the watts that these are expected to draw reach "
        "budgetWatts times this. More than 1 relies on capping when all are busy at once.",
    )
    mode: PowerMode = Field(
        PowerMode.LOG,
        description="Log: levels are worked out and shown. Shadow: NodePowerCaps are written too, and nothing applies "
        "them. Enforce: the agents of the nodes apply them.",
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.preset) || !has(self.levels) || self.levels.size() == 0",
            message="give either preset or levels",
            holds=lambda self: self.preset is None or not self.levels,
        ),
        CelRule(
            cel="!has(self.nodeSelector) || self.nodeSelector.size() == 0 || has(self.nonGpuWatts)",
            message="nodeSelector needs nonGpuWatts, the most that one node draws beside its GPUs",
            holds=lambda self: not self.node_selector or self.non_gpu_watts is not None,
        ),
        CelRule(
            cel="self.staleAfterSeconds > self.telemetrySeconds",
            message="staleAfterSeconds must be more than telemetrySeconds",
            holds=lambda self: self.stale_after_seconds > self.telemetry_seconds,
        ),
        CelRule(
            cel="!has(self.rampSeconds) || !has(self.dwellSeconds) || self.rampSeconds <= self.dwellSeconds",
            message="rampSeconds must not exceed dwellSeconds",
            holds=lambda self: (
                self.ramp_seconds is None or self.dwell_seconds is None or self.ramp_seconds <= self.dwell_seconds
            ),
        ),
    )


class PowerDomainStatus(ObservedModel):
    """Where a domain stands. Watts follow the meter by steps of a few percent of the budget."""

    observed_generation: int = 0
    level: int | None = Field(None, description="Level in force; 0: uncapped. The brake is one beyond the last level.")
    reason: str = Field("", description="Why: Below, Raised, Settling, Lowered, Dwelling, Blind, Held or Refused.")
    since: str | None = Field(
        None, json_schema_extra={"format": "date-time"}, description="When level or reason last changed."
    )
    safe: bool = Field(False, description="The safe limits hold too, since the meter was not readable.")
    watts: int | None = Field(None, description="Last reading that counts, without the meter's error.")
    budget_watts: int | None = Field(None, description="Budget in force: the spec's, or what a PowerEvent leaves.")
    headroom_watts: int | None = Field(None, description="Budget in force less the watts.")
    nodes: int = Field(0, description="Nodes of the domain and of those below it.")
    gpus: int = Field(0, description="GPUs of these nodes.")
    capped_gpus: int = Field(0, description="GPUs that are held below their default.")
    derived_second_entry: str = Field(
        "", description="Entry of the second level as the domain's own rises have it: 1 - largest rise - meter.error."
    )
    conditions: Conditions
