"""The notes that an operator leaves in the status of an LLMService for the one that comes after it.

Apart from the rest of the status, which is for people: nothing else should read this. `domain.load.remembered` writes
and reads it.
"""

from __future__ import annotations

from pydantic import Field

from medley_operator.api.v1alpha1.base import ObservedModel


class MemoryStatus(ObservedModel):
    """The load as the next decisions need to know it, for an operator that starts anew."""

    requests_per_second: str = Field("0", description="Rate that the plan is made for, in full precision.")
    sizes: list[str] = Field(
        default_factory=list, max_length=256, description="Sizes of that load: prompt tokens/generation tokens:share."
    )
    size_source: str = Field("", description="As load.sizeSource.")
    prefix_hit_rate: str = Field("0", description="Share of prompt tokens that prefix caches save, 0 to 1.")
    measured_requests_per_second: str | None = Field(None, description="Rate measured when the load was adopted.")
    forecast_margin: str | None = Field(None, description="Margin of the forecast, as a share of it.")
    drifting_since: str | None = Field(
        None, description="Since when the load is a little off this one. Absent: it is not, or for less than a minute."
    )
    falling_since: str | None = Field(
        None, description="Since when this load is larger than needed. Absent: it is not, or for less than a minute."
    )
    jumping_since: str | None = Field(
        None, description="Since when the load is many times that of the plan. Absent: it is not, or it is believed."
    )
    jumping_from: str | None = Field(None, description="Tokens per second of the plan before the jump.")
    staying_since: str | None = Field(
        None, description="Since when a cheaper fleet saves so much. Absent: staying has cost nothing."
    )
    wasted_cost: str = Field("0", description="US dollars that staying had cost by then.")
    saving_per_hour: str = Field("0", description="US dollars per hour that the cheaper fleet would save since.")
    leaving_cost: str = Field("0", description="US dollars that leaving for it costs.")
