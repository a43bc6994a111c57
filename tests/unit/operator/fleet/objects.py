"""Small objects for the tests of the fleet loop."""

from __future__ import annotations

from typing import Any

from medley_operator.api.v1alpha1 import API_VERSION, LLMService
from medley_operator.domain.values.labels import child_labels, key_of, owner_reference
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Observation, Snapshot

NOW = "2026-01-01T00:00:00Z"
_API_VERSIONS = {"Deployment": "apps/v1", "Service": "v1", "HTTPRoute": "gateway.networking.k8s.io/v1"}


def service_manifest(name: str = "chat", *, uid: str = "uid-chat", **spec: Any) -> Manifest:
    model = {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"}
    return {
        "apiVersion": API_VERSION,
        "kind": "LLMService",
        "metadata": {"name": name, "namespace": "demo", "uid": uid, "generation": 1},
        "spec": {"model": model} | spec,
    }


def service(name: str = "chat", *, uid: str = "uid-chat", status: Manifest | None = None) -> LLMService:
    return LLMService.model_validate(service_manifest(name, uid=uid) | {"status": status or {}})


def child(
    kind: str, name: str, *, owner: str = "chat", owner_uid: str = "uid-chat", uid: str | None = None
) -> Manifest:
    metadata: Manifest = {
        "name": name,
        "namespace": "demo",
        "labels": child_labels(service=owner, component="engine"),
        "ownerReferences": [owner_reference(service=owner, uid=owner_uid)],
    }
    if uid is not None:
        metadata["uid"] = uid
    return {"apiVersion": _API_VERSIONS[kind], "kind": kind, "metadata": metadata, "spec": {}}


def snapshot(
    *services: LLMService,
    children: list[Manifest] | None = None,
    observations: dict[ServiceKey, Observation] | None = None,
) -> Snapshot:
    by_key: dict[ObjectKey, Manifest] = {key_of(each): each for each in children or []}
    return Snapshot(
        services=services,
        pools=(),
        profiles=(),
        rejected=(),
        nodes=(),
        children=by_key,
        gateways=None,
        observations=observations or {},
    )
