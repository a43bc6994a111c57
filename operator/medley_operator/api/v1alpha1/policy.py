"""`MedleyPolicy`: what the platform team lets the LLMServices of some namespaces ask for."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import (
    Dns1123Label,
    Dns1123Subdomain,
    Duration,
    LabelKey,
    LabelValue,
    Money,
    UriPrefix,
)
from medley_operator.api.v1alpha1.service import ServicePriority
from medley_operator.api.v1alpha1.service_workload import WINDOW_SECONDS, WINDOWS, WINDOWS_IN_CEL
from medley_planner.units import duration_seconds


class NamespaceSelector(ApiModel):
    """The namespaces that a policy is for."""

    match_labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        max_length=16,
        description="Labels that a namespace must have. Empty: all namespaces.",
    )


class GatewayAddress(ApiModel):
    """A Gateway of the platform."""

    namespace: Dns1123Label
    name: Dns1123Subdomain


class PolicyLimits(ApiModel):
    """The limits. A field that is absent or empty limits nothing here; another policy may."""

    max_priority: ServicePriority | None = Field(
        None,
        description="Highest spec.priority that is planned; a higher one counts as this one. Where no policy sets it: "
        "Normal.",
    )
    max_gpus: int | None = Field(
        None, ge=0, le=1000000, description="Most GPUs of all LLMServices of one namespace together."
    )
    max_cost_per_hour: Money | None = Field(
        None, description="Most US dollars per hour of all LLMServices of one namespace together."
    )
    max_services: int | None = Field(
        None,
        ge=0,
        le=10000,
        description="Most LLMServices of one namespace; the newest beyond it are refused. Where no policy sets it: "
        "200.",
    )
    max_replicas: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Most replicas of one LLMService; a higher spec.scaling.maxReplicas counts as this one.",
    )
    min_margin_percent: int | None = Field(
        None,
        ge=0,
        le=200,
        description="Least margin that is learned: capacity beyond the planned load, in percent. Where no policy sets "
        "it: 5, or what headroom and derating come to if that is less.",
    )
    max_margin_percent: int | None = Field(
        None,
        ge=0,
        le=400,
        description="Largest margin that is learned, in percent. Where no policy sets it: 100, or what headroom and "
        "derating come to if that is more.",
    )
    allowed_windows: list[Duration] = Field(
        default_factory=list, max_length=16, description="Values that spec.workload.window may have. Empty: any."
    )
    gateways: list[GatewayAddress] = Field(
        default_factory=list,
        max_length=64,
        description="Gateways of other namespaces that spec.routing.gatewayRef may name. Where no policy lists any: "
        "none.",
    )
    model_sources: list[UriPrefix] = Field(
        default_factory=list,
        max_length=64,
        description="What spec.model.uri may begin with, in whole parts of its path, such as hf://meta-llama. Empty: "
        "anything.",
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel=f"!has(self.allowedWindows) || self.allowedWindows.all(w, duration(w) in [{WINDOWS_IN_CEL}])",
            message=f"each of allowedWindows must be one of {', '.join(WINDOWS)}, as spec.workload.window of an "
            "LLMService",
            holds=lambda self: WINDOW_SECONDS.issuperset(self.allowed_window_seconds),
        ),
        CelRule(
            cel="!has(self.minMarginPercent) || !has(self.maxMarginPercent) || "
            "self.minMarginPercent <= self.maxMarginPercent",
            message="minMarginPercent must not exceed maxMarginPercent",
            holds=lambda self: (
                self.min_margin_percent is None
                or self.max_margin_percent is None
                or self.min_margin_percent <= self.max_margin_percent
            ),
        ),
    )

    @property
    def allowed_window_seconds(self) -> tuple[float, ...]:
        return tuple(duration_seconds(window) for window in self.allowed_windows)

    @property
    def max_cost_per_hour_usd(self) -> float | None:
        return None if self.max_cost_per_hour is None else float(self.max_cost_per_hour)


class MedleyPolicySpec(ApiModel):
    """Whom the policy is for, and what it limits."""

    namespace_selector: NamespaceSelector = Field(default_factory=NamespaceSelector)
    limits: PolicyLimits = Field(default_factory=PolicyLimits)
