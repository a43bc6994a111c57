"""Mode InferencePool: one pool of endpoints over all pods of the service, behind a Gateway.

An endpoint picker chooses a pod for each request by the length of its prompt and by load.

Medley makes the pool, the route to it and the picker's configuration, and says by labels which prompts a pod is for
(`prompt_ranges`). The picker itself is installed by whoever runs the Gateway (docs/routing.md). Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import EndpointPickerRef, LLMService
from medley_operator.domain.routing.gateway import (
    gateway_of,
    gateway_problem,
    is_there,
    own_route,
    reports_of,
    route_problem,
)
from medley_operator.domain.routing.httproute import accepted_backends, no_route_names_it, render_route, route_path
from medley_operator.domain.routing.router import ApplyCondition, DeleteCondition, RoutedService
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_planner.refusal import Refusal

POOL_GROUP = "inference.networking.k8s.io"
CONFIG_KEY = "config.yaml"
"""The file that the picker is started with (`--config-file`)."""
PICKER_CONFIGURATION = f"""\
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: context-length-aware
  parameters:
    label: {labels.PROMPT_RANGE}
    enableFiltering: false
- type: queue-scorer
- type: kv-cache-utilization-scorer
- type: prefix-cache-scorer
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: context-length-aware
    weight: 8
  - pluginRef: queue-scorer
    weight: 2
  - pluginRef: kv-cache-utilization-scorer
    weight: 2
  - pluginRef: prefix-cache-scorer
    weight: 3
"""
"""For llm-d's router, 0.10. Pods of other lengths are not filtered out: where those of the right one are gone or full,
a slow answer is better than none. The other scorers and their weights are the ones of llm-d's own chart."""


def picker_of(service: LLMService) -> EndpointPickerRef:
    """The picker that the service names, or by the name that llm-d's chart gives it in a release of the same name."""
    given = service.spec.routing.endpoint_picker_ref
    return given or EndpointPickerRef(name=f"{service.metadata.name}-epp")


def render_inference_pool(service: LLMService) -> Manifest:
    picker = picker_of(service)
    return {
        "apiVersion": f"{POOL_GROUP}/v1",
        "kind": labels.INFERENCE_POOL,
        "metadata": _metadata(service, service.metadata.name, component=labels.COMPONENT_POOL),
        "spec": {
            "selector": {"matchLabels": labels.pod_selector(service=service.metadata.name)},
            "targetPorts": [{"number": labels.HTTP_PORT}],
            "endpointPickerRef": {
                "group": "",
                "kind": labels.CORE_SERVICE,
                "name": picker.name,
                "port": {"number": picker.port},
                "failureMode": picker.failure_mode.value,
            },
        },
    }


def render_picker_configuration(service: LLMService) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": labels.CONFIG_MAP,
        "metadata": _metadata(service, labels.PICKER_CONFIG, component=labels.COMPONENT_PICKER),
        "data": {CONFIG_KEY: PICKER_CONFIGURATION},
    }


def _metadata(service: LLMService, name: str, *, component: str) -> Manifest:
    owner = service.metadata
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": labels.child_labels(service=owner.name, component=component),
        "ownerReferences": [labels.owner_reference(service=owner.name, uid=owner.uid)],
    }


def _backend(service: LLMService) -> Manifest:
    return {"group": POOL_GROUP, "kind": labels.INFERENCE_POOL, "name": service.metadata.name, "weight": 1}


_NEEDED = (labels.INFERENCE_POOL, labels.CONFIG_MAP)


@dataclass(frozen=True, slots=True)
class InferencePoolRouter:
    """Mode InferencePool: the picker splits requests. The route has one backend, so there are no weights of ours."""

    kinds: frozenset[str] = frozenset({labels.HTTP_ROUTE, *_NEEDED})
    shared: frozenset[str] = frozenset({labels.CONFIG_MAP})
    weighs: bool = False
    apply_conditions: Mapping[str, ApplyCondition] = field(default_factory=dict)
    delete_conditions: Mapping[str, DeleteCondition] = field(
        default_factory=lambda: {labels.INFERENCE_POOL: no_route_names_it}
    )

    def url(self, service: LLMService) -> str:
        return route_path(service)

    def wanted(
        self, given: RoutedService, weights: Mapping[str, int] | None, usable: Collection[str]
    ) -> tuple[Manifest, ...]:
        gateway = gateway_of(given.service)
        if gateway is None or given.gateways is None or _unlisted(given) is not None:
            return ()
        return (
            render_picker_configuration(given.service),
            render_inference_pool(given.service),
            render_route(given.service, gateway=gateway, backends=[_backend(given.service)]),
        )

    def weights(self, given: RoutedService) -> dict[str, int] | None:
        return None

    def asked(self, given: RoutedService, weights: Mapping[str, int] | None) -> Mapping[str, int] | None:
        """Before Ready replicas go, a route that sent requests to variants must send them to the pool, which drops pods
        that end by itself."""
        if not is_there(given) or _unlisted(given) is not None:
            return None
        return {f"{labels.INFERENCE_POOL}/{given.candidate.key.name}": 1}

    def accepted(self, given: RoutedService) -> Mapping[str, int] | None:
        return accepted_backends(given)

    def problem(self, given: RoutedService, *, planned: bool) -> Refusal | None:
        return (
            gateway_problem(given)
            or _kind_problem(given)
            or (_pool_problem(given) if planned else None)
            or route_problem(given, planned=planned)
        )


def _unlisted(given: RoutedService) -> str | None:
    """Why nothing can be made in this mode; None where all kinds can be listed."""
    return next((given.unlisted[kind] for kind in _NEEDED if kind in given.unlisted), None)


def _kind_problem(given: RoutedService) -> Refusal | None:
    namespace, name = given.candidate.key
    why = _unlisted(given)
    if why is None:
        return None
    return Refusal(
        "InferencePoolMissing",
        f"spec.routing.mode InferencePool needs the kind InferencePool ({POOL_GROUP}/v1): {why}. Install the CRDs "
        f"of the Gateway API Inference Extension and this version's ClusterRole, or set spec.routing.mode to "
        f"HTTPRoute; until then use Service {namespace}/{name}",
    )


def _pool_problem(given: RoutedService) -> Refusal | None:
    """Why the pool gets no requests from this Gateway or has no picker; None where its controller accepted both."""
    namespace, name = given.candidate.key
    home, gateway = gateway_of(given.service) or (namespace, "")
    shown = gateway if home == namespace else f"{home}/{gateway}"
    head = f'InferencePool {namespace}/{name} at Gateway "{shown}"'
    reports = reports_of(given.own.get(ObjectKey(labels.INFERENCE_POOL, namespace, name)), (home, gateway))
    if not reports and _faulty(own_route(given), (home, gateway)):
        return None  # the route says more
    if not reports:
        return Refusal(
            "PoolNotAccepted",
            f"{head}: no gateway controller has reported on the pool yet; check that the Gateway's controller supports "
            "the Gateway API Inference Extension, or set spec.routing.mode to HTTPRoute",
        )
    picker = picker_of(given.service)
    ways_out = {
        "ResolvedRefs": (
            "PickerMissing",
            f"install an endpoint picker behind Service {namespace}/{picker.name}, port {picker.port} "
            "(docs/routing.md), or name another in spec.routing.endpointPickerRef",
        ),
        "Accepted": (
            "PoolNotAccepted",
            "name a Gateway whose controller supports it, or set spec.routing.mode to HTTPRoute",
        ),
    }
    for type_, (reason, way_out) in ways_out.items():
        for found in _conditions(reports, type_):
            if found.get("status") == "False":
                said = f"{found.get('reason', '')}: {found.get('message', '')}"
                return Refusal(reason, f"{head}: {type_} is False ({said}); {way_out}")
    if not any(found.get("status") == "True" for found in _conditions(reports, "Accepted")):
        return Refusal("PoolNotAccepted", f"{head}: not accepted yet; check the Gateway's controller")
    return None


def _faulty(route: Manifest | None, gateway: tuple[str, str]) -> bool:
    """Whether the route itself is refused, for which the pool has no report."""
    reports = reports_of(route, gateway)
    every = [each for type_ in ("Accepted", "ResolvedRefs") for each in _conditions(reports, type_)]
    return not reports or any(each.get("status") == "False" for each in every)


def _conditions(reports: list[Manifest], type_: str) -> list[Manifest]:
    return [each for report in reports for each in report.get("conditions") or [] if each.get("type") == type_]
