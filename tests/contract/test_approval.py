"""Approval end to end: the operator, a real API server, and the commands of a person who may edit one namespace."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from e2e.controlplane import ControlPlane
from medley_operator.api.v1alpha1 import API_VERSION, APPROVED_PLAN
from medley_operator.cli.main import main
from tests.contract.apiserver import Api
from tests.contract.operator_process import running_operator, wait_for

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
SYSTEM, TEAM = "medley-system", "team"
SERVICE = f"/apis/medley.dev/v1alpha1/namespaces/{TEAM}/llmservices/chat"
OBJECTS: list[dict[str, Any]] = [
    {
        "kind": "GPUPool",
        "metadata": {"name": "l4"},
        "spec": {
            "gpu": "L4",
            "nodeSelector": {"gpu": "l4"},
            "capacity": {"type": "Fixed", "nodes": 8, "gpusPerNode": 4},
            "cost": {"perHour": "0.805"},
        },
    },
    {
        "kind": "RuntimeProfile",
        "metadata": {"name": "vllm"},
        "spec": {"image": "vllm/vllm-openai:v0.32.0", "version": "0.32.0"},
    },
    {
        "kind": "LLMService",
        "metadata": {"name": "chat", "namespace": TEAM},
        "spec": {
            "model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"},
            "slo": {"ttft": "2s", "tpot": "100ms"},
            "workload": {
                "source": "Static",
                "static": {"requestsPerSecond": "4", "promptTokens": 500, "generationTokens": 150},
            },
            "scaling": {"mode": "Approve"},
        },
    },
]


@pytest.fixture(scope="module")
def accounts(plane: ControlPlane, admin: Api) -> tuple[Path, Path]:
    """Kubeconfigs of the chart's ServiceAccount, and of a person with the cluster's role edit in one namespace."""
    for namespace in (SYSTEM, TEAM):
        admin.kubectl("create", "namespace", namespace)
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    shown = [word for name in ("rbac", "serviceaccount") for word in ("--show-only", f"templates/{name}.yaml")]
    chart = ("template", "medley", str(ROOT / "helm" / "medley"), "--namespace", SYSTEM, *shown)
    manifests = admin.helm(*chart, "--set", "image.repository=example/medley")
    admin.kubectl("apply", "-n", SYSTEM, "-f", "-", stdin=manifests)
    (name,) = admin.kubectl("get", "serviceaccounts", "-n", SYSTEM, "-o", "name").split()
    admin.kubectl("create", "serviceaccount", "person", "-n", TEAM)
    # Without controllers nothing aggregates roles: the two of the chart are bound by themselves.
    for role in ("view", "edit"):
        person = f"--serviceaccount={TEAM}:person"
        admin.kubectl("create", "rolebinding", role, f"--clusterrole=medley-{role}", person, "-n", TEAM)
    operator = plane.service_account_kubeconfig(SYSTEM, name.removeprefix("serviceaccount/"))
    return operator, plane.service_account_kubeconfig(TEAM, "person")


def status(admin: Api) -> dict[str, Any]:
    return dict(admin.request("GET", SERVICE)[1].get("status", {}))


def plan_ready(admin: Api) -> dict[str, Any]:
    found = (each for each in status(admin).get("conditions", []) if each["type"] == "PlanReady")
    return next(found, {"reason": "", "message": ""})


def replicas(admin: Api) -> int:
    items = admin.request("GET", f"/apis/apps/v1/namespaces/{TEAM}/deployments")[1]["items"]
    return sum(item["spec"]["replicas"] for item in items)


def reasons(admin: Api) -> Counter[str]:
    """The reasons of the namespace's Events, with how many there are of each."""
    items = admin.request("GET", f"/apis/events.k8s.io/v1/namespaces/{TEAM}/events")[1]["items"]
    return Counter(event["reason"] for event in items)


def test_a_plan_waits_until_a_person_approves_it(
    admin: Api,
    accounts: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    operator_config, person_config = accounts
    monkeypatch.setenv("KUBECONFIG", str(person_config))
    for each in OBJECTS:
        admin.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": API_VERSION, **each}))
    with running_operator(operator_config, tmp_path, "--resync-seconds", "2") as operator:
        operator.wait_ready()
        wait_for("the first plan waits", lambda: plan_ready(admin)["reason"] == "AwaitingApproval")
        plan_id = status(admin)["plan"]["id"]
        assert replicas(admin) == 0
        assert main(["diff", "chat"]) == 0
        assert f"plan {plan_id} (Optimal) is not in force" in capsys.readouterr().out
        assert main(["approve", "chat", "deadbeef"]) == 2
        assert f"plan {plan_id} does" in capsys.readouterr().err
        assert main(["approve", f"{TEAM}/chat", plan_id]) == 0
        wait_for("it is carried out", lambda: replicas(admin) > 0)
        wait_for("the status says so", lambda: status(admin).get("target", {}).get("planId") == plan_id)
        assert main(["history"]) == 0
        assert f"plan {plan_id} was approved" in capsys.readouterr().out

        few = replicas(admin)
        load = {"requestsPerSecond": "40", "promptTokens": 500, "generationTokens": 150}
        change = json.dumps({"spec": {"workload": {"static": load}}})
        admin.kubectl("patch", "llms", "chat", "-n", TEAM, "--type=merge", "-p", change)
        wait_for("a larger plan waits", lambda: status(admin)["plan"]["id"] != plan_id)
        assert plan_ready(admin)["reason"] == "AwaitingApproval"
        assert f"{APPROVED_PLAN} names plan {plan_id}, which does not wait" in plan_ready(admin)["message"]
        admin.kubectl("delete", "deployments", "--all", "-n", TEAM)
        wait_for("what is in force is remade", lambda: replicas(admin) == few)
        assert main(["approve", "chat", status(admin)["plan"]["id"]]) == 0
        wait_for("the larger plan is carried out", lambda: replicas(admin) > few)
        wait_for("nothing waits", lambda: plan_ready(admin)["reason"] == "Optimal")
        # Events are posted after the status, and may come later.
        told = {"PlanAwaitingApproval": 2, "PlanApproved": 2}
        wait_for("each plan is told twice", lambda: {reason: reasons(admin)[reason] for reason in told} == told)
        assert [line for line in operator.lines() if line["level"] in ("error", "critical")] == []
