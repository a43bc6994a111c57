"""The Services of one LLMService, which it has in every mode: one per variant, behind the route's weights, and one for
all pods; and the mode Service, in which clients use the latter. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.routing.router import ApplyCondition, DeleteCondition, RoutedService
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.refusal import Refusal


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


@dataclass(frozen=True, slots=True)
class ServiceRouter:
    """Mode Service: each Ready pod gets an equal share, by the common Service. There is nothing to accept."""

    kinds: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    weighs: bool = False
    apply_conditions: Mapping[str, ApplyCondition] = field(default_factory=dict)
    delete_conditions: Mapping[str, DeleteCondition] = field(default_factory=dict)

    def url(self, service: LLMService) -> str:
        return f"http://{service.metadata.name}.{service.metadata.namespace}.svc:{labels.HTTP_PORT}"

    def wanted(
        self, given: RoutedService, weights: Mapping[str, int] | None, usable: Collection[str]
    ) -> tuple[Manifest, ...]:
        return ()

    def weights(self, given: RoutedService) -> dict[str, int] | None:
        return None

    def asked(self, given: RoutedService, weights: Mapping[str, int] | None) -> Mapping[str, int] | None:
        return None

    def accepted(self, given: RoutedService) -> Mapping[str, int] | None:
        return None

    def problem(self, given: RoutedService, *, planned: bool) -> Refusal | None:
        return None
