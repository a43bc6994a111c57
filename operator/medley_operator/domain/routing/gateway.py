"""The Gateway that a service names, and what it says of the service's route. Pure.

Both modes behind a Gateway use this: routes by weight and pools of endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.routing.router import RoutedService
from medley_operator.domain.values import labels
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_planner.refusal import Refusal

GATEWAY_GROUP = "gateway.networking.k8s.io"
NOT_ALLOWED = "NotAllowedByListeners"
"""The Gateway API's reason for a route that no listener admits, by its namespace or its kind."""


def gateway_of(service: LLMService) -> tuple[str, str] | None:
    """(namespace, name) of the Gateway that the service names."""
    gateway = service.spec.routing.gateway_ref
    return None if gateway is None else (gateway.namespace or service.metadata.namespace, gateway.name)


def own_route(given: RoutedService) -> Manifest | None:
    namespace, name = given.candidate.key
    return given.own.get(ObjectKey(kind=labels.HTTP_ROUTE, namespace=namespace, name=name))


def is_there(given: RoutedService) -> bool:
    """Whether the cluster has the Gateway: no step waits for one that does not exist."""
    return gateway_of(given.service) in (given.gateways or frozenset())


def parent_of(gateway: tuple[str, str], namespace: str) -> Manifest:
    """The reference to the Gateway names a namespace only where it is another one."""
    where, name = gateway
    reference = {"group": GATEWAY_GROUP, "kind": "Gateway", "name": name}
    return reference if where == namespace else {**reference, "namespace": where}


def reports_of(found: Manifest | None, gateway: tuple[str, str]) -> list[Manifest]:
    """The reports of controllers on an object (a route, a pool) at this Gateway."""
    seen = found or {}
    here = (seen.get("metadata") or {}).get("namespace", "")

    def is_at(report: Manifest) -> bool:
        reference = report.get("parentRef") or {}
        return (reference.get("namespace") or here, reference.get("name")) == gateway

    return [report for report in (seen.get("status") or {}).get("parents") or [] if is_at(report)]


def is_accepted(route: Manifest, *, gateway: tuple[str, str]) -> bool:
    """Whether every parent that is this Gateway accepted the route as its spec is now."""
    generation = whole_count(route["metadata"].get("generation")) or 0
    mine = reports_of(route, gateway)
    return bool(mine) and all(_accepts(parent, generation) for parent in mine)


def _accepts(parent: Manifest, generation: int) -> bool:
    return any(
        condition.get("type") == "Accepted"
        and condition.get("status") == "True"
        # A controller that reports no generation is believed.
        and (whole_count(condition.get("observedGeneration", generation)) or 0) >= generation
        for condition in parent.get("conditions") or []
    )


def gateway_problem(given: RoutedService) -> Refusal | None:
    """Why there is no Gateway to route by; None where there is one."""
    namespace = given.service.metadata.namespace
    home, name = gateway_of(given.service) or (namespace, "")
    field = f'spec.routing.gatewayRef.name "{name}"'
    in_reach = f"until then use Service {namespace}/{given.service.metadata.name}"
    if given.gateways is None:
        return Refusal(
            "GatewayApiMissing",
            f"{field} needs the Gateway API, which is not installed; install its CRDs and a gateway controller, or "
            f"set spec.routing.mode to Service; {in_reach}",
        )
    if (home, name) not in given.gateways:
        present = ", ".join(sorted(found for space, found in given.gateways if space == home)) or "none"
        return Refusal(
            "GatewayNotFound",
            f"{field}: namespace {home} has no such Gateway (existing: {present}); create it, name another, or "
            f"set spec.routing.mode to Service; {in_reach}",
        )
    return None


def route_problem(given: RoutedService, *, planned: bool) -> Refusal | None:
    """Why requests do not reach the service through its Gateway, as far as can be seen; None where they do."""
    missing, route = gateway_problem(given), own_route(given)
    if missing is not None:
        return missing
    if route is None and not planned:
        return None  # there is no route yet that a gateway could have refused
    namespace = given.service.metadata.namespace
    home, name = gateway_of(given.service) or (namespace, "")
    fault = _not_accepted(route, gateway=(home, name))
    if fault is None:
        return None
    shown = name if home == namespace else f"{home}/{name}"
    message = f'HTTPRoute {namespace}/{given.service.metadata.name} at Gateway "{shown}": {fault}'
    return Refusal("RouteNotAccepted", message)


def _way_out(reason: str, route: Manifest | None, gateway: tuple[str, str]) -> str:
    """A listener admits routes of the Gateway's own namespace alone, unless it says otherwise."""
    namespace = str((route or {}).get("metadata", {}).get("namespace", ""))
    if reason == NOT_ALLOWED and namespace != gateway[0]:
        return (
            f"let a listener of the Gateway admit routes of namespace {namespace} "
            "(spec.listeners[].allowedRoutes.namespaces), or name another Gateway"
        )
    return "change the Gateway's listeners or name another Gateway"


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
                return f"{type_} is False ({reason}: {message}); {_way_out(str(reason), route, gateway)}"
        if (conditions.get("Accepted") or {}).get("status") != "True":
            return "not accepted yet; check that a gateway controller runs for the Gateway's class"
    return None
