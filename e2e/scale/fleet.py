"""The fleet of a run: nodes, pools, services and their loads, made from a number of services and a seed. Pure.

At 500 services it is 1000 nodes with 10,000 GPUs, and some 2000 Deployments with 4000 pods; smaller forms keep the
proportions. Each service keeps replicas in four pools, so that it has four Deployments whatever its load.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from e2e.controlplane import kwok_node
from medley_operator.api.v1alpha1 import API_VERSION

Json = dict[str, Any]

SERVICES_PER_NAMESPACE = 20
VARIANTS = 4
"""Pools, and so Deployments, of a service."""
NODES_OF_FOUR_SERVICES = 1
"""Nodes of each pool for every four services: 125 at 500."""
PROFILE = "vllm"
UNUSED_PROFILE = "nobodys"
"""A RuntimeProfile that no service names: a change of it starts a round, and asks for nothing."""
MODEL = "hf://meta-llama/Llama-3.1-8B-Instruct"
MAX_MODEL_LEN = 8192
GPU_LABEL = "medley.dev/pool-nodes"
IMAGES_OF_A_NODE = 50
"""As many as a kubelet reports by default (--node-status-max-images)."""


@dataclass(frozen=True, slots=True)
class PoolShape:
    """A GPUPool. `floor`: fewest replicas that a service of this pool keeps there."""

    name: str
    gpu: str
    gpus_per_node: int
    price: str
    floor: int


POOLS = (
    PoolShape("l40s-a", "L40S", 8, "1.860", floor=2),
    PoolShape("l40s-b", "L40S", 8, "1.950", floor=1),
    PoolShape("l40s-c", "L40S", 8, "2.010", floor=1),
    PoolShape("l40s-d", "L40S", 16, "2.100", floor=2),
    PoolShape("a100-a", "A100-40", 8, "2.740", floor=2),
    PoolShape("a100-b", "A100-40", 8, "2.930", floor=1),
    PoolShape("a100-c", "A100-40", 8, "3.100", floor=1),
    PoolShape("a100-d", "A100-40", 16, "3.210", floor=2),
)


@dataclass(frozen=True, slots=True)
class Load:
    """Requests per second of a service, and their mean sizes in tokens."""

    rate_rps: float
    prompt_tokens: int
    generation_tokens: int


@dataclass(frozen=True, slots=True)
class Service:
    """An LLMService and the load that it begins with."""

    namespace: str
    name: str
    pools: tuple[PoolShape, ...]
    load: Load

    def manifest(self) -> Json:
        static = {
            "requestsPerSecond": f"{self.load.rate_rps:.3f}",
            "promptTokens": self.load.prompt_tokens,
            "generationTokens": self.load.generation_tokens,
        }
        return {
            "apiVersion": API_VERSION,
            "kind": "LLMService",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "model": {"uri": MODEL, "maxModelLen": MAX_MODEL_LEN},
                "slo": {"ttft": "2s", "tpot": "80ms", "percentile": 95},
                "workload": {"source": "Prometheus", "window": "1m", "static": static},
                "variants": [
                    {"name": pool.name, "poolRef": pool.name, "tensorParallel": 1, "minReplicas": pool.floor}
                    for pool in self.pools
                ],
                "drain": {"preStop": "1s", "timeout": "5s"},
            },
        }


@dataclass(frozen=True, slots=True)
class FleetShape:
    """The whole fleet. `seed` decides loads and pools of the services."""

    services: int
    seed: int = 0

    @property
    def nodes_per_pool(self) -> int:
        return max(1, round(self.services * NODES_OF_FOUR_SERVICES / 4))

    @property
    def gpus(self) -> int:
        return self.nodes_per_pool * sum(pool.gpus_per_node for pool in POOLS)

    def namespaces(self) -> list[str]:
        return [f"team-{index:02d}" for index in range(-(-self.services // SERVICES_PER_NAMESPACE))]

    def nodes(self) -> Iterator[Json]:
        for pool in POOLS:
            for index in range(self.nodes_per_pool):
                yield node(pool, index)

    def service_list(self) -> list[Service]:
        draw = random.Random(self.seed)  # noqa: S311 - not for secrets
        return [
            Service(
                namespace=f"team-{index // SERVICES_PER_NAMESPACE:02d}",
                name=f"chat-{index:03d}",
                pools=POOLS[:VARIANTS] if index % 2 else POOLS[VARIANTS:],
                load=Load(
                    rate_rps=round(draw.uniform(25, 100), 3),
                    prompt_tokens=draw.randrange(200, 900),
                    generation_tokens=draw.randrange(60, 240),
                ),
            )
            for index in range(self.services)
        ]


def gpu_pool(pool: PoolShape) -> Json:
    spec = {
        "gpu": pool.gpu,
        "nodeSelector": {GPU_LABEL: pool.name},
        "capacity": {"type": "Fixed", "gpusPerNode": pool.gpus_per_node},
        "cost": {"perHour": pool.price},
    }
    return {"apiVersion": API_VERSION, "kind": "GPUPool", "metadata": {"name": pool.name}, "spec": spec}


def runtime_profile(name: str = PROFILE) -> Json:
    spec = {"image": "vllm/vllm-openai:v0.32.0", "version": "0.32.0"}
    return {"apiVersion": API_VERSION, "kind": "RuntimeProfile", "metadata": {"name": name}, "spec": spec}


def node(pool: PoolShape, index: int) -> Json:
    """A node as large as real ones are: the labels of GPU feature discovery and a full list of images."""
    feature_labels = {
        f"nvidia.com/{name}": value
        for name, value in (
            ("cuda.driver-version.full", "570.133.20"),
            ("cuda.runtime-version.full", "12.8"),
            ("gpu.compute.major", "8"),
            ("gpu.count", str(pool.gpus_per_node)),
            ("gpu.family", "ampere"),
            ("gpu.machine", f"machine-of-{pool.name}"),
            ("gpu.memory", "81559"),
            ("gpu.present", "true"),
            ("gpu.product", pool.gpu),
            ("gpu.replicas", "1"),
            ("gpu.sharing-strategy", "none"),
            ("mig.capable", "false"),
            ("mps.capable", "false"),
        )
    }
    zone = {"topology.kubernetes.io/region": "region-1", "topology.kubernetes.io/zone": "region-1-a"}
    manifest = kwok_node(
        f"{pool.name}-{index:03d}", gpus=pool.gpus_per_node, labels={GPU_LABEL: pool.name, **zone, **feature_labels}
    )
    manifest["status"]["images"] = [
        {
            "names": [
                f"registry.example/platform/image-{number:02d}@sha256:{number:064x}",
                f"registry.example/platform/image-{number:02d}:v1.{number}.0",
            ],
            "sizeBytes": 100_000_000 + number,
        }
        for number in range(IMAGES_OF_A_NODE)
    ]
    return manifest
