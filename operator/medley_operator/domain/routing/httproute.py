"""Mode HTTPRoute: one path behind a Gateway, one weighted backend per variant; and reading weights back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.cluster.children import Children, of_kind
from medley_operator.domain.engine.workloads import WORKLOADS
from medley_operator.domain.routing.backends import backend_weights
from medley_operator.domain.routing.gateway import (
    GATEWAY_GROUP,
    gateway_of,
    is_accepted,
    is_there,
    own_route,
    parent_of,
    route_problem,
)
from medley_operator.domain.routing.router import ApplyCondition, DeleteCondition, RoutedService
from medley_operator.domain.routing.service import service_names
from medley_operator.domain.values import labels
from medley_operator.domain.values.decision import Apply, Delete
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_planner.refusal import Refusal


def route_path(service: LLMService) -> str:
    return f"/{service.metadata.namespace}/{service.metadata.name}"


def render_http_route(service: LLMService, *, gateway: tuple[str, str], weights: Mapping[str, int]) -> Manifest:
    """`gateway` by namespace and name, `weights` by the name of a Service. Without any Service behind it the route
    answers with an error."""
    backends = [_backend(name, weight=weights[name]) for name in sorted(weights)]
    return render_route(service, gateway=gateway, backends=backends)


def render_route(service: LLMService, *, gateway: tuple[str, str], backends: list[Manifest]) -> Manifest:
    owner = service.metadata
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": labels.HTTP_ROUTE,
        "metadata": {
            "name": owner.name,
            "namespace": owner.namespace,
            "labels": labels.child_labels(service=owner.name, component=labels.COMPONENT_ROUTE),
            "ownerReferences": [labels.owner_reference(service=owner.name, uid=owner.uid)],
        },
        "spec": {
            "parentRefs": [parent_of(gateway, owner.namespace)],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": route_path(service)}}],
                    "filters": [
                        {
                            "type": "URLRewrite",
                            "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
                        }
                    ],
                    "backendRefs": backends,
                    # Generations outlive the default timeout of gateways; the engine's own limits apply.
                    "timeouts": {"request": "0s"},
                }
            ],
        },
    }


def _backend(name: str, *, weight: int) -> Manifest:
    return {
        "group": "",
        "kind": labels.CORE_SERVICE,
        "name": name,
        "port": labels.HTTP_PORT,
        "weight": weight,
    }


def observed_weights(route: Manifest | None, *, names: Mapping[str, str]) -> dict[str, int] | None:
    """Weights by variant that the route has now; None where there is no route or a backend is not one of `names`, the
    Services by variant."""
    if route is None:
        return None
    rules = route.get("spec", {}).get("rules") or []
    if len(rules) != 1:
        return None
    variants = {name: variant for variant, name in names.items()}
    weights: dict[str, int] = {}
    for backend in rules[0].get("backendRefs") or []:
        variant = variants.get(str(backend.get("name", ""))) if _kind(backend) == labels.CORE_SERVICE else None
        if variant is None:
            return None
        weights[variant] = _weight(backend)
    return weights


def backends_of(route: Manifest) -> dict[tuple[str, str], int]:
    """Weights of all backends by their kind and name, over all rules."""
    weights: dict[tuple[str, str], int] = {}
    for rule in route.get("spec", {}).get("rules") or []:
        for backend in rule.get("backendRefs") or []:
            key = _kind(backend), str(backend.get("name", ""))
            weights[key] = weights.get(key, 0) + _weight(backend)
    return weights


def accepted_backends(given: RoutedService) -> dict[str, int] | None:
    """Weights of the service's route by kind and name of the backend, where its Gateway accepted it."""
    gateway, route = gateway_of(given.service), own_route(given)
    if gateway is None or route is None or not is_accepted(route, gateway=gateway):
        return None
    return {f"{kind}/{name}": weight for (kind, name), weight in backends_of(route).items()}


def _kind(backend: Manifest) -> str:
    return str(backend.get("kind") or labels.CORE_SERVICE)


def _weight(backend: Manifest) -> int:
    return whole_count(backend.get("weight", 1)) or 0


def _backends_are_there(apply: Apply, own: Children) -> bool:
    """Requests to a backend that does not exist, or is not ours, are lost or go astray."""
    namespace = labels.key_of(apply.manifest).namespace
    return all(ObjectKey(kind, namespace, name) in own for kind, name in backends_of(apply.manifest))


def _no_route_sends_there(delete: Delete, own: Children) -> bool:
    """A workload goes after the route has left the Service of its name."""
    backend = labels.CORE_SERVICE, delete.key.name
    return all(backends_of(route).get(backend, 0) == 0 for route in of_kind(own, labels.HTTP_ROUTE).values())


def no_route_names_it(delete: Delete, own: Children) -> bool:
    """An object that a route still names, if only with weight 0, stays."""
    backend = delete.key.kind, delete.key.name
    return not any(backend in backends_of(route) for route in of_kind(own, labels.HTTP_ROUTE).values())


def _deletes() -> dict[str, DeleteCondition]:
    return {**dict.fromkeys(WORKLOADS, _no_route_sends_there), labels.CORE_SERVICE: no_route_names_it}


@dataclass(frozen=True, slots=True)
class HttpRouteRouter:
    """Mode HTTPRoute: the gateway splits requests by the weights that Medley sets."""

    kinds: frozenset[str] = frozenset({labels.HTTP_ROUTE})
    shared: frozenset[str] = frozenset()
    weighs: bool = True
    apply_conditions: Mapping[str, ApplyCondition] = field(
        default_factory=lambda: {labels.HTTP_ROUTE: _backends_are_there}
    )
    delete_conditions: Mapping[str, DeleteCondition] = field(default_factory=_deletes)

    def url(self, service: LLMService) -> str:
        return route_path(service)

    def wanted(
        self, given: RoutedService, weights: Mapping[str, int] | None, usable: Collection[str]
    ) -> tuple[Manifest, ...]:
        """The route to those of the variants' Services that are the service's own, else to the common one, so that
        clients get 503 and not 404."""
        gateway = gateway_of(given.service)
        if given.gateways is None or weights is None or gateway is None:
            return ()
        backends = _by_service(given, weights, usable)
        if not backends and given.candidate.key.name in usable:
            backends = {given.candidate.key.name: 1}
        return (render_http_route(given.service, gateway=gateway, weights=backends),)

    def weights(self, given: RoutedService) -> dict[str, int] | None:
        return observed_weights(own_route(given), names=service_names(given.candidate, given.running))

    def asked(self, given: RoutedService, weights: Mapping[str, int] | None) -> Mapping[str, int] | None:
        if weights is None or not is_there(given):
            return None
        return {f"{labels.CORE_SERVICE}/{name}": weight for name, weight in _by_service(given, weights).items()}

    def accepted(self, given: RoutedService) -> Mapping[str, int] | None:
        return accepted_backends(given)

    def problem(self, given: RoutedService, *, planned: bool) -> Refusal | None:
        return route_problem(given, planned=planned)


def _by_service(
    given: RoutedService, weights: Mapping[str, int], usable: Collection[str] | None = None
) -> dict[str, int]:
    """Weights by the name of a Service. `usable`: those that may be named; None: all."""
    names, common = service_names(given.candidate, given.running), given.candidate.key.name
    if usable is not None:
        names = {variant: name for variant, name in names.items() if name in usable}
        common = common if common in usable else ""
    return backend_weights(weights, names=names, ready=given.ready, common=common)
