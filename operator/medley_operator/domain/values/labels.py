"""Names and labels of the objects that Medley makes, as docs/reference.md lists them.

Everything that writes, finds or counts a child takes its name and its labels from here. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache

from medley_operator.api.v1alpha1 import API_VERSION, GROUP
from medley_operator.domain.values.snapshot import Manifest, ObjectKey

FIELD_MANAGER = "medley"
STATUS_FIELD_MANAGER = "medley-status"
CALIBRATION_FIELD_MANAGER = "medley-calibration"

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
MANAGED_BY = "app.kubernetes.io/managed-by"
SERVICE = "medley.dev/service"
VARIANT = "medley.dev/variant"
POOL = "medley.dev/pool"
LAYOUT = "medley.dev/layout"
"""The hash that ends the name of a variant's objects (`layout_hash`)."""

ENGINE_NAME = "vllm"
MANAGED_BY_VALUE = "medley"
COMPONENT_ENGINE = "engine"
COMPONENT_ENDPOINT = "endpoint"
COMPONENT_ROUTE = "route"
OWNER_KIND = "LLMService"

HASH_LENGTH = 8
MOST_NAME = 63
"""Kubernetes' limit on names of Services, and on label values."""
COMPONENT_BUDGET = "disruption-budget"
COMPONENT_POOL = "inference-pool"
COMPONENT_PICKER = "endpoint-picker"
PICKER_CONFIG = "medley-endpoint-picker"
"""Name of the ConfigMap, one in a namespace, so that the operator needs no right on other ConfigMaps."""
PROMPT_RANGE = "llm-d.ai/context-length-range"
"""Label of pods that llm-d's picker reads: the prompt lengths that they are for, such as 0-2048."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""Annotation of pods: those with a lower cost go first when their Deployment shrinks."""

HTTP_PORT = 8000
HTTP_PORT_NAME = "http"

DEPLOYMENT = "Deployment"
CORE_SERVICE = "Service"
HTTP_ROUTE = "HTTPRoute"
INFERENCE_POOL = "InferencePool"
CONFIG_MAP = "ConfigMap"
NODE = "Node"
POD = "Pod"
DISRUPTION_BUDGET = "PodDisruptionBudget"
POLICY = "MedleyPolicy"


def child_labels(
    *, service: str, component: str, variant: str | None = None, layout: str | None = None, pool: str | None = None
) -> dict[str, str]:
    """Labels of a child object; `variant`, `layout` and `pool` are left out where None."""
    labels = {
        NAME: ENGINE_NAME,
        INSTANCE: service,
        COMPONENT: component,
        MANAGED_BY: MANAGED_BY_VALUE,
        SERVICE: service,
    }
    if variant is not None:
        labels[VARIANT] = variant
    if layout is not None:
        labels[LAYOUT] = layout
    if pool is not None:
        labels[POOL] = pool
    return labels


def owner_reference(*, service: str, uid: str) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": OWNER_KIND,
        "name": service,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def pod_selector(*, service: str, variant: str | None = None, layout: str | None = None) -> dict[str, str]:
    """Labels that select the pods of one layout of one variant, or of the whole service."""
    selector = {MANAGED_BY: MANAGED_BY_VALUE, SERVICE: service}
    if variant is not None:
        selector[VARIANT] = variant
    if layout is not None:
        selector[LAYOUT] = layout
    return selector


def controller(manifest: Manifest) -> Manifest | None:
    """The owner reference of the controller, of whatever kind; None where there is none."""
    references = manifest.get("metadata", {}).get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def owner_uid(manifest: Manifest) -> str:
    """Uid of the LLMService that controls the object, or "" where nothing or something else does."""
    found = controller(manifest)
    if found is None or found.get("kind") != OWNER_KIND or group_of(found) != GROUP:
        return ""
    return str(found.get("uid", ""))


def group_of(reference: Manifest) -> str:
    """API group of what an owner reference names; "" for the core group."""
    return str(reference.get("apiVersion", "")).rpartition("/")[0]


def label(manifest: Manifest, key: str) -> str:
    return str((manifest.get("metadata", {}).get("labels") or {}).get(key, ""))


def selected(deployment: Manifest) -> Manifest:
    """The labels that a Deployment selects its pods by. Nobody can change them while it is there."""
    return dict((deployment.get("spec", {}).get("selector") or {}).get("matchLabels") or {})


def managed(found: Mapping[str, str] | None) -> bool:
    """Whether these labels of an object say that Medley made it."""
    return (found or {}).get(MANAGED_BY) == MANAGED_BY_VALUE


def key_of(manifest: Manifest) -> ObjectKey:
    metadata = manifest["metadata"]
    return ObjectKey(kind=manifest["kind"], namespace=metadata.get("namespace", ""), name=metadata["name"])


def layout_hash(
    *,
    service: str,
    variant: str,
    pool: str,
    gpus_per_replica: int,
    engine_flags: Iterable[tuple[str, str]],
    kv_format: str,
) -> str:
    """Hash of all that makes a variant what it is, in characters that a name may hold.

    What is not in it (the image, arguments that users add) rolls inside the Deployment.

    The owner's name is in it and not its uid: after a restore from a backup the uid is another, and what serves must
    keep its name. Service and variant are in it so that "a" + "b-c" and "a-b" + "c" differ, as do long names that are
    cut (docs/adr/0009).
    """
    return _hash(service, variant, pool, gpus_per_replica, tuple(sorted(engine_flags)), kv_format)


# A round asks for those of all variants of all services again; 16 variants of 1000 services take 10 MB.
@lru_cache(maxsize=16384, typed=True)
def _hash(*content: object) -> str:
    digest = hashlib.sha256(json.dumps(content).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:HASH_LENGTH]


def variant_object_name(*, service: str, variant: str, layout: str) -> str:
    """Name of the Deployment and of the Service of one variant. A long one is cut: the hash tells them apart."""
    return f"{f'{service}-{variant}'[: MOST_NAME - len(layout) - 1].rstrip('-.')}-{layout}"
