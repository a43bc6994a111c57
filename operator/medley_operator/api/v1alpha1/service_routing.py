"""`spec.routing` of an LLMService: how requests reach its variants."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import Dns1123Label, Dns1123Subdomain


class ServiceRoutingMode(StrEnum):
    SERVICE = "Service"
    HTTP_ROUTE = "HTTPRoute"
    INFERENCE_POOL = "InferencePool"


class GatewayRef(ApiModel):
    """A Gateway in the LLMService's own namespace, or in one that a MedleyPolicy opens to it."""

    name: Dns1123Subdomain
    namespace: Dns1123Label | None = Field(
        None,
        description="Namespace of the Gateway, where a MedleyPolicy lists it. Default: the LLMService's own.",
    )


class PickerFailureMode(StrEnum):
    FAIL_OPEN = "FailOpen"
    FAIL_CLOSE = "FailClose"


class EndpointPickerRef(ApiModel):
    """The Service of an endpoint picker in the LLMService's own namespace."""

    name: Dns1123Label = Field(description="Name of the Service.")
    port: int = Field(9002, ge=1, le=65535, description="Port of the Service for the gateway's calls (ext-proc).")
    failure_mode: PickerFailureMode = Field(
        PickerFailureMode.FAIL_OPEN,
        description="While the picker does not answer. FailOpen: the gateway sends requests to any pod. FailClose: it "
        "refuses them.",
    )


class RoutingSpec(ApiModel):
    """How requests reach the variants."""

    mode: ServiceRoutingMode | None = Field(
        None,
        description="Service: every pod gets an equal share. HTTPRoute: weighted by variant. InferencePool: an "
        "endpoint picker behind the Gateway chooses by prompt length and load. Default: HTTPRoute if gatewayRef is "
        "set, else Service.",
    )
    gateway_ref: GatewayRef | None = None
    endpoint_picker_ref: EndpointPickerRef | None = Field(
        None, description="The picker of mode InferencePool. Default: Service NAME-epp, NAME that of the LLMService."
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.mode) || self.mode != 'HTTPRoute' || has(self.gatewayRef)",
            message="mode HTTPRoute needs routing.gatewayRef",
            holds=lambda self: self.mode != ServiceRoutingMode.HTTP_ROUTE or self.gateway_ref is not None,
        ),
        CelRule(
            cel="!has(self.mode) || self.mode != 'InferencePool' || has(self.gatewayRef)",
            message="mode InferencePool needs routing.gatewayRef",
            holds=lambda self: self.mode != ServiceRoutingMode.INFERENCE_POOL or self.gateway_ref is not None,
        ),
        CelRule(
            cel="!has(self.endpointPickerRef) || (has(self.mode) && self.mode == 'InferencePool')",
            message="endpointPickerRef is for mode InferencePool",
            holds=lambda self: self.endpoint_picker_ref is None or self.mode == ServiceRoutingMode.INFERENCE_POOL,
        ),
    )

    def effective_mode(self) -> ServiceRoutingMode:
        """`mode` if it is set, else the mode that `gatewayRef` implies."""
        if self.mode is not None:
            return self.mode
        return ServiceRoutingMode.HTTP_ROUTE if self.gateway_ref else ServiceRoutingMode.SERVICE
