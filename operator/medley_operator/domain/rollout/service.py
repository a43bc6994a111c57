"""The Services of one LLMService: one per variant, behind the route's weights, and one for all pods. Pure.

Apart: each kind of child is rendered in a separate file, as in `httproute.py` and `engine/deployment.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.snapshot import Manifest


def service_names(candidate: ServiceCandidate, running: Mapping[str, RunningVariant]) -> dict[str, str]:
    """Names of the variant Services by variant: those to be, and those of what runs."""
    names = {
        variant: labels.variant_object_name(service=candidate.key.name, variant=variant, layout=layout)
        for variant, layout in candidate.layouts.items()
    }
    return {name: each.object_name for name, each in running.items()} | names


def render_variant_service(service: LLMService, *, variant: str, layout: str) -> Manifest:
    name = labels.variant_object_name(service=service.metadata.name, variant=variant, layout=layout)
    return _service(service, name=name, variant=variant, layout=layout)


def render_common_service(service: LLMService) -> Manifest:
    return _service(service, name=service.metadata.name)


def _service(service: LLMService, *, name: str, variant: str | None = None, layout: str | None = None) -> Manifest:
    owner = service.metadata
    return {
        "apiVersion": "v1",
        "kind": labels.CORE_SERVICE,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": labels.child_labels(
                service=owner.name, component=labels.COMPONENT_ENDPOINT, variant=variant, layout=layout
            ),
            "ownerReferences": [labels.owner_reference(service=owner.name, uid=owner.uid)],
        },
        "spec": {
            "type": "ClusterIP",
            "selector": labels.pod_selector(service=owner.name, variant=variant, layout=layout),
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
