"""The HTTPRoute of one LLMService: one path, one weighted backend per variant; and reading weights back. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.values import labels
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.snapshot import Manifest

GATEWAY_GROUP = "gateway.networking.k8s.io"
MOST_BACKENDS = 16
"""The Gateway API's limit for one rule. Old layouts that drain beside the variants may be more: the smallest wait."""


def gateway_of(service: LLMService) -> tuple[str, str] | None:
    """(namespace, name) of the Gateway that the service names."""
    gateway = service.spec.routing.gateway_ref
    return None if gateway is None else (gateway.namespace or service.metadata.namespace, gateway.name)


def route_path(service: LLMService) -> str:
    return f"/{service.metadata.namespace}/{service.metadata.name}"


def render_http_route(service: LLMService, *, gateway: tuple[str, str], weights: Mapping[str, int]) -> Manifest:
    """`gateway` by namespace and name, `weights` by the name of a Service. Without any Service behind it the route
    answers with an error."""
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
            "parentRefs": [_parent(gateway, owner.namespace)],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": route_path(service)}}],
                    "filters": [
                        {
                            "type": "URLRewrite",
                            "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
                        }
                    ],
                    "backendRefs": _backends(weights),
                    # Generations outlive the default timeout of gateways; the engine's own limits apply.
                    "timeouts": {"request": "0s"},
                }
            ],
        },
    }


def _parent(gateway: tuple[str, str], namespace: str) -> Manifest:
    """The reference names a namespace only where it is another one."""
    where, name = gateway
    reference = {"group": GATEWAY_GROUP, "kind": "Gateway", "name": name}
    return reference if where == namespace else {**reference, "namespace": where}


def reports_of(route: Manifest | None, gateway: tuple[str, str]) -> list[Manifest]:
    """The reports of controllers on the route at this Gateway."""
    found = route or {}
    here = (found.get("metadata") or {}).get("namespace", "")

    def is_at(report: Manifest) -> bool:
        reference = report.get("parentRef") or {}
        return (reference.get("namespace") or here, reference.get("name")) == gateway

    return [report for report in (found.get("status") or {}).get("parents") or [] if is_at(report)]


def _backends(weights: Mapping[str, int]) -> list[Manifest]:
    kept = sorted(weights, key=lambda name: (-weights[name], name))[:MOST_BACKENDS]
    return [_backend(name, weight=weights[name]) for name in sorted(kept)]


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
        variant = variants.get(str(backend.get("name", "")))
        if variant is None:
            return None
        weights[variant] = whole_count(backend.get("weight", 1)) or 0
    return weights


def backend_services(route: Manifest) -> dict[str, int]:
    """Weights of all backends by the name of their Service, over all rules."""
    weights: dict[str, int] = {}
    for rule in route.get("spec", {}).get("rules") or []:
        for backend in rule.get("backendRefs") or []:
            name = str(backend.get("name", ""))
            weights[name] = weights.get(name, 0) + (whole_count(backend.get("weight", 1)) or 0)
    return weights


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
