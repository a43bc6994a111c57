"""The part of an LLMService's status that says what safety costs: the learned margins, and what they rest on.

Apart: the rest of the status is for what is planned and runs.
"""

from __future__ import annotations

from pydantic import Field

from medley_operator.api.v1alpha1.base import ObservedModel


class VariantMarginStatus(ObservedModel):
    """The margin of one variant. An operator that starts anew goes on from it."""

    variant: str
    percent: str = Field(description="Capacity beyond the planned load, in percent of the load.")
    basis: str = Field(description="What was known of the engine's speed when it was learned.")
    requests: int = Field(0, description="Requests that made it what it is. 0: headroom and derating did.")
    since: str | None = Field(None, description="When the first of these requests were seen.")
    short_percent: str | None = Field(None, description="Margin at which requests fell short of the targets.")
    short_at: str | None = Field(None, description="When they did; for six hours the margin stays above that.")


class MarginStatus(ObservedModel):
    """Spare capacity that plans keep because what is known may be wrong. Not in it: the margin of the forecast."""

    percent: str = Field(description="Capacity beyond the planned load, over all replicas, in percent of the load.")
    cost_per_hour: str = Field(description="The part of the planned cost that is for it, in US dollars per hour.")
    requests: int = Field(0, description="Requests that it rests on, of all variants.")
    window: str = Field("", description="Time over which requests are looked at together.")
    since: str | None = Field(None, description="When the first of these requests were seen.")
    variants: list[VariantMarginStatus] = Field(
        default_factory=list,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["variant"]},
    )
