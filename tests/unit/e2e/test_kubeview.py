"""Reading the cluster over HTTP, against an API server that the test plays."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from e2e.fleet.cluster import Backend, ClusterUnavailable, Key
from e2e.fleet.kubeview import KubeView

GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
OURS = {"app.kubernetes.io/managed-by": "medley", "medley.dev/service": "llama"}
ENGINE = {**OURS, "medley.dev/variant": "l4", "medley.dev/pool": "l4"}


def manifest(name: str, *, labels: dict[str, str] | None = None, **parts: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "demo",
        "labels": labels or OURS,
        "generation": 1,
        **parts.pop("metadata", {}),
    }
    return {"metadata": metadata, **parts}


def engine_pod(
    name: str, *, node: str = "n1", ready: str = "True", phase: str = "Running", **metadata: str
) -> dict[str, Any]:
    return manifest(
        name,
        labels=ENGINE,
        metadata=metadata,
        spec={"nodeName": node, "terminationGracePeriodSeconds": 90, "containers": [{"args": ["org/model", "--x=1"]}]},
        status={"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
    )


class Api:
    """Answers LIST from `kinds` (a kind that is not there is 404) and keeps what was patched."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.kinds: dict[str, list[dict[str, Any]]] = {
            "/api/v1/pods": [],
            "/api/v1/services": [],
            "/api/v1/nodes": [{"metadata": {"name": "n1", "labels": {"medley.dev/gpu": "L4"}}}],
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.method == "PATCH":
            body = json.loads(request.content)
            self.patched.append((request.url.path, body))
            for route in self.kinds[f"{GATEWAY_API}/httproutes"]:
                route.update(body)
            return httpx.Response(200, json=body)
        found = self.kinds.get(request.url.path)
        return httpx.Response(404) if found is None else httpx.Response(200, json={"items": found})

    def view(self) -> KubeView:
        return KubeView(httpx.AsyncClient(base_url="https://api", transport=httpx.MockTransport(self)))


async def test_pods_carry_what_the_fleet_needs() -> None:
    api = Api()
    api.kinds["/api/v1/pods"] = [
        engine_pod("a"),
        engine_pod("unready", ready="False"),
        engine_pod("pending", phase="Pending"),
        engine_pod("ending", deletionTimestamp="2026-01-01T00:00:00Z"),
        engine_pod("unbound", node=""),
    ]
    state = await api.view().read()
    assert {key.name: (entry.ready, entry.terminating) for key, entry in state.pods.items()} == {
        "a": (True, False),
        "unready": (False, False),
        "pending": (False, False),
        "ending": (False, True),
    }
    found = state.pods[Key("demo", "a")]
    assert (found.service, found.variant, found.pool, found.gpu) == ("llama", "l4", "l4", "L4")
    assert (found.args, found.grace_seconds) == (("org/model", "--x=1"), 90.0)


async def test_nodes_are_read_again_only_for_a_node_that_is_not_known() -> None:
    api = Api()
    api.kinds["/api/v1/pods"] = [engine_pod("a")]
    view = api.view()
    await view.read()
    await view.read()
    assert api.asked.count("GET /api/v1/nodes") == 1
    api.kinds["/api/v1/nodes"].append({"metadata": {"name": "n2", "labels": {"medley.dev/gpu": "H100"}}})
    api.kinds["/api/v1/pods"].append(engine_pod("b", node="n2"))
    assert (await view.read()).pods[Key("demo", "b")].gpu == "H100"


async def test_a_route_is_answered_as_a_gateway_would_and_then_counts() -> None:
    api = Api()
    owner = {"ownerReferences": [{"kind": "LLMService", "name": "llama"}]}
    backends = [{"name": "llama-l4", "weight": 250}, {"name": "llama-h100", "weight": 0}]
    spec = {"parentRefs": [{"kind": "Gateway", "name": "inference"}], "rules": [{"backendRefs": backends}]}
    api.kinds[f"{GATEWAY_API}/httproutes"] = [manifest("llama", metadata=owner, spec=spec)]
    api.kinds[f"{GATEWAY_API}/gateways"] = []
    view = api.view()
    assert not (await view.read()).routes[Key("demo", "llama")].accepted
    assert api.patched == []
    api.kinds[f"{GATEWAY_API}/gateways"] = [manifest("inference")]
    route = (await view.read()).routes[Key("demo", "llama")]
    assert route.accepted
    assert route.backends == (Backend("llama-l4", 250), Backend("llama-h100", 0))
    assert [path for path, _ in api.patched] == [f"{GATEWAY_API}/namespaces/demo/httproutes/llama/status"]
    await view.read()
    assert len(api.patched) == 1


async def test_a_route_that_no_service_owns_is_not_the_data_path() -> None:
    api = Api()
    api.kinds[f"{GATEWAY_API}/httproutes"] = [manifest("llama", spec={"parentRefs": [], "rules": []})]
    assert (await api.view().read()).routes == {}


async def test_selectors_and_model_configs_are_read() -> None:
    api = Api()
    api.kinds["/api/v1/services"] = [manifest("llama", spec={"selector": OURS})]
    api.kinds["/apis/medley.dev/v1alpha1/llmservices"] = [
        manifest("llama", spec={"model": {"configJson": "{}"}}),
        manifest("other", spec={"model": {}}),
    ]
    state = await api.view().read()
    assert state.selectors == {Key("demo", "llama"): OURS}
    assert state.model_configs == {Key("demo", "llama"): "{}"}


async def test_an_api_server_that_fails_is_reported() -> None:
    view = KubeView(
        httpx.AsyncClient(base_url="https://api", transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    )
    with pytest.raises(ClusterUnavailable, match="500"):
        await view.read()
