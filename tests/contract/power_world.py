"""Racks of GPU nodes on a real API server, a Prometheus whose meters a test sets, and controllers of power."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from e2e.controlplane.plane import free_port
from medley_operator.api.v1alpha1 import API_VERSION
from tests.contract.apiserver import Api, Json
from tests.contract.operator_process import OperatorProcess
from tests.loopback import Asked, served

DOMAINS = "/apis/medley.dev/v1alpha1/powerdomains"
CAPS = "/apis/medley.dev/v1alpha1/nodepowercaps"
EVENTS = "/apis/medley.dev/v1alpha1/powerevents"
GPUS = 8
NON_GPU_WATTS = 1000
IDLE_WATTS = NON_GPU_WATTS + GPUS * 70
"""Of a node with H100s whose agent has reported."""


class Meters:
    """Answers instant queries as Prometheus does: `watts` by query; a list stands for several series, None for none."""

    def __init__(self) -> None:
        self.watts: dict[str, float | list[float] | None] = {}
        self.asked: list[str] = []
        self.frozen_at: float | None = None
        self.url = ""

    def answer(self, asked: Asked) -> bytes:
        (query,) = parse_qs(asked.body)["query"]
        self.asked.append(query)
        found = self.watts.get(query)
        values = [] if found is None else found if isinstance(found, list) else [found]
        at = time.time() if self.frozen_at is None else self.frozen_at
        result = [{"metric": {"i": str(i)}, "value": [at, str(value)]} for i, value in enumerate(values)]
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


@contextmanager
def meters() -> Iterator[Meters]:
    found = Meters()
    with served(found.answer, keep_alive=True) as port:
        found.url = f"http://127.0.0.1:{port}"
        yield found


@contextmanager
def running_controller(
    kubeconfig: Path, folder: Path, prometheus: str, *arguments: str, pod: str = "power-0"
) -> Iterator[OperatorProcess]:
    port = free_port()
    log = folder / f"power-{pod}-{port}.log"
    command = [sys.executable, "-c", "import sys; from medley_operator.cli.main import main; sys.exit(main())"]
    command += ["power", "controller", "--bind-address", "127.0.0.1", "--port", str(port)]
    command += ["--prometheus-url", prometheus, "--namespace", "medley-system", *arguments]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOSTNAME": pod}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, env=environment)
    try:
        yield OperatorProcess(process, f"http://127.0.0.1:{port}", log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def add_node(api: Api, name: str, rack: str) -> None:
    metadata = {"name": name, "labels": {"rack": rack, "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}}
    status, answer = api.request("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    assert status == 201, answer
    capacity = {"nvidia.com/gpu": str(GPUS), "cpu": "64", "memory": "512Gi", "pods": "110"}
    ready = [{"type": "Ready", "status": "True", "reason": "Test", "message": ""}]
    change = {"status": {"allocatable": capacity, "capacity": capacity, "conditions": ready}}
    status, answer = api.merge(f"/api/v1/nodes/{name}/status", change)
    assert status == 200, answer


def add_domain(api: Api, name: str, *, budget: int, query: str | None = None, **spec: Any) -> None:
    meter = {} if query is None else {"meter": {"query": query}}
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "PowerDomain",
        "metadata": {"name": name},
        "spec": {"budgetWatts": budget, "mode": "Enforce", **meter, **spec},
    }
    status, answer = api.request("POST", DOMAINS, manifest)
    assert status == 201, answer


def add_rack(api: Api, name: str, *, nodes: int, budget: int, **spec: Any) -> list[str]:
    """A domain with so many nodes of its own, metered by the query of its name; returns the nodes' names."""
    names = [f"{name}-{index}" for index in range(nodes)]
    for each in names:
        add_node(api, each, name)
    add_domain(
        api,
        name,
        budget=budget,
        query=query(name),
        nodeSelector={"rack": name},
        nonGpuWatts=NON_GPU_WATTS,
        **spec,
    )
    return names


def query(rack: str) -> str:
    return f'pdu_watts{{rack="{rack}"}}'


def add_event(api: Api, name: str, **spec: Any) -> None:
    manifest = {"apiVersion": API_VERSION, "kind": "PowerEvent", "metadata": {"name": name}, "spec": spec}
    status, answer = api.request("POST", EVENTS, manifest)
    assert status == 201, answer


def uuid(node: str, index: int) -> str:
    return f"GPU-{node}-{index}"


def report(api: Api, node: str, *, pods: dict[int, str] | None = None) -> None:
    """The status that the agent of a node writes first: eight H100s."""
    gpus = [
        {
            "uuid": uuid(node, index),
            "product": "NVIDIA H100 80GB HBM3",
            "state": "Ok",
            "minCapWatts": 200,
            "maxCapWatts": 700,
            "defaultCapWatts": 700,
            "maxClockMhz": 1980,
            "pods": [(pods or {})[index]] if index in (pods or {}) else [],
        }
        for index in range(GPUS)
    ]
    patch = {
        "apiVersion": API_VERSION,
        "kind": "NodePowerCap",
        "metadata": {"name": node},
        "status": {"state": "Enforcing", "gpus": gpus, "observedRevision": cap(api, node)["spec"]["revision"]},
    }
    status, answer = api.apply(f"{CAPS}/{node}/status?fieldManager=medley-agent&force=true", patch)
    assert status == 200, answer


def cap(api: Api, node: str) -> Json:
    status, answer = api.request("GET", f"{CAPS}/{node}")
    return answer if status == 200 else {}


def domain_status(api: Api, name: str) -> Json:
    found: Json = api.request("GET", f"{DOMAINS}/{name}")[1].get("status", {})
    return found


def event_status(api: Api, name: str) -> Json:
    found: Json = api.request("GET", f"{EVENTS}/{name}")[1].get("status", {})
    return found


def list_caps(api: Api, nodes: list[str]) -> dict[str, Json]:
    """The specs of the nodes' caps, by node."""
    wanted = set(nodes)
    items = api.request("GET", CAPS)[1]["items"]
    return {item["metadata"]["name"]: item["spec"] for item in items if item["metadata"]["name"] in wanted}


def limits(api: Api, node: str) -> set[tuple[str, int | None]]:
    """The different limits of a node's GPUs: (clock fraction, watts)."""
    spec = cap(api, node).get("spec", {})
    each = [gpu["limit"] for gpu in spec.get("gpus") or []] or [spec.get("others", {}).get("limit", {})]
    return {(limit.get("clockFraction", ""), limit.get("capWatts")) for limit in each}


def condition(status: Json, type_: str) -> tuple[str, str]:
    """(status, reason)"""
    conditions: list[Json] = status.get("conditions", [])
    found: Json = next((each for each in conditions if each["type"] == type_), {})
    return found.get("status", ""), found.get("reason", "")


def later(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
