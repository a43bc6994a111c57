"""`make bench-advise`: how long `medley advise` takes on a cluster of 1,000 engine pods, beside one of 100.

The command is run as a user runs it, in a process of its own, against a server on this machine that answers as an API
server and a Prometheus do: pages of pods with all that clusters put into them, nodes, autoscalers, loads, prices. Their
own time is not in it. Wall time, and the CPU time of the command, of which other programs on the machine change less.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from rich.console import Console

from medley_planner.cli.console import titled_table
from tests.loopback import Asked, served
from tests.perf.cpu import CpuClock
from tests.perf.report import parser_of, write_json

GOAL_SECONDS = 20.0
BASELINE_PODS, PODS, PODS_OF_SERVICE = 100, 1000, 25
PAGE = 500
MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B", "mistralai/Mistral-7B-Instruct-v0.3")
GPUS = (("NVIDIA-H100-80GB-HBM3", 8, 55.0), ("NVIDIA-A100-SXM4-80GB", 8, 29.4), ("NVIDIA-L4", 4, 3.2))
"""Product, GPUs of a node, US dollars per node and hour."""
TP = {"Qwen/Qwen3-32B": 2}


@dataclass(frozen=True)
class FakeCluster:
    """`pods` engines, 25 for each Deployment, on nodes of three GPU types that they fill."""

    pods: int

    @cached_property
    def nodes(self) -> list[dict[str, Any]]:
        return [_node(gpu, number) for gpu in range(len(GPUS)) for number in range(self.pods // 6)]

    @cached_property
    def listed(self) -> Mapping[str, list[dict[str, Any]]]:
        """Objects by the last word of the path that lists them."""
        return {
            "pods": [self._pod(number) for number in range(self.pods)],
            "nodes": self.nodes,
            "horizontalpodautoscalers": [],
            "services": [],
        }

    def answer(self, query: str) -> dict[str, Any]:
        """The answer of Prometheus."""
        now = time.time()
        if query == "time()":
            return {"resultType": "scalar", "result": [now, str(now)]}
        rows: list[tuple[dict[str, str], float]] = []
        if "node_total_hourly_cost" in query:
            rows = [({"node": each["metadata"]["name"]}, _price(each)) for each in self.nodes]
        elif "medley_role" in query:
            named = query.replace("\\", "")  # names are escaped as regular expressions
            figures = {"completed": 864000.0, "peak": 14.0, "counted": 864000.0, "prompt": 6.9e8, "generation": 1.9e8}
            figures |= {"ttft": 0.4, "tpot": 0.03}
            rows = [
                ({"namespace": f"team-{at % 20}", "model_name": f"model-{at}", "medley_role": role}, value)
                for at in range(self.pods // PODS_OF_SERVICE)
                for role, value in figures.items()
                if f"server-{at}-" in named
            ]
        result = [{"metric": labels, "value": [now, str(value)]} for labels, value in rows]
        return {"resultType": "vector", "result": result}

    def _pod(self, number: int) -> dict[str, Any]:
        service = number // PODS_OF_SERVICE
        model = MODELS[service % len(MODELS)]
        count = str(TP.get(model, 1))
        name = f"server-{service}-7d9c5b6f8-{number:05d}"
        labels = {"app": f"server-{service}", "pod-template-hash": "7d9c5b6f8"}
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"server-{service}-7d9c5b6f8", "uid": "u"}
        arguments = ["--model", model, "--served-model-name", f"model-{service}", "--max-model-len", "16k"]
        engine = {
            "name": "engine",
            "image": "vllm/vllm-openai:v0.31.0",
            "args": [*arguments, "--tensor-parallel-size", count],
            "resources": {"limits": {"nvidia.com/gpu": count}},
            "env": [{"name": f"VARIABLE_{at}", "value": "a value of some length" * 3} for at in range(20)],
        }
        nodes = self.nodes[service % len(GPUS) * (self.pods // 6) :][: self.pods // 6]
        fields: dict[str, Any] = {f"f:field-{at}": {"f:name": {}, "f:value": {}} for at in range(100)}
        return {
            "metadata": {
                "name": name,
                "namespace": f"team-{service % 20}",
                "uid": name,
                "labels": labels,
                "creationTimestamp": "2026-11-01T00:00:00Z",
                "ownerReferences": [owner | {"controller": True}],
                "managedFields": [{"manager": "kubelet", "fieldsV1": fields}],
            },
            "spec": {"nodeName": nodes[number % len(nodes)]["metadata"]["name"], "containers": [engine]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }


def _node(gpu: int, number: int) -> dict[str, Any]:
    product, count, _ = GPUS[gpu]
    allocatable = {"cpu": "96", "memory": "1000Gi", "pods": "110", "nvidia.com/gpu": str(count)}
    return {
        "metadata": {"name": f"node-{gpu}-{number}", "uid": "u", "labels": {"nvidia.com/gpu.product": product}},
        "spec": {},
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _price(node: Mapping[str, Any]) -> float:
    return GPUS[int(node["metadata"]["name"].split("-")[1])][2]


@contextmanager
def answering(cluster: FakeCluster) -> Iterator[str]:
    """The address of both, until the block ends."""

    def answer(asked: Asked) -> bytes:
        if asked.verb == "POST":
            (query,) = parse_qs(asked.body)["query"]
            return json.dumps({"status": "success", "data": cluster.answer(query)}).encode()
        address = urlsplit(asked.path)
        options = parse_qs(address.query)
        found = cluster.listed.get(address.path.rpartition("/")[2], [])
        begin = int(options.get("continue", ["0"])[0])
        end = begin + min(int(options.get("limit", [str(PAGE)])[0]), PAGE)
        metadata = {"resourceVersion": "1"} | ({"continue": str(end)} if end < len(found) else {})
        return json.dumps({"kind": "List", "metadata": metadata, "items": found[begin:end]}).encode()

    with served(answer, keep_alive=True) as port:
        yield f"http://127.0.0.1:{port}"


def advised(pods: int) -> dict[str, Any]:
    """The figures of one run. Raises RuntimeError where it does not plan each service."""
    cluster = FakeCluster(pods)
    with tempfile.TemporaryDirectory() as folder, answering(cluster) as address:
        config = Path(folder) / "config"
        named = {"name": "x", "cluster": {"server": address}}, {"name": "x", "context": {"cluster": "x", "user": "x"}}
        parts = {"clusters": [named[0]], "contexts": [named[1]], "users": [{"name": "x", "user": {}}]}
        config.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **parts}))
        medley = Path(sys.executable).parent / "medley"
        command = [str(medley), "advise", "--prometheus", address, "--ttft", "2s", "--tpot", "100ms", "-o", "json"]
        clock, started = CpuClock(), time.monotonic()
        environment = {**os.environ, "KUBECONFIG": str(config), "XDG_CACHE_HOME": folder}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        wall, cpu = time.monotonic() - started, clock.child_seconds()
    if done.returncode != 0:
        raise RuntimeError(f"medley advise ended with {done.returncode}: {done.stderr or done.stdout}")
    services = json.loads(done.stdout)["services"]
    planned = sum(service["plan"] is not None for service in services)
    return {"pods": pods, "services": len(services), "planned": planned, "wall_seconds": wall, "cpu_seconds": cpu}


def main() -> None:
    options = parser_of(__doc__).parse_args()
    rows = [advised(BASELINE_PODS), advised(PODS)]
    whole = ("pods", "services", "planned")
    cells = [
        (*(str(row[name]) for name in whole), f"{row['wall_seconds']:.1f}", f"{row['cpu_seconds']:.1f}") for row in rows
    ]
    headings = ("pods", "services", "planned", "wall s", "CPU s")
    console = Console()
    console.print(titled_table("medley advise", headings, cells))
    within = rows[-1]["wall_seconds"] <= GOAL_SECONDS
    console.print(f"goal: {PODS} pods within {GOAL_SECONDS:.0f} s: {'met' if within else 'missed'}")
    write_json(options.json, {"goal_seconds": GOAL_SECONDS, "runs": rows})


if __name__ == "__main__":
    main()
