"""Where clients reach a service, and what keeps its route from carrying their requests. Pure.

May read the decision on one service; used by its condition RoutingReady and its status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medley_operator.api.v1alpha1 import LLMService, ServiceRoutingMode
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.httproute import gateway_of, reports_of
from medley_operator.domain.rollout.writes import OwnerConflict
from medley_operator.domain.values import labels
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.refusal import Refusal


def route_problem(outcome: ServiceDecision) -> Refusal | None:
    """Why requests do not reach the service through its Gateway, as far as can be seen; None where they do."""
    gateways = outcome.gateways
    service = outcome.candidate.service
    namespace = service.metadata.namespace
    home, name = gateway_of(service) or (namespace, "")
    field = f'spec.routing.gatewayRef.name "{name}"'
    in_reach = f"until then use Service {namespace}/{service.metadata.name}"
    if gateways is None:
        return Refusal(
            "GatewayApiMissing",
            f"{field} needs the Gateway API, which is not installed; install its CRDs and a gateway controller, or "
            f"set spec.routing.mode to Service; {in_reach}",
        )
    if (home, name) not in gateways and home != namespace:
        if outcome.goal.reason == PlanReason.POLICY_DENIED:
            return None  # what is in another namespace is not told to who may not use it
        return Refusal(
            "GatewayNotFound",
            f"{field}: namespace {home} has no such Gateway; name another, ask the platform team to create it, or set "
            f"spec.routing.mode to Service; {in_reach}",
        )
    if (home, name) not in gateways:
        present = ", ".join(sorted(found for space, found in gateways if space == home)) or "none"
        return Refusal(
            "GatewayNotFound",
            f"{field}: namespace {home} has no such Gateway (existing: {present}); create it, name another, or "
            f"set spec.routing.mode to Service; {in_reach}",
        )
    if outcome.route is None and not outcome.rows:
        return None  # there is no route yet that a gateway could have refused
    fault = _not_accepted(outcome.route, gateway=(home, name))
    if fault is None:
        return None
    shown = name if home == namespace else f"{home}/{name}"
    message = f'HTTPRoute {namespace}/{service.metadata.name} at Gateway "{shown}": {fault}'
    return Refusal("RouteNotAccepted", message)


def _not_accepted(route: Manifest | None, *, gateway: tuple[str, str]) -> str | None:
    """Why the gateway does not carry the route, or None where it accepted it."""
    mine = reports_of(route, gateway)
    if not mine:
        return "no gateway controller has reported on the route yet; check that one runs for the Gateway's class"
    for parent in mine:
        conditions: Mapping[str, Manifest] = {item.get("type", ""): item for item in parent.get("conditions") or []}
        for type_ in ("Accepted", "ResolvedRefs"):
            condition = conditions.get(type_)
            if condition is not None and condition.get("status") == "False":
                reason, message = condition.get("reason", ""), condition.get("message", "")
                return f"{type_} is False ({reason}: {message}); change the Gateway's listeners or name another Gateway"
        if (conditions.get("Accepted") or {}).get("status") != "True":
            return "not accepted yet; check that a gateway controller runs for the Gateway's class"
    return None


def conflict_message(conflicts: Sequence[OwnerConflict]) -> str:
    named = "; ".join(f"{conflict.key} belongs to {conflict.holder}" for conflict in conflicts)
    return f"{named}; rename this LLMService or its variant (spec.variants[].name), or remove the other object"


def service_url(service: LLMService) -> str:
    """Where clients send requests: a path behind the Gateway, or the address of the common Service."""
    namespace, name = service.metadata.namespace, service.metadata.name
    if service.spec.routing.effective_mode() is ServiceRoutingMode.HTTP_ROUTE:
        return f"/{namespace}/{name}"
    return f"http://{name}.{namespace}.svc:{labels.HTTP_PORT}"
