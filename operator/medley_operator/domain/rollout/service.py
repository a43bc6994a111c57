"""The Services of one LLMService: one per variant, behind the route's weights, and one for all pods. Pure.

Apart: each kind of child is rendered in a separate file, as in `httproute.py` and `engine/deployment.py`.
"""

from __future__ import annotations

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.engine.deployment import pod_selector
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest


def render_variant_service(service: LLMService, *, variant: str) -> Manifest:
    name = labels.variant_object_name(service=service.metadata.name, variant=variant)
    return _service(service, name=name, variant=variant)


def render_common_service(service: LLMService) -> Manifest:
    return _service(service, name=service.metadata.name, variant=None)


def _service(service: LLMService, *, name: str, variant: str | None) -> Manifest:
    owner = service.metadata
    return {
        "apiVersion": "v1",
        "kind": labels.CORE_SERVICE,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": labels.child_labels(service=owner.name, component=labels.COMPONENT_ENDPOINT, variant=variant),
            "ownerReferences": [labels.owner_reference(service=owner.name, uid=owner.uid)],
        },
        "spec": {
            "type": "ClusterIP",
            "selector": pod_selector(service=owner.name, variant=variant),
            "ports": [
                {
                    "name": labels.HTTP_PORT_NAME,
                    "port": labels.HTTP_PORT,
                    "protocol": "TCP",
                    "targetPort": labels.HTTP_PORT_NAME,
                }
            ],
        },
    }
