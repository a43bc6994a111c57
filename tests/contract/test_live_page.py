"""The live page as the operator serves it from a real API server: sound in a browser, and with the figures of the
statuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from e2e.controlplane import ControlPlane
from medley_operator.api.v1alpha1 import API_VERSION
from tests.browser.chromium import Chromium
from tests.contract.apiserver import Api
from tests.contract.operator_process import OperatorProcess, chart_account, running_operator, wait_for
from tests.contract.test_approval import OBJECTS, SERVICE, TEAM

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served(
    plane: ControlPlane, admin: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OperatorProcess, Mapping[str, Any]]]:
    """The operator with a service that it has planned, and the status of that."""
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    _, kubeconfig = chart_account(plane, admin, ROOT)
    admin.kubectl("create", "namespace", TEAM)
    manifests = [{"apiVersion": API_VERSION, **each} for each in OBJECTS]
    admin.kubectl("apply", "--server-side", "-f", "-", stdin="\n---\n".join(map(json.dumps, manifests)))
    with running_operator(kubeconfig, tmp_path_factory.mktemp("operator"), "--ui", "on") as operator:
        wait_for("the service has a plan", lambda: "plan" in status(admin), timeout_seconds=60)
        yield operator, status(admin)


def status(admin: Api) -> dict[str, Any]:
    return dict(admin.request("GET", SERVICE)[1].get("status", {}))


def test_it_is_sound_and_has_the_figures_of_the_status(
    served: tuple[OperatorProcess, Mapping[str, Any]], chromium: Chromium
) -> None:
    operator, found = served
    address = f"{operator.url}/ui"
    plan = found["plan"]
    wait_for("the page has the plan", lambda: plan["id"] in operator.get("/ui")[1])
    with chromium.visit(address) as visit:
        visit.assert_sound(asked=(f"{address}/refresh.js",))
        (row,) = [text.split("\t") for text in visit.texts("section:nth-of-type(1) tbody tr")]
        assert row[0] == f"{TEAM}/chat"
        assert row[4] == f"${plan['costPerHour']}"
        headers = visit.page.request.get(address).headers
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
