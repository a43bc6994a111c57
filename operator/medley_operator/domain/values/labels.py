"""Names and labels of the objects that Medley makes, as docs/reference.md lists them.

Everything that writes, finds or counts a child takes its name and its labels from here. Pure.
"""

from __future__ import annotations

from medley_operator.api.v1alpha1 import API_VERSION
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

ENGINE_NAME = "vllm"
MANAGED_BY_VALUE = "medley"
COMPONENT_ENGINE = "engine"
COMPONENT_ENDPOINT = "endpoint"
COMPONENT_ROUTE = "route"
COMPONENT_BUDGET = "disruption-budget"

HTTP_PORT = 8000
HTTP_PORT_NAME = "http"

DEPLOYMENT = "Deployment"
CORE_SERVICE = "Service"
HTTP_ROUTE = "HTTPRoute"
DISRUPTION_BUDGET = "PodDisruptionBudget"


def child_labels(
    *, service: str, component: str, variant: str | None = None, pool: str | None = None
) -> dict[str, str]:
    """Labels of a child object; `variant` and `pool` are left out where None."""
    labels = {
        NAME: ENGINE_NAME,
        INSTANCE: service,
        COMPONENT: component,
        MANAGED_BY: MANAGED_BY_VALUE,
        SERVICE: service,
    }
    if variant is not None:
        labels[VARIANT] = variant
    if pool is not None:
        labels[POOL] = pool
    return labels


def owner_reference(*, service: str, uid: str) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "LLMService",
        "name": service,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def owner_uid(manifest: Manifest) -> str:
    """Uid of the controlling owner, or "" where there is none."""
    for reference in manifest.get("metadata", {}).get("ownerReferences") or []:
        if reference.get("controller"):
            return str(reference.get("uid", ""))
    return ""


def label(manifest: Manifest, key: str) -> str:
    return str((manifest.get("metadata", {}).get("labels") or {}).get(key, ""))


def key_of(manifest: Manifest) -> ObjectKey:
    metadata = manifest["metadata"]
    return ObjectKey(kind=manifest["kind"], namespace=metadata.get("namespace", ""), name=metadata["name"])


def variant_object_name(*, service: str, variant: str) -> str:
    """Name of the Deployment and of the Service of one variant."""
    return f"{service}-{variant}"
