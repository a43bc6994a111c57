"""Routing objects on a real API server with the real CRDs of the Gateway API and its Inference Extension.

The test plays the gateway's controller; the operator runs as the chart's own ServiceAccount, on a control plane of the
module's own with controllers and kwok, so that pods come and go.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.controlplane import ControlPlane, kwok_node
from medley_operator.domain.routing.router import RoutedService
from medley_operator.domain.routing.routers import ROUTERS
from medley_operator.domain.values.candidates import Disposition, ServiceCandidate
from medley_operator.domain.values.labels import PROMPT_RANGE
from medley_operator.domain.values.snapshot import Manifest
from tests.contract.apiserver import Api, Json
from tests.contract.operator_process import OperatorProcess, chart_account, denied, running_operator, wait_for
from tests.unit.operator import factories as make

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMESPACE, NAME = "demo", "assistant"
GATEWAY = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}"
POOLS = f"/apis/inference.networking.k8s.io/v1/namespaces/{NAMESPACE}/inferencepools"
CONFIG = f"/api/v1/namespaces/{NAMESPACE}/configmaps/medley-endpoint-picker"
SERVICE = f"/apis/medley.dev/v1alpha1/namespaces/{NAMESPACE}/llmservices/{NAME}"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=medley.dev/service={NAME}"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane.start(controllers=True, kwok=True) as plane:
        yield plane


@pytest.fixture(scope="module")
def admin(plane: ControlPlane) -> Iterator[Api]:
    """With all CRDs, nodes of the quickstart's pools, and its objects but for its service."""
    client = Api(plane)
    plane.apply_gateway_api_crds()
    plane.apply_inference_pool_crds()
    client.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    client.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/llmservices.medley.dev")
    for gpu in ("L4", "H100"):
        node = kwok_node(f"node-{gpu.lower()}", gpus=8, labels={"medley.dev/gpu": gpu})
        client.kubectl("apply", "-f", "-", stdin=json.dumps(node))
    for name in ("namespace", "pools", "runtime-profile", "gateway"):
        client.kubectl("apply", "--server-side", "-f", str(EXAMPLES / "quickstart" / f"{name}.yaml"))
    yield client
    client.close()


@pytest.fixture(scope="module")
def operator(plane: ControlPlane, admin: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    _, kubeconfig = chart_account(plane, admin, ROOT)
    with running_operator(kubeconfig, tmp_path_factory.mktemp("operator"), "--resync-seconds", "2") as operator:
        operator.wait_ready()
        yield operator


def rendered(mode: str) -> tuple[Manifest, ...]:
    """The objects that the router of a mode wants."""
    spec = {"routing": {"mode": mode, "gatewayRef": {"name": "inference"}}}
    candidate = ServiceCandidate(make.service(spec=spec), Disposition.PLANNED)
    given = RoutedService(candidate, {}, {}, gateways=frozenset({(NAMESPACE, "inference")}))
    router = next(router for each, router in ROUTERS.items() if each.value == mode)
    return router.wanted(given, {}, ["llama"])


@pytest.mark.parametrize("mode", ["HTTPRoute", "InferencePool"])
def test_rendered_objects_are_accepted_as_they_are(admin: Api, mode: str) -> None:
    plural = {"HTTPRoute": "httproutes", "InferencePool": "inferencepools", "ConfigMap": "configmaps"}
    for manifest in rendered(mode):
        kind, version, name = manifest["kind"], manifest["apiVersion"], manifest["metadata"]["name"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        path = f"{root}/namespaces/{NAMESPACE}/{plural[kind]}/{name}"
        query = "fieldManager=medley&force=true&dryRun=All&fieldValidation=Strict"
        status, answer = admin.apply(f"{path}?{query}", manifest)
        assert status == 201, answer
        for field in ("spec", "data"):
            assert manifest.get(field, {}).items() <= answer.get(field, {}).items() or kind == "InferencePool", answer
    if mode == "InferencePool":
        (pool,) = (each for each in rendered(mode) if each["kind"] == mode)
        broken = {**pool, "spec": {**pool["spec"], "targetPorts": []}}
        assert admin.apply(f"{POOLS}/llama?fieldManager=medley&dryRun=All", broken)[0] == 422


def condition(admin: Api, type_: str) -> Json:
    conditions = admin.request("GET", SERVICE)[1].get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == type_), {})


def report(admin: Api, path: str, gateway: Json, **conditions: tuple[str, str]) -> None:
    """What the gateway's controller says of an object: status and reason by condition."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    said = [
        {"type": type_, "status": status, "reason": reason, "message": "by the test", "lastTransitionTime": now}
        for type_, (status, reason) in conditions.items()
    ]
    parent = {"parentRef": gateway, "controllerName": "e2e.medley.dev/test", "conditions": said}
    answer = admin.merge(f"{path}/status", {"status": {"parents": [parent]}})
    assert answer[0] == 200, answer


GOOD = {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
HERE = {"name": "inference"}


def pods(admin: Api) -> list[Json]:
    items: list[Json] = admin.request("GET", PODS)[1]["items"]
    return items


def test_a_service_behind_a_pool_is_routed_once_gateway_and_picker_say_so(
    plane: ControlPlane, admin: Api, operator: OperatorProcess
) -> None:
    since = time.time()
    admin.kubectl("apply", "-f", str(EXAMPLES / "inference-pool" / "service.yaml"))
    pool, route = f"{POOLS}/{NAME}", f"{GATEWAY}/httproutes/{NAME}"
    wait_for("a route", lambda: admin.request("GET", route)[0] == 200)
    (backend,) = admin.request("GET", route)[1]["spec"]["rules"][0]["backendRefs"]
    assert (backend["kind"], backend["name"]) == ("InferencePool", NAME)
    assert admin.request("GET", pool)[1]["spec"]["endpointPickerRef"]["name"] == f"{NAME}-epp"
    assert "context-length-aware" in admin.request("GET", CONFIG)[1]["data"]["config.yaml"]
    report(admin, route, HERE, **GOOD)
    wait_for("no word on the pool", lambda: condition(admin, "RoutingReady").get("reason") == "PoolNotAccepted")
    report(admin, pool, HERE, Accepted=("True", "Accepted"), ResolvedRefs=("False", "InvalidExtensionRef"))
    wait_for("no picker", lambda: condition(admin, "RoutingReady").get("reason") == "PickerMissing")
    assert f"Service {NAMESPACE}/{NAME}-epp, port 9002" in condition(admin, "RoutingReady")["message"]
    report(admin, pool, HERE, **GOOD)
    wait_for("it is routed", lambda: condition(admin, "RoutingReady").get("reason") == "Routed")
    wait_for("labels", lambda: bool(pods(admin)) and all(PROMPT_RANGE in p["metadata"]["labels"] for p in pods(admin)))
    (row,) = admin.request("GET", SERVICE)[1]["status"]["variants"]
    assert {each["metadata"]["labels"][PROMPT_RANGE] for each in pods(admin)} == {row["promptRange"]} == {"0-16384"}
    deployments = admin.request("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")[1]["items"]
    assert all(PROMPT_RANGE not in each["spec"]["template"]["metadata"]["labels"] for each in deployments)
    assert denied([e for e in plane.audit_events(since=since) if "medley-system:" in e["user"]["username"]]) == []


def held_gpus(admin: Api, pool: str) -> int:
    """GPUs that replicas hold, by the status of their GPUPool."""
    status = admin.request("GET", f"/apis/medley.dev/v1alpha1/gpupools/{pool}")[1]["status"]
    return int(status["stockGpus"]) - int(status["freeGpus"])


def test_a_settled_pool_is_not_written_again(plane: ControlPlane, operator: OperatorProcess, admin: Api) -> None:
    wait_for("it is routed", lambda: condition(admin, "RoutingReady").get("reason") == "Routed")
    wait_for("its replica to be Ready", lambda: condition(admin, "WorkloadsReady").get("reason") == "AllReady")
    # A replica that was bound holds its GPUs in the pool's status from the planner's next look on: that is one write.
    (row,) = admin.request("GET", SERVICE)[1]["status"]["variants"]
    wait_for("the pool to tell its GPUs", lambda: held_gpus(admin, row["pool"]) == row["ready"] * row["gpus"])
    since = time.time()
    time.sleep(5.0)
    events = [e for e in plane.audit_events(since=since) if "medley-system:" in e["user"]["username"]]
    assert [e["requestURI"] for e in events if e["verb"] not in ("get", "list", "watch")] == []


def test_from_a_pool_to_weights_and_the_pool_goes_after_the_route(
    plane: ControlPlane, admin: Api, operator: OperatorProcess
) -> None:
    since = time.time()
    change = [{"op": "replace", "path": "/spec/routing", "value": {"gatewayRef": HERE}}]
    admin.kubectl("patch", "llms", NAME, "-n", NAMESPACE, "--type=json", "-p", json.dumps(change))
    for path in (f"{POOLS}/{NAME}", CONFIG):
        wait_for(f"{path} is gone", lambda path=path: admin.request("GET", path)[0] == 404)  # type: ignore[misc]
    backends = admin.request("GET", f"{GATEWAY}/httproutes/{NAME}")[1]["spec"]["rules"][0]["backendRefs"]
    assert {each.get("kind") for each in backends} == {"Service"}
    made = [
        (e["verb"], e["objectRef"]["resource"])
        for e in plane.audit_events(since=since)
        if "medley-system:" in e["user"]["username"] and e["verb"] in ("patch", "delete")
    ]
    assert made.index(("patch", "httproutes")) < made.index(("delete", "inferencepools"))


def test_a_deleted_service_leaves_nothing(admin: Api, operator: OperatorProcess) -> None:
    back = {"mode": "InferencePool", "gatewayRef": HERE}
    change = [{"op": "replace", "path": "/spec/routing", "value": back}]
    admin.kubectl("patch", "llms", NAME, "-n", NAMESPACE, "--type=json", "-p", json.dumps(change))
    for path in (f"{POOLS}/{NAME}", CONFIG):
        wait_for(f"{path} is there", lambda path=path: admin.request("GET", path)[0] == 200)  # type: ignore[misc]
    admin.kubectl("delete", "llms", NAME, "-n", NAMESPACE)
    for path in (f"{POOLS}/{NAME}", CONFIG, f"{GATEWAY}/httproutes/{NAME}"):
        # Garbage collection learns of new kinds each 30 s, and of these maybe only the next time.
        wait_for(
            f"{path} is gone",
            lambda path=path: admin.request("GET", path)[0] == 404,  # type: ignore[misc]
            timeout_seconds=120.0,
        )
    assert yaml.safe_load((EXAMPLES / "inference-pool" / "service.yaml").read_text())["metadata"]["name"] == NAME


def test_a_gateway_of_the_platform_needs_its_policy_and_its_listeners(admin: Api, operator: OperatorProcess) -> None:
    """Both say no first, and each says why; the pods come all the same once the policy allows the Gateway."""
    admin.kubectl("create", "namespace", "platform")
    edge = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "edge", "namespace": "platform"}}  # fmt: skip
    listener: Json = {"name": "http", "protocol": "HTTP", "port": 80}
    spec: Json = {"gatewayClassName": "demo", "listeners": [listener]}
    admin.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({**edge, "spec": spec}))
    shown = admin.request("GET", "/apis/gateway.networking.k8s.io/v1/namespaces/platform/gateways/edge")[1]
    assert shown["spec"]["listeners"][0]["allowedRoutes"]["namespaces"] == {"from": "Same"}
    service = yaml.safe_load((EXAMPLES / "inference-pool" / "service.yaml").read_text())
    there = {"name": "edge", "namespace": "platform"}
    service["spec"]["routing"] = {"gatewayRef": there}
    admin.kubectl("apply", "-f", "-", stdin=json.dumps(service))
    wait_for("the policy", lambda: condition(admin, "PlanReady").get("reason") == "PolicyDenied")
    assert "no MedleyPolicy" in condition(admin, "PlanReady")["message"]
    limits = {"gateways": [there]}
    policy = {"apiVersion": "medley.dev/v1alpha1", "kind": "MedleyPolicy", "metadata": {"name": "edge"}}
    admin.kubectl("apply", "-f", "-", stdin=json.dumps({**policy, "spec": {"limits": limits}}))
    route = f"{GATEWAY}/httproutes/{NAME}"
    wait_for("a route", lambda: admin.request("GET", route)[0] == 200)
    (parent,) = admin.request("GET", route)[1]["spec"]["parentRefs"]
    assert (parent["namespace"], parent["name"]) == ("platform", "edge")
    report(admin, route, there, Accepted=("False", "NotAllowedByListeners"))
    wait_for("the listener", lambda: "allowedRoutes" in condition(admin, "RoutingReady").get("message", ""))
    assert condition(admin, "RoutingReady")["reason"] == "RouteNotAccepted"
    listener["allowedRoutes"] = {"namespaces": {"from": "All"}}
    admin.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({**edge, "spec": spec}))
    report(admin, route, there, **GOOD)
    wait_for("it is routed", lambda: condition(admin, "RoutingReady").get("reason") == "Routed")
    admin.kubectl("delete", "llms", NAME, "-n", NAMESPACE)
