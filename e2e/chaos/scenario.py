"""The life of one service, step by step: made, grown, moved to another pool, shrunk, given another image, deleted.

The sizes of its requests never change, so that a replica of a variant has the same capacity in every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.domain.values import labels

NAME = "chat"
DECOY = "decoy"
GATEWAY = "inference"
PROFILE = "vllm"
IMAGE = "vllm/vllm-openai:v0.32.0"
OTHER_IMAGE = "registry.example/vllm-openai:v0.32.0"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pool:
    """A GPUPool and the nodes of its GPUs."""

    name: str
    gpu: str
    nodes: int
    gpus_per_node: int
    price: str

    @property
    def stock(self) -> int:
        return self.nodes * self.gpus_per_node


LAYOUTS = {"l4": 2, "h100": 1}
"""GPUs of a replica, by pool."""
POOLS = (Pool("l4", "L4", 3, 4, "0.805"), Pool("h100", "H100", 1, 8, "6.880"))


@dataclass(frozen=True, slots=True)
class Step:
    """What a step leaves the cluster with. `rate_rps` None: the service is deleted."""

    name: str
    rate_rps: float | None
    pools: tuple[str, ...] = ()
    image: str = IMAGE


CREATE = Step("create", 2, ("l4",))
GROW = Step("grow", 10, ("l4",))
MOVE = Step("move", 10, ("h100",))
BACK = Step("back", 10, ("l4",))
SHRINK = Step("shrink", 4, ("l4",))
IMAGE_CHANGE = Step("image", 4, ("l4",), OTHER_IMAGE)
DELETE = Step("delete", None)

WHOLE = (CREATE, GROW, MOVE, BACK, SHRINK, IMAGE_CHANGE, DELETE)
SHORT = (CREATE, GROW)


def gpu_pool(pool: Pool) -> Json:
    spec = {
        "gpu": pool.gpu,
        "nodeSelector": {"medley.dev/gpu": pool.gpu},
        "capacity": {"type": "Fixed", "gpusPerNode": pool.gpus_per_node},
        "cost": {"perHour": pool.price},
    }
    return {"apiVersion": API_VERSION, "kind": "GPUPool", "metadata": {"name": pool.name}, "spec": spec}


def runtime_profile(image: str) -> Json:
    spec = {"image": image, "version": "0.32.0"}
    return {"apiVersion": API_VERSION, "kind": "RuntimeProfile", "metadata": {"name": PROFILE}, "spec": spec}


def gateway(namespace: str) -> Json:
    spec = {"gatewayClassName": "demo", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": GATEWAY, "namespace": namespace},
        "spec": spec,
    }


def service(namespace: str, step: Step, *, measured: bool = False) -> Json:
    """The LLMService as a step wants it; `measured`: its load comes from Prometheus where that has any."""
    static = {"requestsPerSecond": f"{step.rate_rps:g}", "promptTokens": 500, "generationTokens": 150}
    return {
        "apiVersion": API_VERSION,
        "kind": "LLMService",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct", "maxModelLen": 8192},
            "slo": {"ttft": "2s", "tpot": "60ms", "percentile": 95},
            "workload": {"source": "Prometheus" if measured else "Static", "static": static},
            # One layout in each pool, and one that every free place fits: the scheduler decides nothing of the outcome.
            "variants": [{"poolRef": pool, "tensorParallel": LAYOUTS[pool]} for pool in step.pools],
            "routing": {"gatewayRef": {"name": GATEWAY}},
            "drain": {"preStop": "1s", "timeout": "5s"},
        },
    }


def foreign(namespace: str) -> list[Json]:
    """Deployments of others: one that has nothing to do with us, and one with our labels that nothing of ours owns."""
    ours = labels.child_labels(service=NAME, component=labels.COMPONENT_ENGINE, variant="l4-tp2", pool="l4")
    return [_deployment(namespace, "theirs", {"app": "theirs"}), _deployment(namespace, DECOY, ours)]


def _deployment(namespace: str, name: str, own: Mapping[str, str]) -> Json:
    template = {"metadata": {"labels": dict(own)}, "spec": {"containers": [{"name": "main", "image": "theirs"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(own)},
        "spec": {"replicas": 0, "selector": {"matchLabels": dict(own)}, "template": template},
    }
