"""`spec.workload` of an LLMService: where the load to plan for comes from."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import Dns1123Label, Duration, Rate, Timestamp, seconds_between
from medley_planner.units import duration_seconds

MOST_STATIC_RPS = 100_000
"""A hundred times what a thousand replicas serve of the smallest models."""


class StaticWorkload(ApiModel):
    """The load to plan for while there is no data: rate and mean request sizes."""

    requests_per_second: Rate = Field(description=f"At most {MOST_STATIC_RPS}.")
    prompt_tokens: int = Field(ge=1, le=1048576, description="Mean prompt length, in tokens.")
    generation_tokens: int = Field(ge=1, le=1048576, description="Mean generation length, in tokens.")

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel=f"double(self.requestsPerSecond) <= {MOST_STATIC_RPS}.0",
            message=f"requestsPerSecond must be at most {MOST_STATIC_RPS}",
            holds=lambda self: self.rate_rps <= MOST_STATIC_RPS,
        ),
    )

    @property
    def rate_rps(self) -> float:
        return float(self.requests_per_second)


MOST_FACTOR = 100
MAX_EVENTS = 16
DAY_SECONDS = 86400


class Repeat(StrEnum):
    """How often an event comes again, at the same time of the day in UTC."""

    NEVER = "Never"
    DAILY = "Daily"
    WEEKLY = "Weekly"

    @property
    def seconds(self) -> int | None:
        """From one to the next; None where there is no next one."""
        return {Repeat.NEVER: None, Repeat.DAILY: DAY_SECONDS, Repeat.WEEKLY: 7 * DAY_SECONDS}[self]


class ScheduledEvent(ApiModel):
    """A time that is known beforehand, in which the load is a multiple of what it would be else."""

    name: Dns1123Label | None = Field(None, description="Name for status and messages. Default: its place in the list.")
    start: Timestamp = Field(description='When it begins, in UTC ("2026-12-24T18:00:00Z"); of repeated ones the first.')
    end: Timestamp = Field(description="When it ends, in UTC; before the next one begins where it repeats.")
    factor: Rate = Field(
        description=f"Load in this time as a multiple of the load without it: above 0, at most {MOST_FACTOR}."
    )
    repeat: Repeat = Field(Repeat.NEVER, description="Never, Daily or Weekly, from start on.")

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="timestamp(self.end) > timestamp(self.start)",
            message="end must be after start",
            holds=lambda self: seconds_between(self.start, self.end) > 0.0,
        ),
        CelRule(
            cel=f"double(self.factor) > 0.0 && double(self.factor) <= {MOST_FACTOR}.0",
            message=f"factor must be above 0 and at most {MOST_FACTOR}",
            holds=lambda self: 0.0 < self.load_factor <= MOST_FACTOR,
        ),
        CelRule(
            cel="self.repeat != 'Daily' || timestamp(self.end) - timestamp(self.start) < duration('24h')",
            message="an event with repeat Daily must last less than a day",
            holds=lambda self: self.repeat != Repeat.DAILY or seconds_between(self.start, self.end) < DAY_SECONDS,
        ),
        CelRule(
            cel="self.repeat != 'Weekly' || timestamp(self.end) - timestamp(self.start) < duration('168h')",
            message="an event with repeat Weekly must last less than a week",
            holds=lambda self: self.repeat != Repeat.WEEKLY or seconds_between(self.start, self.end) < 7 * DAY_SECONDS,
        ),
    )

    @property
    def load_factor(self) -> float:
        return float(self.factor)


class WorkloadSource(StrEnum):
    PROMETHEUS = "Prometheus"
    STATIC = "Static"


WINDOWS = ("30s", "1m", "5m", "15m", "1h")
"""The windows that may be asked for: each distinct one costs queries in each round, for all services together."""
WINDOW_SECONDS = frozenset(duration_seconds(window) for window in WINDOWS)
WINDOWS_IN_CEL = ", ".join(f"duration('{window}')" for window in WINDOWS)


class WorkloadSpec(ApiModel):
    """Source of the load to plan for."""

    source: WorkloadSource = Field(
        WorkloadSource.PROMETHEUS,
        description="Prometheus: live metrics; `static` until there are metrics. Static: always `static`.",
    )
    window: Duration = Field("5m", description=f"Time window for rates and sizes: {', '.join(WINDOWS)}.")
    static: StaticWorkload | None = None
    schedule: list[ScheduledEvent] = Field(
        default_factory=list,
        max_length=MAX_EVENTS,
        description="Known events, one at a time: replicas are there when one begins.",
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="self.source != 'Static' || has(self.static)",
            message="source Static needs workload.static",
            holds=lambda self: self.source != WorkloadSource.STATIC or self.static is not None,
        ),
        CelRule(
            cel=f"duration(self.window) in [{WINDOWS_IN_CEL}]",
            message=f"window must be one of {', '.join(WINDOWS)}",
            holds=lambda self: self.window_seconds in WINDOW_SECONDS,
        ),
    )

    @property
    def window_seconds(self) -> float:
        return duration_seconds(self.window)
