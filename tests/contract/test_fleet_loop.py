"""The operator as a process against a real API server, as the chart's own ServiceAccount.

Runs on a separate control plane without controllers: the operator acts on every LLMService of a cluster, and what makes
pods of Deployments is not tested here. Ordered: the first test wants a cluster without CRDs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.controlplane import ControlPlane
from medley_operator.api.v1alpha1 import API_VERSION
from tests.contract.apiserver import Api
from tests.contract.objects import gpu_pool, llm_service, profile, services_of
from tests.contract.operator_process import OperatorProcess, chart_account, denied, running_operator, wait_for

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
STEADY_SECONDS = 6.0
READ_VERBS = ("get", "list", "watch")


@pytest.fixture(scope="module")
def account(plane: ControlPlane, admin: Api) -> tuple[str, Path]:
    """User name and kubeconfig of the chart's ServiceAccount with exactly the chart's RBAC."""
    return chart_account(plane, admin, ROOT)


@pytest.fixture(scope="module")
def audit(plane: ControlPlane, account: tuple[str, Path]) -> Callable[[float], list[dict[str, Any]]]:
    """The operator's own requests since that time."""
    return lambda since: [e for e in plane.audit_events(since=since) if e["user"]["username"] == account[0]]


def apply_crds(admin: Api) -> None:
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))


def writes(events: list[dict[str, Any]]) -> list[str]:
    return [f"{event['verb']} {event['requestURI']}" for event in events if event["verb"] not in READ_VERBS]


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_missing_crds_are_told_and_waited_for(
    plane: ControlPlane, admin: Api, account: tuple[str, Path], tmp_path: Path
) -> None:
    with running_operator(account[1], tmp_path, "--resync-seconds", "60") as operator:
        wait_for("the loop says what is missing", lambda: "not installed" in operator.get("/readyz")[1])
        status, text = operator.get("/readyz")
        assert status == 503
        assert "CRDs of medley.dev are not installed" in text
        assert "kubectl apply --server-side -f crds/" in text
        assert operator.get("/healthz")[0] == 200
        apply_crds(admin)
        operator.wait_ready()
        told = [line for line in operator.lines() if line.get("reason") == "CrdsNotInstalled"]
        assert told
        assert all(line["level"] == "error" and "exception" not in line for line in told)


@pytest.fixture
def operator(admin: Api, account: tuple[str, Path], tmp_path: Path) -> Iterator[OperatorProcess]:
    apply_crds(admin)
    with running_operator(account[1], tmp_path, "--resync-seconds", "2") as operator:
        operator.wait_ready()
        yield operator


def test_sigterm_ends_it_with_status_0_and_leaves_no_process(operator: OperatorProcess) -> None:
    workers = operator.worker_pids()
    assert len(workers) == 1
    status, seconds = operator.stop()
    assert status == 0, operator.log.read_text()
    assert seconds < 3.0
    wait_for("the worker is gone", lambda: not any(exists(pid) for pid in workers), timeout_seconds=2.0)
    assert [line for line in operator.lines() if line["level"] != "info"] == []


def test_sigkill_leaves_no_process_either(operator: OperatorProcess) -> None:
    workers = operator.worker_pids()
    operator.process.kill()
    operator.process.wait()
    wait_for("the worker is gone", lambda: not any(exists(pid) for pid in workers), timeout_seconds=5.0)


def test_the_port_is_told_when_it_is_taken(
    operator: OperatorProcess, account: tuple[str, Path], tmp_path: Path
) -> None:
    port = operator.url.rpartition(":")[2]
    with running_operator(account[1], tmp_path, "--port", port) as second:
        assert second.process.wait(timeout=20) == 2
        assert "set --port" in second.lines()[-1]["error"]


def model_profiles() -> list[dict[str, Any]]:
    """Profiles of the layouts of the model on L4 that a plan may take, and one that cannot be used."""
    spec = {"model": "meta-llama/Llama-3.1-8B-Instruct", "gpu": "L4", "engineVersion": "0.32.0", "stepFactors": {}}
    return [
        {"apiVersion": API_VERSION, "kind": "ModelProfile", "metadata": {"name": name}, "spec": spec | changes}
        for name, changes in (
            ("tp1", {}),
            ("tp2", {"tensorParallel": 2}),
            ("tp4", {"tensorParallel": 4}),
            ("typo", {"gpu": "L44"}),
        )
    ]


def replicas(admin: Api) -> int:
    items = admin.request("GET", "/apis/apps/v1/namespaces/team/deployments")[1]["items"]
    return sum(item["spec"]["replicas"] for item in items)


def test_an_llm_service_becomes_deployments_and_then_nothing_is_written(
    operator: OperatorProcess, admin: Api, audit: Callable[[float], list[dict[str, Any]]]
) -> None:
    admin.kubectl("create", "namespace", "team")
    began = time.time()
    pools = "/apis/medley.dev/v1alpha1/gpupools"
    services = "/apis/medley.dev/v1alpha1/namespaces/team/llmservices"
    for path, body in (
        (pools, gpu_pool("l4", "L4", "0.805")),
        (pools, gpu_pool("h100", "H100", "6.880")),
        ("/apis/medley.dev/v1alpha1/runtimeprofiles", profile()),
        *(("/apis/medley.dev/v1alpha1/modelprofiles", each) for each in model_profiles()),
        (services, llm_service("4")),
    ):
        status, answer = admin.request("POST", path, body)
        assert status == 201, answer
    wait_for(f"a Deployment appears; log:\n{operator.log.read_text()}", lambda: replicas(admin) > 0)
    few = replicas(admin)
    chat = f"{services}/chat"
    # Statuses are written after the children.
    wait_for("a status", lambda: "status" in admin.request("GET", chat)[1])
    found = admin.request("GET", chat)[1]
    conditions = {each["type"]: each["reason"] for each in found["status"]["conditions"]}
    assert conditions["PlanReady"] == "Optimal"
    assert found["status"]["desiredReplicas"] == few
    assert {each["provenance"] for each in found["status"]["variants"] if each["desired"]} == {"measured"}
    measured = admin.request("GET", "/apis/medley.dev/v1alpha1/modelprofiles")[1]["items"]
    told = {each["metadata"]["name"]: [c["reason"] for c in each["status"]["conditions"]] for each in measured}
    assert told == {
        "tp1": ["Accepted", "InUse"],
        "tp2": ["Accepted", "InUse"],
        "tp4": ["Accepted", "InUse"],
        "typo": ["UnknownGpu", "NotAccepted"],
    }

    # An event, not the resync, is what starts the next round.
    change = {"spec": {"workload": {"static": llm_service("40")["spec"]["workload"]["static"]}}}
    admin.kubectl("patch", "llms", "chat", "-n", "team", "--type=merge", "-p", json.dumps(change))
    wait_for("more replicas for more load", lambda: replicas(admin) > few)

    time.sleep(2.0)
    calm = time.time()
    time.sleep(STEADY_SECONDS)
    assert operator.get("/healthz")[0] == 200
    assert writes(audit(calm)) == []
    assert denied(audit(began)) == []
    log = operator.lines()
    assert [line for line in log if line["level"] in ("warning", "error", "critical")] == []
    metrics = operator.get("/metrics")[1]
    assert 'medley_service_request_rate{namespace="team",service="chat"} 40.0' in metrics


def test_a_deleted_service_takes_its_figures_along(operator: OperatorProcess, admin: Api) -> None:
    wait_for("figures", lambda: 'service="chat"' in operator.get("/metrics")[1])
    admin.kubectl("delete", "llms", "chat", "-n", "team")
    wait_for("no figures", lambda: 'service="chat"' not in operator.get("/metrics")[1])
    assert exists(operator.process.pid)


def test_a_gateway_without_the_gateway_api_is_told_and_the_replicas_come_all_the_same(
    operator: OperatorProcess, admin: Api
) -> None:
    body = llm_service("4")
    body["metadata"]["name"] = "routed"
    body["spec"]["routing"] = {"gatewayRef": {"name": "inference"}}
    path = "/apis/medley.dev/v1alpha1/namespaces/team/llmservices"
    status, answer = admin.request("POST", path, body)
    assert status == 201, answer

    def routing() -> dict[str, Any] | None:
        conditions = admin.request("GET", f"{path}/routed")[1].get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == "RoutingReady"), None)

    wait_for("a condition", lambda: (routing() or {}).get("reason") == "GatewayApiMissing")
    told = routing()
    assert told is not None
    assert told["status"] == "False"
    assert "spec.routing" in told["message"]
    assert "inference" in told["message"]
    wait_for("replicas", lambda: replicas(admin) > 0)
    admin.kubectl("delete", "llms", "routed", "-n", "team")


def test_the_gateway_api_is_watched_once_it_is_installed(
    operator: OperatorProcess, plane: ControlPlane, audit: Callable[[float], list[dict[str, Any]]]
) -> None:
    watched = "httproutes.gateway.networking.k8s.io"
    (before,) = [line for line in operator.lines() if line.get("kind") == watched]
    assert before["reason"] == "NotFound"
    began = time.time()
    plane.apply_gateway_api_crds()
    wait_for("it is watched", lambda: any("/httproutes?watch" in each["requestURI"] for each in audit(began)))
    messages = [line["message"] for line in operator.lines() if line.get("kind") == watched]
    assert messages == ["a kind is not followed", "a kind is followed again"]
    assert denied(audit(began)) == []


def test_a_dry_run_writes_nothing_and_logs_what_it_would(
    admin: Api, account: tuple[str, Path], audit: Callable[[float], list[dict[str, Any]]], tmp_path: Path
) -> None:
    admin.kubectl("create", "namespace", "dry")
    for path, body in (("gpupools", gpu_pool("l4", "L4", "0.805")), ("runtimeprofiles", profile())):
        status, answer = admin.request("POST", f"/apis/medley.dev/v1alpha1/{path}", body)
        assert status in (201, 409), answer
    status, answer = admin.request("POST", services_of("dry"), llm_service("4", namespace="dry"))
    assert status == 201, answer
    began = time.time()
    with running_operator(account[1], tmp_path, "--dry-run", "on", "--resync-seconds", "2") as operator:
        operator.wait_ready()

        def withheld(kind: str) -> list[dict[str, Any]]:
            lines = [line for line in operator.lines() if line["message"] == "withheld"]
            return [line for line in lines if line["object"].startswith(f"{kind} ")]

        # The Deployment comes after its Service, which does not come.
        wait_for("a Service that is not written", lambda: bool(withheld("Service")))
        wait_for("a status that is not written", lambda: bool(withheld("LLMService")))
        time.sleep(STEADY_SECONDS)
        assert [line for line in operator.lines() if line["level"] in ("warning", "error", "critical")] == []
        assert 'medley_withheld_writes_total{kind="Service"}' in operator.get("/metrics")[1]
    assert writes(audit(began)) == []
    assert denied(audit(began)) == []
    admin.kubectl("delete", "namespace", "dry", "--wait=false")


def test_a_namespace_that_ends_gets_nothing_but_a_status(
    admin: Api, account: tuple[str, Path], audit: Callable[[float], list[dict[str, Any]]], tmp_path: Path
) -> None:
    """No controller empties the namespace here, so that it stays in its end for as long as the test looks."""
    admin.kubectl("create", "namespace", "ending")
    path = services_of("ending")
    with running_operator(account[1], tmp_path, "--resync-seconds", "2") as operator:
        operator.wait_ready()
        status, answer = admin.request("POST", path, llm_service("4", namespace="ending"))
        assert status == 201, answer
        deployments = "/apis/apps/v1/namespaces/ending/deployments"
        wait_for("a Deployment", lambda: bool(admin.request("GET", deployments)[1]["items"]))
        admin.kubectl("delete", "namespace", "ending", "--wait=false")

        def told() -> str:
            conditions = admin.request("GET", f"{path}/chat")[1].get("status", {}).get("conditions", [])
            return next((each["reason"] for each in conditions if each["type"] == "PlanReady"), "")

        wait_for("the status says so", lambda: told() == "NamespaceEnding")
        began = time.time()
        admin.kubectl("delete", "deployments,services,poddisruptionbudgets", "--all", "-n", "ending")
        time.sleep(STEADY_SECONDS)
        inside = [each for each in writes(audit(began)) if "/namespaces/ending/" in each]
        assert [each for each in inside if "/llmservices/chat/status" not in each] == []
        assert denied(audit(began)) == []
        assert [line for line in operator.lines() if line["level"] in ("warning", "error", "critical")] == []
