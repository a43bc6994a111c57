"""Labels, annotations and settings of an engine's pod beyond what serving needs: for other systems, or the platform's.

Labels of llm-d let its router, its metrics and cost tools find the pods. Pure.
"""

from __future__ import annotations

import re

from medley_operator.api.v1alpha1 import GPUPool, LLMService, NodePreference, PodOverlay, PodVolume, SpreadPreference
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.engine.pod_parts import PodParts
from medley_operator.domain.engine.startup_protection import PROTECTION
from medley_operator.domain.values.snapshot import Manifest

QUEUE_NAME = "kueue.x-k8s.io/queue-name"
SERVING = "llm-d.ai/inference-serving"
MODEL = "llm-d.ai/model"
ROLE = "llm-d.ai/role"
ROLE_WHOLE = "prefill-decode"
"""One pod does both phases of a request."""
_LABEL_LENGTH = 63


def pod_labels(service: LLMService, overlay: PodOverlay, pool: GPUPool) -> dict[str, str]:
    """Labels of a pod beside those that every child has."""
    return {
        **overlay.labels,
        SERVING: "true",
        MODEL: _label_value(served_model_name(service)),
        ROLE: ROLE_WHOLE,
        **queue_labels(overlay, pool),
    }


def queue_labels(overlay: PodOverlay, pool: GPUPool) -> dict[str, str]:
    """The queue, on Deployment and pod alike: Kueue admits pods one by one, and finds their queue by either. The pool's
    goes before the profile's, since its quota is of the pool's GPUs."""
    name = overlay.queue_name if pool.spec.queue is None else pool.spec.queue.name
    return {} if name is None else {QUEUE_NAME: name}


def pod_annotations(overlay: PodOverlay) -> dict[str, str]:
    return {**overlay.annotations, **PROTECTION}


def overlay_parts(overlay: PodOverlay) -> PodParts:
    return PodParts(
        env=tuple({"name": each.name, "value": each.value} for each in overlay.env),
        volumes=tuple(_volume(each) for each in overlay.volumes),
        mounts=tuple(
            {"name": each.name, "mountPath": each.mount_path, **({"readOnly": True} if each.read_only else {})}
            for each in overlay.volume_mounts
        ),
    )


def pod_settings(overlay: PodOverlay, *, own_pods: dict[str, str], own_affinity: Manifest) -> Manifest:
    """Fields of the pod's spec; `own_pods` are the labels of all pods of the service, and `own_affinity` is what
    Medley prefers itself."""
    settings: Manifest = {
        "runtimeClassName": overlay.runtime_class_name,
        "schedulerName": overlay.scheduler_name,
        "priorityClassName": overlay.priority_class_name,
        "imagePullSecrets": [{"name": each.name} for each in overlay.image_pull_secrets],
        "affinity": _affinity(overlay, own_pods, own_affinity),
    }
    return {name: value for name, value in settings.items() if value}


def _volume(volume: PodVolume) -> Manifest:
    source = volume.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name"})
    return {"name": volume.name, **source}


def _affinity(overlay: PodOverlay, own_pods: dict[str, str], own_affinity: Manifest) -> Manifest:
    """Preferences of Medley, and then those of the platform."""
    nodes = [_nodes(each) for each in overlay.node_affinity]
    apart = [_apart(each, own_pods) for each in overlay.pod_anti_affinity]
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    apart = [*own_affinity.get("podAntiAffinity", {}).get(preferred, []), *apart]
    return {
        **own_affinity,
        **({"nodeAffinity": {preferred: nodes}} if nodes else {}),
        **({"podAntiAffinity": {preferred: apart}} if apart else {}),
    }


def _nodes(preference: NodePreference) -> Manifest:
    expressions = [
        {"key": each.key, "operator": each.operator.value, "values": list(each.values)}
        for each in preference.match_expressions
    ]
    return {"weight": preference.weight, "preference": {"matchExpressions": expressions}}


def _apart(preference: SpreadPreference, own_pods: dict[str, str]) -> Manifest:
    term = {
        "topologyKey": preference.topology_key,
        "labelSelector": {"matchLabels": dict(preference.match_labels or own_pods)},
    }
    return {"weight": preference.weight, "podAffinityTerm": term}


def _label_value(text: str) -> str:
    """`text` within what a label's value may be."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:_LABEL_LENGTH].strip("-._")
