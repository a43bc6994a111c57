"""The HTTPRoute of one LLMService: one path, one weighted backend per variant; and reading weights back. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.values import labels
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.snapshot import Manifest

GATEWAY_GROUP = "gateway.networking.k8s.io"


def route_path(service: LLMService) -> str:
    return f"/{service.metadata.namespace}/{service.metadata.name}"


def render_http_route(service: LLMService, *, gateway: str, weights: Mapping[str, int]) -> Manifest:
    """`weights` by variant. Without any the backend is the common Service, so that clients get 503 and not 404."""
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
            "parentRefs": [{"group": GATEWAY_GROUP, "kind": "Gateway", "name": gateway}],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": route_path(service)}}],
                    "filters": [
                        {
                            "type": "URLRewrite",
                            "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
                        }
                    ],
                    "backendRefs": _backends(owner.name, weights),
                    # Generations outlive the default timeout of gateways; the engine's own limits apply.
                    "timeouts": {"request": "0s"},
                }
            ],
        },
    }


def _backends(service: str, weights: Mapping[str, int]) -> list[Manifest]:
    if not weights:
        return [_backend(service, weight=1)]
    return [
        _backend(labels.variant_object_name(service=service, variant=variant), weight=weights[variant])
        for variant in sorted(weights)
    ]


def _backend(name: str, *, weight: int) -> Manifest:
    return {
        "group": "",
        "kind": labels.CORE_SERVICE,
        "name": name,
        "port": labels.HTTP_PORT,
        "weight": weight,
    }


def observed_weights(route: Manifest | None, *, service: str) -> dict[str, int] | None:
    """Weights by variant that the route has now; None where there is no route or its backends are not ours."""
    if route is None:
        return None
    rules = route.get("spec", {}).get("rules") or []
    if len(rules) != 1:
        return None
    prefix = f"{service}-"
    weights: dict[str, int] = {}
    for backend in rules[0].get("backendRefs") or []:
        name = str(backend.get("name", ""))
        if not name.startswith(prefix):
            return None
        weights[name.removeprefix(prefix)] = whole_count(backend.get("weight", 1)) or 0
    return weights
