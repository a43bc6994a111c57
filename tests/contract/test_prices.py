"""Pools without a typed price, on a real API server with a real Prometheus that has Karpenter's and OpenCost's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.controlplane import ControlPlane, kwok_node
from tests.contract.apiserver import Api
from tests.contract.conftest import CRDS
from tests.contract.fake_engines import FakeExporter, serve
from tests.contract.objects import POOLS, RUNTIME_PROFILES, gpu_pool, llm_service, profile, services_of
from tests.contract.operator_process import chart_account, running_operator, wait_for
from tests.contract.test_prometheus_metrics import running_prometheus

pytestmark = pytest.mark.contract

TYPE, ZONE = "node.kubernetes.io/instance-type", "topology.kubernetes.io/zone"
SAMPLES = (
    "karpenter_cloudprovider_instance_type_offering_price_estimate"
    '{instance_type="g6.12xlarge",capacity_type="on-demand",zone="z1"} 3.22\n'
    'node_total_hourly_cost{instance="10.0.0.1",node="h100-0"} 55.04\n'
)


def unpriced(name: str, gpu: str) -> dict[str, Any]:
    found = gpu_pool(name, gpu, "0")
    del found["spec"]["cost"]
    return found


def read(admin: Api, path: str) -> dict[str, Any]:
    return dict(admin.request("GET", path)[1].get("status", {}))


def test_no_price_is_typed(plane: ControlPlane, admin: Api, tmp_path: Path) -> None:
    admin.kubectl("apply", "--server-side", "-f", str(CRDS))
    wait_for("the CRDs are served", lambda: admin.request("GET", POOLS)[0] == 200)
    _, kubeconfig = chart_account(plane, admin, CRDS.parent)
    admin.kubectl("create", "namespace", "team")
    for node in (
        kwok_node("l4-0", gpus=4, labels={"gpu": "l4", TYPE: "g6.12xlarge", ZONE: "z1"}),
        kwok_node("h100-0", gpus=8, labels={"gpu": "h100"}),
        kwok_node("l40s-0", gpus=8, labels={"gpu": "l40s"}),
    ):
        assert admin.request("POST", "/api/v1/nodes", node)[0] == 201
    for path, body in (
        (POOLS, unpriced("l4", "L4")),
        (POOLS, unpriced("h100", "H100")),
        (POOLS, unpriced("l40s", "L40S")),
        (RUNTIME_PROFILES, profile()),
        (services_of("team"), llm_service("4")),
    ):
        assert admin.request("POST", path, body)[0] == 201
    with serve({"prices": FakeExporter(SAMPLES)}) as port:
        job = {
            "job_name": "prices",
            "honor_labels": True,
            "metrics_path": "/prices",
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        }
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
        with running_prometheus(tmp_path, json.dumps(config)) as (url, _):
            wait_for("prices are scraped", lambda: "3.22" in queried(url))
            with running_operator(kubeconfig, tmp_path, "--resync-seconds", "2", "--prometheus-url", url):
                wait_for("the pool has a price", lambda: "price" in read(admin, f"{POOLS}/l4"))
                prices = {name: read(admin, f"{POOLS}/{name}").get("price", {}) for name in ("l4", "h100", "l40s")}
                assert {name: (each.get("perHour"), each.get("source")) for name, each in prices.items()} == {
                    "l4": ("0.805", "Karpenter"),
                    "h100": ("6.88", "OpenCost node_total_hourly_cost"),
                    "l40s": (None, None),
                }
                condition = next(each for each in read(admin, f"{POOLS}/l40s")["conditions"] if each["type"] == "Ready")
                assert (condition["status"], condition["reason"]) == ("False", "PriceUnknown")
                service = f"{services_of('team')}/chat"
                wait_for("a plan is made", lambda: read(admin, service).get("plan", {}).get("state") == "Optimal")
                assert float(read(admin, service)["plan"]["costPerHour"]) % 0.805 == pytest.approx(0, abs=1e-6)
            row = admin.kubectl("get", "gpupools", "l4", "-o", "wide")
            assert "Karpenter" in row


def queried(url: str) -> str:

    query = {"query": "karpenter_cloudprovider_instance_type_offering_price_estimate"}
    return httpx.get(f"{url}/api/v1/query", params=query, trust_env=False, timeout=5).text
