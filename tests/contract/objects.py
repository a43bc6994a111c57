"""Objects of a small fleet for contract tests: pools, the engine, and services with a given load."""

from __future__ import annotations

from typing import Any

from medley_operator.api.v1alpha1 import API_VERSION

POOLS = "/apis/medley.dev/v1alpha1/gpupools"
RUNTIME_PROFILES = "/apis/medley.dev/v1alpha1/runtimeprofiles"


def services_of(namespace: str) -> str:
    """Where the LLMServices of the namespace are."""
    return f"/apis/medley.dev/v1alpha1/namespaces/{namespace}/llmservices"


def gpu_pool(name: str, gpu: str, price: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "GPUPool",
        "metadata": {"name": name},
        "spec": {
            "gpu": gpu,
            "nodeSelector": {"gpu": name},
            "capacity": {"type": "Fixed", "nodes": 4, "gpusPerNode": 4},
            "cost": {"perHour": price},
        },
    }


def profile() -> dict[str, Any]:
    spec = {"image": "vllm/vllm-openai:v0.32.0", "version": "0.32.0"}
    return {"apiVersion": API_VERSION, "kind": "RuntimeProfile", "metadata": {"name": "vllm"}, "spec": spec}


def llm_service(rate: str, *, namespace: str = "team", name: str = "chat") -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "LLMService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"},
            "slo": {"ttft": "2s", "tpot": "100ms"},
            "workload": {
                "source": "Static",
                "static": {"requestsPerSecond": rate, "promptTokens": 500, "generationTokens": 150},
            },
        },
    }
