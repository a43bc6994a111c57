"""An admission webhook that hangs, on a real API server: what it guards is late, and nothing else is."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.controlplane import ControlPlane
from tests.contract.apiserver import Api
from tests.contract.objects import POOLS, RUNTIME_PROFILES, gpu_pool, llm_service, profile, services_of
from tests.contract.operator_process import running_operator, wait_for

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
SLOW_SERVICES = 48
HANG_SECONDS = 4
"""For each write, as the webhook's timeout; eight at a time, all of them would take 24 s of a round."""
STATUS_SECONDS = 16.0


@pytest.fixture(scope="module")
def admin(admin: Api) -> Api:
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    return admin


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server.getsockname()[1]


def webhook(port: int, certificate: bytes) -> dict[str, Any]:
    """Guards Deployments of namespaces labelled `slow`."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hanging"},
        "webhooks": [
            {
                "name": "hanging.example.com",
                "clientConfig": {
                    "url": f"https://127.0.0.1:{port}/",
                    "caBundle": base64.b64encode(certificate).decode(),
                },
                "rules": [
                    {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
                ],
                "namespaceSelector": {"matchLabels": {"slow": "yes"}},
                "failurePolicy": "Fail",
                "timeoutSeconds": HANG_SECONDS,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def conditions(admin: Api, namespace: str, name: str) -> dict[str, str]:
    status = admin.request("GET", f"{services_of(namespace)}/{name}")[1].get("status", {})
    return {each["type"]: each["reason"] for each in status.get("conditions", [])}


def deployments(admin: Api, namespace: str) -> int:
    return len(admin.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")[1]["items"])


def test_a_webhook_that_hangs_delays_neither_statuses_nor_other_tenants(
    plane: ControlPlane, admin: Api, tmp_path: Path
) -> None:
    """With 260 services behind such a webhook no status was written, no round ended, and liveness failed."""
    names = [f"chat-{index}" for index in range(SLOW_SERVICES)]
    for namespace in ("held-up", "team"):
        admin.kubectl("create", "namespace", namespace)
    admin.kubectl("label", "namespace", "held-up", "slow=yes")
    pool = gpu_pool("l4", "L4", "0.805")
    pool["spec"]["capacity"]["nodes"] = 20
    fleet = [(POOLS, pool), (RUNTIME_PROFILES, profile())]
    fleet += [(services_of("held-up"), llm_service("0.1", namespace="held-up", name=name)) for name in names]
    fleet.append((services_of("team"), llm_service("0.1")))
    certificate = (plane.workdir / "certs" / "apiserver.crt").read_bytes()
    with silent_port() as port:
        admin.kubectl("apply", "-f", "-", stdin=json.dumps(webhook(port, certificate)))
        time.sleep(2.0)  # until the API server knows it
        for path, body in fleet:
            status, answer = admin.request("POST", path, body)
            assert status == 201, answer
        with running_operator(plane.kubeconfig, tmp_path, "--resync-seconds", "2") as operator:
            wait_for("the other tenant is served", lambda: deployments(admin, "team") > 0)
            wait_for(
                f"all have a status; log:\n{operator.log.read_text()}",
                lambda: all(conditions(admin, "held-up", name) for name in names),
                timeout_seconds=STATUS_SECONDS,
            )
            wait_for(
                "a service says that its Deployment was not written",
                lambda: any(
                    conditions(admin, "held-up", name).get("WorkloadsReady") == "ApplyFailed" for name in names
                ),
                timeout_seconds=STATUS_SECONDS,
            )
            assert conditions(admin, "team", "chat")["WorkloadsReady"] == "Progressing"
            assert operator.get("/healthz")[0] == 200
            assert operator.get("/readyz")[0] == 200
            admin.kubectl("delete", "validatingwebhookconfiguration", "hanging")
            wait_for("it is made up for", lambda: deployments(admin, "held-up") == SLOW_SERVICES, timeout_seconds=60.0)
            wait_for(
                "the conditions say so",
                lambda: {conditions(admin, "held-up", name)["WorkloadsReady"] for name in names} == {"Progressing"},
            )
