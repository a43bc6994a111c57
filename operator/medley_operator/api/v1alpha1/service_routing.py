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


class GatewayRef(ApiModel):
    """A Gateway in the LLMService's own namespace, or in one that a MedleyPolicy opens to it."""

    name: Dns1123Subdomain
    namespace: Dns1123Label | None = Field(
        None,
        description="Namespace of the Gateway, where a MedleyPolicy lists it. Default: the LLMService's own.",
    )


class RoutingSpec(ApiModel):
    """How requests reach the variants."""

    mode: ServiceRoutingMode | None = Field(
        None,
        description="Service: every pod gets an equal share. HTTPRoute: weighted by variant. Default: HTTPRoute if "
        "gatewayRef is set, else Service.",
    )
    gateway_ref: GatewayRef | None = None

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.mode) || self.mode != 'HTTPRoute' || has(self.gatewayRef)",
            message="mode HTTPRoute needs routing.gatewayRef",
            holds=lambda self: self.mode != ServiceRoutingMode.HTTP_ROUTE or self.gateway_ref is not None,
        ),
    )

    def effective_mode(self) -> ServiceRoutingMode:
        """`mode` if it is set, else the mode that `gatewayRef` implies."""
        if self.mode is not None:
            return self.mode
        return ServiceRoutingMode.HTTP_ROUTE if self.gateway_ref else ServiceRoutingMode.SERVICE
