"""The operator in two namespaces alone, with the Roles that the chart renders for them, on a real API server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.controlplane import ControlPlane
from e2e.rights import refused
from medley_operator.kube.resources import BY_KIND
from tests.contract.apiserver import Api
from tests.contract.objects import POOLS, RUNTIME_PROFILES, gpu_pool, llm_service, profile, services_of
from tests.contract.operator_process import OperatorProcess, running_operator, wait_for

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
NAMESPACE, RELEASE = "medley-system", "medley"
WATCHED, ELSEWHERE = ("team-a", "team-b"), "elsewhere"
SETTLE_SECONDS = 5.0
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"


@dataclass(frozen=True)
class Watching:
    plane: ControlPlane
    admin: Api
    operator: OperatorProcess
    since: float

    def requests(self) -> list[dict[str, Any]]:
        """What the operator asked of the API server."""
        return [each for each in self.plane.audit_events(since=self.since) if each["user"]["username"] == ACCOUNT]

    def service(self, namespace: str) -> dict[str, Any]:
        return self.admin.request("GET", f"{services_of(namespace)}/chat")[1]

    def deployments(self, namespace: str) -> list[dict[str, Any]]:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        items: list[dict[str, Any]] = self.admin.request("GET", path)[1]["items"]
        return items


@pytest.fixture(scope="module")
def watching(plane: ControlPlane, admin: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    plane.apply_gateway_api_crds()
    for name in (NAMESPACE, *WATCHED, ELSEWHERE):
        admin.kubectl("create", "namespace", name)
    shown = [word for name in ("rbac", "serviceaccount") for word in ("--show-only", f"templates/{name}.yaml")]
    values = ("--set", "image.repository=example/medley", "--set", f"watchNamespaces={{{','.join(WATCHED)}}}")
    chart = (RELEASE, str(ROOT / "helm" / "medley"), "--namespace", NAMESPACE)
    admin.kubectl("apply", "-f", "-", stdin=admin.helm("template", *chart, *values, *shown))
    for path, body in ((POOLS, gpu_pool("l4", "L4", "0.805")), (RUNTIME_PROFILES, profile())):
        assert admin.request("POST", path, body)[0] == 201
    for namespace in (*WATCHED, ELSEWHERE):
        assert admin.request("POST", services_of(namespace), llm_service("4", namespace=namespace))[0] == 201
    account = plane.service_account_kubeconfig(NAMESPACE, RELEASE)
    arguments = (f"--watch-namespaces={','.join(WATCHED)}", f"--namespace={NAMESPACE}", "--leader-election=on")
    since = time.time()
    folder = tmp_path_factory.mktemp("watching")
    with running_operator(account, folder, *arguments, "--resync-seconds=2") as operator:
        operator.wait_ready()
        yield Watching(plane, admin, operator, since)


def test_services_of_watched_namespaces_get_their_deployments(watching: Watching) -> None:
    wait_for("Deployments", lambda: all(watching.deployments(namespace) for namespace in WATCHED))
    wait_for("statuses", lambda: all("status" in watching.service(namespace) for namespace in WATCHED))


def test_an_event_in_a_watched_namespace_starts_a_round(watching: Watching) -> None:
    change = {"spec": {"workload": {"static": llm_service("40")["spec"]["workload"]["static"]}}}
    watching.admin.kubectl("patch", "llms", "chat", "-n", "team-b", "--type=merge", "-p", json.dumps(change))
    wait_for("more replicas", lambda: watching.service("team-b").get("status", {}).get("desiredReplicas", 0) > 4)


def test_a_service_elsewhere_is_not_touched(watching: Watching) -> None:
    time.sleep(SETTLE_SECONDS)
    assert "status" not in watching.service(ELSEWHERE)
    assert watching.deployments(ELSEWHERE) == []


def test_what_cannot_be_seen_is_told_on_each_pool(watching: Watching) -> None:
    def told() -> dict[str, Any] | None:
        conditions = watching.admin.request("GET", f"{POOLS}/l4")[1].get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == "PodsSeen"), None)

    wait_for("a condition", lambda: told() is not None)
    condition = told()
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("False", "OnlyWatchedNamespaces")
    assert "team-a, team-b" in condition["message"]


def test_no_request_was_denied_and_none_went_elsewhere(watching: Watching) -> None:
    requests = watching.requests()
    assert len(requests) > 30
    assert refused(requests) == []
    namespaced = {each.plural for each in BY_KIND.values() if each.namespaced}
    asked = {
        (each["objectRef"]["resource"], each["objectRef"].get("namespace", ""))
        for each in requests
        if each.get("objectRef", {}).get("resource") in namespaced
    }
    assert {namespace for _, namespace in asked} == {*WATCHED, NAMESPACE}
    assert {resource for resource, namespace in asked if namespace == NAMESPACE} <= {"leases", "configmaps"}
    for namespace in WATCHED:
        assert ("pods", namespace) in asked
    assert watching.operator.get("/readyz")[0] == 200
