"""Every Deployment of the golden files, on a real API server under Pod Security `restricted`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.controlplane import kwok_node
from medley_operator.domain.rollout.disruption_budget import render_disruption_budget
from medley_operator.domain.values.snapshot import Manifest
from tests.contract.apiserver import Api
from tests.golden.deployment_cases import CASES, rendered
from tests.unit.operator import factories as make

pytestmark = pytest.mark.contract

RESTRICTED, PRIVILEGED = "restricted-tenant", "privileged-tenant"


@pytest.fixture(scope="module")
def namespaces(crds: Api) -> Iterator[Api]:
    """The API server with two namespaces, one under each level of Pod Security, and what the overlay names."""
    for name, level in ((RESTRICTED, "restricted"), (PRIVILEGED, "privileged")):
        labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        wanted: tuple[Manifest, ...] = (made, account)
        for manifest in wanted:
            crds.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "nvidia"}
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1}
    named: tuple[tuple[Manifest, str], ...] = ((runtime, "nvidia"), (priority, "serving"))
    for manifest, name in named:
        crds.kubectl("apply", "-f", "-", stdin=json.dumps({**manifest, "metadata": {"name": name}}))
    yield crds
    crds.kubectl("delete", "runtimeclass/nvidia", "priorityclass/serving")
    crds.kubectl("delete", "namespace", RESTRICTED, PRIVILEGED, "--wait=false")


def tried_pod(api: Api, deployment: Manifest, namespace: str) -> tuple[int, str]:
    """(HTTP status, message) of a dry run of the pod that the Deployment's controller would create."""
    template = deployment["spec"]["template"]
    metadata = {**template["metadata"], "generateName": "tried-", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    status, answer = api.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict", pod)
    return status, str(answer.get("message", ""))


@pytest.mark.parametrize("case", CASES)
def test_deployment_and_pod_are_accepted(namespaces: Api, case: str) -> None:
    """All but the host path run under `restricted`; that one needs a namespace that allows it."""
    for namespace in (RESTRICTED, PRIVILEGED):
        deployment = rendered(case, namespace=namespace)
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment['metadata']['name']}"
        query = "fieldManager=medley&force=true&dryRun=All&fieldValidation=Strict"
        status, answer = namespaces.apply(f"{path}?{query}", deployment)
        assert status == 201, answer
        assert answer["spec"]["template"]["spec"]["volumes"], answer
        status, message = tried_pod(namespaces, deployment, namespace)
        if case.startswith("hf-hostpath") and namespace == RESTRICTED:
            assert status == 403, message
            assert 'restricted volume type "hostPath"' in message
        else:
            assert status == 201, message


def test_a_disruption_budget_is_accepted(namespaces: Api) -> None:
    budget = render_disruption_budget(make.service())
    budget["metadata"]["namespace"] = RESTRICTED
    path = f"/apis/policy/v1/namespaces/{RESTRICTED}/poddisruptionbudgets/{budget['metadata']['name']}"
    status, answer = namespaces.apply(
        f"{path}?fieldManager=medley&force=true&dryRun=All&fieldValidation=Strict", budget
    )
    assert status == 201, answer
    assert answer["spec"] == budget["spec"]


def evicted(api: Api, pod: str) -> int:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": RESTRICTED}}
    return api.request("POST", f"/api/v1/namespaces/{RESTRICTED}/pods/{pod}/eviction?dryRun=All", body)[0]


def budget_that_counts(api: Api, path: str, *, pods: int) -> dict[str, Any]:
    """The status of the budget once it knows of that many pods, all of them healthy."""
    deadline = time.monotonic() + 40
    while True:
        status: dict[str, Any] = api.request("GET", path)[1].get("status", {})
        if status.get("expectedPods") == status.get("currentHealthy") == pods:
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.3)


def test_a_drain_takes_one_pod_and_a_single_replica_blocks_none(namespaces: Api) -> None:
    """A drain of all nodes took nine of nine replicas; a budget must not block the last one for ever either."""
    node = kwok_node("manifests-node", gpus=8, labels={"gpu": "l4"})
    namespaces.kubectl("apply", "-f", "-", stdin=json.dumps(node))
    deployment, budget = rendered("hf-default-plain", namespace=RESTRICTED), render_disruption_budget(make.service())
    budget["metadata"]["namespace"] = RESTRICTED
    for manifest in (deployment, budget):
        del manifest["metadata"]["ownerReferences"]  # of a service that is not there: it would be collected
        namespaces.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))
    name, path = deployment["metadata"]["name"], f"/apis/policy/v1/namespaces/{RESTRICTED}/poddisruptionbudgets/llama"
    try:
        for replicas in (2, 1):
            namespaces.kubectl("scale", f"deployment/{name}", "-n", RESTRICTED, f"--replicas={replicas}")
            assert budget_that_counts(namespaces, path, pods=replicas)["disruptionsAllowed"] == 1
            pods = namespaces.kubectl("get", "pods", "-n", RESTRICTED, "-o", "name").split()
            assert evicted(namespaces, pods[0].removeprefix("pod/")) == 201
    finally:
        namespaces.kubectl("delete", f"deployment/{name}", "pdb/llama", "-n", RESTRICTED)
        namespaces.kubectl("delete", "node/manifests-node")
