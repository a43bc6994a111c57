"""The routing modes: `ROUTERS`, one router for each. A further mode is a module and its line in this file. Pure.

Apart: the modules of the modes do not know of each other, and who asks a router knows no module.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import LLMService, ServiceRoutingMode
from medley_operator.domain.routing.httproute import HttpRouteRouter
from medley_operator.domain.routing.inference_pool import InferencePoolRouter
from medley_operator.domain.routing.router import Router
from medley_operator.domain.routing.service import ServiceRouter

ROUTERS: Mapping[ServiceRoutingMode, Router] = {
    ServiceRoutingMode.SERVICE: ServiceRouter(),
    ServiceRoutingMode.HTTP_ROUTE: HttpRouteRouter(),
    ServiceRoutingMode.INFERENCE_POOL: InferencePoolRouter(),
}

SHARED_KINDS = frozenset(kind for router in ROUTERS.values() for kind in router.shared)
"""Kinds of objects that services share: the first that needs one makes it."""


def router_of(service: LLMService) -> Router:
    return ROUTERS[service.spec.routing.effective_mode()]


def kinds_of_others(router: Router) -> frozenset[str]:
    """Kinds of children that other routers make and this one does not."""
    every: frozenset[str] = frozenset()
    return every.union(*(each.kinds for each in ROUTERS.values())) - router.kinds
