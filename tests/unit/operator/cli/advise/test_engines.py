"""Engines of a cluster from raw pods: whose they are, what they serve, and what is left open."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.cli.advise.engines import FoundEngine, engine_of, manager_of, services_of
from medley_operator.fleet.project import pod_view


def pod(name: str = "llama-7c9d-x1", **changes: Any) -> dict[str, Any]:
    labels = {"pod-template-hash": "7c9d"} | changes.get("labels", {})
    owner = changes.get("owner", {"kind": "ReplicaSet", "name": "llama-7c9d", "uid": "1", "controller": True})
    return {
        "metadata": {
            "namespace": "chat",
            "name": name,
            "uid": name,
            "labels": labels,
            "ownerReferences": [owner] if owner else [],
        },
        "spec": {
            "nodeName": "node-0",
            "containers": [
                {"name": "sidecar", "image": "envoy:1"},
                {
                    "name": "engine",
                    "image": changes.get("image", "vllm/vllm-openai:v0.31.0"),
                    "args": changes.get("args", ["--model", "Qwen/Qwen3-32B"]),
                    "resources": {"limits": {"nvidia.com/gpu": "2"}},
                },
            ],
        },
        "status": changes.get("status", {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
    }


def engine(**changes: Any) -> FoundEngine:
    manifest = pod(**changes)
    found = engine_of(manifest, pod_view(manifest))
    assert found is not None
    return found


def test_a_pod_of_a_deployment() -> None:
    found = engine(args=["--model=Qwen/Qwen3-32B", "-tp", "2", "--quantization", "fp8", "--max-model-len", "32k"])
    assert str(found.workload) == "Deployment chat/llama"
    assert (found.served_name, found.version, found.ready, found.gpu_count) == ("Qwen/Qwen3-32B", "0.31.0", True, 2)
    assert (found.tensor_parallel, found.precision, found.max_model_len) == (2, "fp8", 32_000)


@pytest.mark.parametrize(
    ("owner", "workload"),
    [
        (None, "Pod chat/llama-7c9d-x1"),
        ({"kind": "StatefulSet", "name": "llama", "uid": "1", "controller": True}, "StatefulSet chat/llama"),
        ({"kind": "ReplicaSet", "name": "alone", "uid": "1", "controller": True}, "ReplicaSet chat/alone"),
    ],
)
def test_other_owners(owner: dict[str, Any] | None, workload: str) -> None:
    assert str(engine(owner=owner).workload) == workload


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("vllm/vllm-openai:v0.31.0", "0.31.0"),
        ("reg:5000/vllm-openai:0.12.1-cu129", "0.12.1"),
        ("vllm/vllm-openai:latest", ""),
        ("vllm/vllm-openai@sha256:1234", ""),
    ],
)
def test_the_version_is_read_from_the_tag_alone(image: str, version: str) -> None:
    assert engine(image=image).version == version


@pytest.mark.parametrize(
    ("labels", "manager"),
    [
        ({"serving.kserve.io/inferenceservice": "a"}, "KServe"),
        ({"llm-d.ai/model": "a"}, "llm-d"),
        ({"app.kubernetes.io/part-of": "llminferenceservice"}, "KServe"),
        ({"app.kubernetes.io/part-of": "else"}, ""),
        ({}, ""),
    ],
)
def test_managers(labels: dict[str, str], manager: str) -> None:
    assert manager_of(labels) == manager


def test_pods_that_ended_are_not_engines() -> None:
    manifest = pod(status={"phase": "Succeeded"})
    assert engine_of(manifest, pod_view(manifest)) is None


@pytest.mark.parametrize("length", ["auto", "-1", "x", "0", ""])
def test_a_length_that_is_not_one_is_left_open(length: str) -> None:
    assert engine(args=["--model", "a/b", f"--max-model-len={length}"]).max_model_len is None


def test_workloads_that_serve_one_name_are_one_service() -> None:
    other = {"kind": "StatefulSet", "name": "more", "uid": "2", "controller": True}
    found = services_of([engine(), engine(owner=other), engine(args=["--model", "a/b"])])
    assert [(each.served_name, len(each.workloads)) for each in found] == [("Qwen/Qwen3-32B", 2), ("a/b", 1)]
