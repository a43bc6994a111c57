"""`spec.workload` of an LLMService: where the load to plan for comes from."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import Duration, Rate
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
