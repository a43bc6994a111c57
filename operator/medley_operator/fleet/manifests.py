"""Manifests of what is written about our own objects: statuses and Events. Pure.

Apart: pure, while its user writes to the cluster.
"""

from __future__ import annotations

from medley_operator.domain.values.decision import EventNote, StatusWrite
from medley_operator.domain.values.printable import printable
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.resources import BY_KIND, EVENTS

REPORTING_CONTROLLER = "medley.dev/operator"
CLUSTER_EVENT_NAMESPACE = "default"
"""Where Kubernetes keeps Events about objects without a namespace."""
MAX_NOTE_BYTES = 1024
"""Limit of the API server, in UTF-8."""


def status_manifest(write: StatusWrite) -> Manifest:
    """The manifest for the status subresource.

    For custom resources the API server passes over the uid there: an object that was replaced by one of the same name
    since the look gets the status of the old one until the next round.
    """
    return {
        "apiVersion": BY_KIND[write.key.kind].api_version,
        "kind": write.key.kind,
        "metadata": _metadata(write.key),
        "status": write.status,
    }


def event_manifest(note: EventNote, *, timestamp: str, instance: str) -> Manifest:
    """An Event of events.k8s.io/v1. `timestamp` is RFC 3339 with microseconds."""
    regarding = note.regarding
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {
            "generateName": f"{regarding.name}-",
            "namespace": regarding.namespace or CLUSTER_EVENT_NAMESPACE,
        },
        "eventTime": timestamp,
        "reportingController": REPORTING_CONTROLLER,
        "reportingInstance": instance,
        "action": "Reconcile",
        "type": note.type.value,
        "reason": note.reason,
        "note": _shortened(printable(note.message)),
        "regarding": _metadata(regarding)
        | {"apiVersion": BY_KIND[regarding.kind].api_version, "kind": regarding.kind, "uid": note.uid},
    }


def _shortened(message: str) -> str:
    data = message.encode()
    if len(data) <= MAX_NOTE_BYTES:
        return message
    # A character cut in half is left out.
    return data[: MAX_NOTE_BYTES - 3].decode(errors="ignore") + "…"


def _metadata(key: ObjectKey) -> dict[str, str]:
    return {"name": key.name, "namespace": key.namespace} if key.namespace else {"name": key.name}
