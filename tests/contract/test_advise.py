"""`medley advise` against a real cluster that runs vLLM by other hands, and a real Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from e2e.controlplane import ControlPlane, kwok_node
from medley_operator.cli.main import main
from tests.contract.apiserver import Api
from tests.contract.fake_engines import FakeEngine, FakeExporter, serve
from tests.contract.operator_process import wait_for
from tests.contract.test_prometheus_metrics import running_prometheus

pytestmark = pytest.mark.contract

EDGES = (100, 200, 500, 1000, 2000, 5000)
LLAMA, QWEN = "meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B"
NODES = (
    [
        kwok_node(
            f"h100-{index}",
            gpus=8,
            labels={
                "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
                "node.kubernetes.io/instance-type": "p5.48xlarge",
            },
            taints=[{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
        )
        for index in range(2)
    ]
    + [
        kwok_node(
            f"l4-{index}",
            gpus=4,
            labels={
                "nvidia.com/gpu.product": "NVIDIA-L4",
                "node.kubernetes.io/instance-type": "g6.12xlarge",
                "karpenter.sh/capacity-type": "on-demand",
                "topology.kubernetes.io/zone": "us-east-1a",
            },
        )
        for index in range(4)
    ]
    + [kwok_node("odd-0", gpus=4, labels={"nvidia.com/gpu.product": "NVIDIA-ODD-9000"})]
)
OPENCOST = "".join(f'node_total_hourly_cost{{instance="10.0.0.{i}",node="h100-{i}"}} 55.04\n' for i in range(2))
KARPENTER = (
    "karpenter_cloudprovider_instance_type_offering_price_estimate"
    '{instance_type="g6.12xlarge",capacity_type="on-demand",zone="us-east-1a"} 3.22\n'
    "karpenter_cloudprovider_instance_type_offering_price_estimate"
    '{instance_type="g6.12xlarge",capacity_type="spot",zone="us-east-1a"} 1.1\n'
)


def deployment(namespace: str, name: str, replicas: int, product: str, gpus: int, **container: Any) -> dict[str, Any]:
    labels = {"app": name} | container.pop("labels", {})
    image = container.pop("image", "vllm/vllm-openai:v0.31.0")
    main_container = {"name": "engine", "image": image, "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"nvidia.com/gpu.product": product},
                    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
                    "containers": [main_container | container],
                },
            },
        },
    }


H100, L4, ODD = "NVIDIA-H100-80GB-HBM3", "NVIDIA-L4", "NVIDIA-ODD-9000"
WORKLOADS = [
    deployment(
        "chat", "llama", 3, H100, 1, args=["--model", LLAMA, "--served-model-name=llama", "--max-model-len", "16k"]
    ),
    deployment(
        "docs",
        "qwen-predictor",
        1,
        H100,
        2,
        labels={"serving.kserve.io/inferenceservice": "qwen"},
        command=["/bin/sh", "-c", f"ulimit -n 65536; exec vllm serve {QWEN} -tp 2 --served-model-name qwen"],
    ),
    deployment("lab", "exotic", 1, ODD, 1, args=["--model", LLAMA, "--served-model-name", "exotic"]),
    deployment("dark", "unseen", 2, L4, 1, args=["--model", LLAMA, "--served-model-name", "unseen"]),
    deployment("chat", "router", 1, L4, 1, image="production-stack/router:1", args=["--port", "8001"]),
]
SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "llama", "namespace": "chat"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama"},
        "minReplicas": 3,
        "maxReplicas": 9,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Api]:
    """A cluster that runs vLLM, without anything of ours."""
    with ControlPlane.start(controllers=True, kwok=True) as plane:
        admin = Api(plane)
        for namespace in ("chat", "docs", "lab", "dark"):
            admin.kubectl("create", "namespace", namespace)
        admin.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all([*NODES, *WORKLOADS, SCALER]))
        wait_for("all pods are Ready", lambda: len(ready(admin)) == 8)
        yield admin
        admin.close()


def ready(admin: Api) -> list[tuple[str, str]]:
    items = admin.request("GET", "/api/v1/pods")[1]["items"]
    return [
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in items
        if any(each["type"] == "Ready" and each["status"] == "True" for each in item["status"].get("conditions", []))
    ]


def engines(admin: Api) -> dict[str, FakeEngine]:
    """By pod: those of chat and docs, and the router, which shows the figures of others under the engine's names."""
    llama = FakeEngine(4, (500,), 150, EDGES, models=("llama",), latencies=(0.2, 0.02))
    kinds = {
        "llama": llama,
        "qwen": FakeEngine(1, (1000,), 300, EDGES, models=("qwen",), latencies=(0.4, 0.04)),
        "exotic": FakeEngine(1, (500,), 150, EDGES, models=("exotic",)),
        "router": FakeEngine(60, (500,), 150, EDGES, models=("llama",)),
    }
    return {f"{space}.{pod}": kinds[pod.split("-")[0]] for space, pod in ready(admin) if pod.split("-")[0] in kinds}


@pytest.fixture(scope="module")
def prometheus(cluster: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    served = engines(cluster)
    with serve({**served, "prices": FakeExporter(OPENCOST + KARPENTER)}) as port:
        target = f"127.0.0.1:{port}"
        jobs = [
            {
                "job_name": name,
                "metrics_path": f"/{name}",
                "static_configs": [{"targets": [target], "labels": {"namespace": space, "pod": pod} if pod else {}}],
            }
            for name in (*served, "prices")
            for space, _, pod in [name.partition(".")]
        ]
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
        with running_prometheus(tmp_path_factory.mktemp("prometheus"), json.dumps(config)) as (url, _):
            wait_for("each target was scraped through a window", lambda: scraped_through(url, 22), timeout_seconds=90)
            yield url


def scraped_through(url: str, seconds: int) -> bool:
    """On a busy machine a scrape may fail, and the rates of the window that it was in are too low."""
    expression = f"count(sum_over_time(up[{seconds}s]) >= {seconds - 1} and min_over_time(up[{seconds}s]) == 1)"
    expression += " == count(up)"
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, trust_env=False, timeout=5)
    return bool(answer.json()["data"]["result"])


def advise(url: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code = main(["advise", "--prometheus", url, "--window", "20s", "-o", "json", *more])
    return code, json.loads(capsys.readouterr().out)


def test_what_runs_and_what_would_do(
    cluster: Api, prometheus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.plane.kubeconfig))
    since = time.time()
    code, advice = advise(prometheus, capsys, "--write", str(tmp_path / "medley"))
    assert code == 3
    assert written(cluster, since) == []

    services = {service["served_name"]: service for service in advice["services"]}
    assert set(services) == {"llama", "qwen", "exotic", "unseen"}
    llama, qwen, exotic, unseen = (services[name] for name in ("llama", "qwen", "exotic", "unseen"))
    assert (llama["model"], llama["gpus"]) == (LLAMA, {"H100": 3})
    assert llama["workloads"][0]["autoscaler"] == "HorizontalPodAutoscaler llama"
    assert llama["cost_per_hour"] == pytest.approx(3 * 55.04 / 8)
    assert llama["load"]["mean_rps"] == pytest.approx(12, rel=0.15)
    assert llama["load"]["prompt_tokens"] == pytest.approx(500)
    assert 0.1 < llama["attained"]["ttft_seconds"] <= 0.25
    assert 0.01 < llama["attained"]["tpot_seconds"] <= 0.025
    assert llama["plan"]["cost_per_hour"] < llama["cost_per_hour"]
    assert (qwen["managed_by"], qwen["tensor_parallel"]) == (["KServe"], [2])
    assert qwen["cost_per_hour"] == pytest.approx(2 * 55.04 / 8)
    assert qwen["plan"]["mix"]
    assert exotic["gpus"] == {"NVIDIA-ODD-9000": 1}
    assert exotic["cost_per_hour"] is None
    assert (unseen["gpus"], unseen["cost_per_hour"]) == ({"L4": 2}, pytest.approx(2 * 3.22 / 4))
    assert "no finished request" in unseen["not_planned"]
    assert any("NVIDIA-ODD-9000" in line for line in advice["not_read"])
    pools = {pool["name"]: pool for pool in advice["pools"]}
    assert {name: pool["price_source"] for name, pool in pools.items() if pool["known"]} == {
        "h100": "OpenCost node_total_hourly_cost",
        "l4": "Karpenter",
    }

    install_crds(cluster)
    cluster.kubectl("apply", "--server-side", "-f", str(tmp_path / "medley"))
    assert main(["plan", "-o", "json", "-f", str(tmp_path / "medley")]) == 0
    planned = {row["service"]: row for row in json.loads(capsys.readouterr().out)["services"]}
    for service in (llama, qwen):
        row = planned[service["plan"]["name"]]
        assert {part["variant"]: part["replicas"] for part in row["mix"]} == {
            part["variant"]: part["replicas"] for part in service["plan"]["mix"]
        }


def install_crds(cluster: Api) -> None:
    cluster.kubectl("apply", "--server-side", "-f", str(Path(__file__).parents[2] / "crds"))
    wait_for("the CRDs are served", lambda: cluster.request("GET", "/apis/medley.dev/v1alpha1/gpupools")[0] == 200)


def written(cluster: Api, since: float) -> list[str]:
    """Writes by the command, from the API server's audit log."""
    events = cluster.plane.audit_events(since=since)
    return [
        event["requestURI"]
        for event in events
        if event["verb"] not in ("get", "list", "watch") and "(command)" in event.get("userAgent", "")
    ]


def test_for_people_and_with_gpus_that_could_be_added(
    cluster: Api, prometheus: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.plane.kubeconfig))
    assert main(["advise", "--prometheus", prometheus, "--window", "20s", "-n", "docs", "--price", "H200=1.5"]) == 0
    text = capsys.readouterr().out
    print(text)
    assert "docs/qwen (Qwen/Qwen3-32B, managed by KServe)" in text
    assert "Deployment docs/qwen-predictor: 1/1 Ready" in text
    assert "with GPUs that could be added" in text
    assert "(pool add-h200)" in text


def test_without_prometheus_it_says_so(
    cluster: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.plane.kubeconfig))
    assert main(["advise"]) == 3
    text = " ".join(capsys.readouterr().out.split())
    assert "give its address with --prometheus URL" in text
    assert "Deployment chat/llama: 3/3 Ready" in text


def test_the_doctor_sees_a_cluster_without_medley(
    cluster: Api, prometheus: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.plane.kubeconfig))
    assert main(["doctor", "--prometheus", prometheus, "-o", "json"]) == 3
    faults = {each["about"] for each in json.loads(capsys.readouterr().out) if each["health"] == "fault"}
    assert "operator" in faults
    assert not faults & {"Prometheus", "autoscalers", "gateways"}


def test_pools_are_found_that_the_api_server_takes(
    cluster: Api, prometheus: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.plane.kubeconfig))
    assert main(["pools", "discover", "--prometheus", prometheus]) == 3
    printed = capsys.readouterr()
    assert "NVIDIA-ODD-9000" in printed.err
    install_crds(cluster)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=printed.out)
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(printed.out)]
    assert names == ["h100", "l4"]
