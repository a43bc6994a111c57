"""The cluster by LIST requests to the API server, and the gateway's part of the routes' status.

Reads engine pods, our Services, our HTTPRoutes and all Gateways on each call, nodes only when a pod sits on one that is
not known yet. Writes nothing but `status` of HTTPRoutes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from e2e.fleet import gateway
from e2e.fleet.cluster import Backend, ClusterState, ClusterUnavailable, EnginePod, Key, Route
from medley_operator.domain.values import labels

GPU_LABEL = "medley.dev/gpu"
DEFAULT_GRACE_SECONDS = 30.0
_GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
_ENGINES = f"{labels.COMPONENT}={labels.COMPONENT_ENGINE}"
_OURS = f"{labels.MANAGED_BY}={labels.MANAGED_BY_VALUE}"


class KubeView:
    """A `ClusterView` of a real API server; `client` carries its address and credentials."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._gpus: dict[str, str] = {}

    async def read(self) -> ClusterState:
        try:
            return await self._read()
        except httpx.HTTPError as error:
            raise ClusterUnavailable(f"{type(error).__name__}: {error}") from error

    async def _read(self) -> ClusterState:
        manifests = await self._list("/api/v1/pods", _ENGINES)
        nodes = {pod["spec"].get("nodeName", "") for pod in manifests} - {""}
        if nodes - self._gpus.keys():
            self._gpus = {
                node["metadata"]["name"]: labels.label(node, GPU_LABEL) for node in await self._list("/api/v1/nodes")
            }
        services = await self._list("/api/v1/services", _OURS)
        routes = await self._list(f"{_GATEWAY_API}/httproutes", _OURS)
        gateways = {key_of(entry) for entry in await self._list(f"{_GATEWAY_API}/gateways")} if routes else set()
        models = await self._list("/apis/medley.dev/v1alpha1/llmservices")
        for route in routes:
            await self._answer(route, gateways)
        pods = [pod_of(manifest, self._gpus) for manifest in manifests if manifest["spec"].get("nodeName")]
        return ClusterState(
            pods={pod.key: pod for pod in pods},
            selectors={key_of(entry): entry["spec"].get("selector") or {} for entry in services},
            routes={key_of(entry): route_of(entry) for entry in routes if _owned(entry)},
            model_configs={
                key_of(entry): text for entry in models if (text := entry["spec"]["model"].get("configJson"))
            },
        )

    async def _list(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        answer = await self._client.get(path, params={"labelSelector": selector} if selector else {})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []  # the CRDs of this kind are not installed
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def _answer(self, route: dict[str, Any], gateways: set[Key]) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        parents = gateway.parents_to_write(route, gateways=gateways, now=now)
        if parents is None:
            return
        key = key_of(route)
        answer = await self._client.patch(
            f"{_GATEWAY_API}/namespaces/{key.namespace}/httproutes/{key.name}/status",
            content=json.dumps({"status": {"parents": parents}}),
            headers={"Content-Type": "application/merge-patch+json"},
        )
        if answer.is_success:
            route["status"] = answer.json().get("status")
        elif answer.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            print(f"fleet: status of HTTPRoute {key}: {answer.status_code} {answer.text}", file=sys.stderr, flush=True)


def key_of(manifest: Mapping[str, Any]) -> Key:
    metadata = manifest["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def pod_of(manifest: dict[str, Any], gpus: Mapping[str, str]) -> EnginePod:
    """`gpus` is the GPU type by node."""
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or []}
    terminating = bool(metadata.get("deletionTimestamp"))
    return EnginePod(
        key=key_of(manifest),
        labels=metadata.get("labels") or {},
        service=labels.label(manifest, labels.SERVICE),
        variant=labels.label(manifest, labels.VARIANT),
        pool=labels.label(manifest, labels.POOL),
        gpu=gpus.get(spec.get("nodeName", ""), ""),
        args=tuple(spec["containers"][0].get("args") or ()),
        ready=not terminating and status.get("phase") == "Running" and conditions.get("Ready") == "True",
        terminating=terminating,
        grace_seconds=float(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)),
    )


def route_of(manifest: Mapping[str, Any]) -> Route:
    rules = manifest["spec"].get("rules") or []
    references = [reference for rule in rules[:1] for reference in rule.get("backendRefs") or []]
    return Route(
        key=key_of(manifest),
        accepted=gateway.accepted(manifest),
        backends=tuple(Backend(service=ref["name"], weight=int(ref.get("weight", 1))) for ref in references),
    )


def _owned(route: Mapping[str, Any]) -> bool:
    metadata = route["metadata"]
    return any(
        owner.get("kind") == "LLMService" and owner.get("name") == metadata["name"]
        for owner in metadata.get("ownerReferences") or []
    )
