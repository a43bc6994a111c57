"""The YAML objects of Medley that would serve what a cluster serves now: pools, a profile, services. Pure.

They are plain JSON values as `kubectl apply` takes them, so that what is planned here is what is written. Services are
Advisory: applied beside what runs, they show plans and start nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.cli.advise.engines import FoundService, is_hub_id
from medley_operator.cli.advise.load import SeenLoad
from medley_operator.cli.advise.pools import FoundPool
from medley_operator.domain.cluster.prices import GpuPrice
from medley_planner.bad_input import shown
from medley_planner.catalog import gpu
from medley_planner.shapes import BadConfig, UnknownModel, bundled_shape

Json = dict[str, Any]
PROFILE = "vllm"
DEFAULT_LENGTH = 16384
MOST_LENGTH = 1048576


@dataclass(frozen=True, slots=True)
class Targets:
    """Latency targets of every service, as an LLMService writes them."""

    ttft: str
    tpot: str
    percentile: int
    gateway: tuple[str, str] | None = None
    """(namespace, name) of the Gateway that would route; None: an equal share for each replica."""


def pool_manifest(pool: FoundPool, price: GpuPrice) -> Json:
    spec: Json = {
        "gpu": pool.gpu,
        "nodeSelector": dict(pool.selector),
        "resourceName": pool.resource,
        "capacity": {"type": "Fixed", "gpusPerNode": pool.gpus_per_node},
        "cost": {"perHour": _decimal(price.per_gpu_hour_usd)},
    }
    if pool.spot:
        spec["provisioning"] = "Spot"
    if pool.tolerations:
        spec["tolerations"] = [
            {"key": taint.key, "effect": taint.effect}
            | ({"operator": "Equal", "value": taint.value} if taint.value else {"operator": "Exists"})
            for taint in pool.tolerations
        ]
    return {"apiVersion": API_VERSION, "kind": "GPUPool", "metadata": {"name": pool.name}, "spec": spec}


def added_pool_manifest(product: str, per_gpu_hour_usd: float) -> Json:
    """A pool of a GPU type that the cluster does not have. Raises UnknownGpu."""
    row = gpu(product)
    name = f"add-{_label(row.name)}"
    spec: Json = {
        "gpu": row.name,
        "nodeSelector": {"nvidia.com/gpu.product": row.aliases[0] if row.aliases else row.name},
        "capacity": {"type": "Elastic", "gpusPerNode": 8},
        "cost": {"perHour": _decimal(per_gpu_hour_usd)},
    }
    return {"apiVersion": API_VERSION, "kind": "GPUPool", "metadata": {"name": name}, "spec": spec}


def profile_manifest(images: Iterable[tuple[str, str]], default: tuple[str, str]) -> Json:
    """The image and version that most engines run; `default` where no tag says a version."""
    counted: dict[tuple[str, str], int] = {}
    for image, version in images:
        if version:
            counted[(image, version)] = counted.get((image, version), 0) + 1
    image, version = max(counted, key=lambda each: (counted[each], each), default=default)
    spec = {"image": image, "version": version}
    return {"apiVersion": API_VERSION, "kind": "RuntimeProfile", "metadata": {"name": PROFILE}, "spec": spec}


def service_manifest(service: FoundService, load: SeenLoad, targets: Targets, *, name: str) -> Json:
    lengths = [engine.max_model_len for engine in service.engines if engine.max_model_len is not None]
    needed = math.ceil(load.prompt_tokens + load.generation_tokens)
    model: Json = {
        "uri": f"hf://{service.model}",
        "maxModelLen": min(max(lengths, default=DEFAULT_LENGTH), MOST_LENGTH),
    }
    if needed > model["maxModelLen"]:
        model["maxModelLen"] = min(2 ** math.ceil(math.log2(needed)), MOST_LENGTH)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", service.served_name):
        model["name"] = service.served_name
    if any(engine.precision == "fp8" for engine in service.engines):
        model["precision"] = "FP8"
    spec: Json = {
        "model": model,
        "runtime": {"profileRef": PROFILE},
        "slo": {"ttft": targets.ttft, "tpot": targets.tpot, "percentile": targets.percentile},
        "workload": {
            "static": {
                "requestsPerSecond": _decimal(load.peak_rps),
                "promptTokens": max(1, round(load.prompt_tokens)),
                "generationTokens": max(1, round(load.generation_tokens)),
            }
        },
        "scaling": {"mode": "Advisory", "maxReplicas": 1000},
    }
    if targets.gateway is not None:
        namespace, gateway = targets.gateway
        own = {} if namespace == service.namespace else {"namespace": namespace}
        spec["routing"] = {"gatewayRef": {"name": gateway, **own}}
    metadata = {"name": name, "namespace": service.namespace}
    return {"apiVersion": API_VERSION, "kind": "LLMService", "metadata": metadata, "spec": spec}


def why_not_planned(service: FoundService, load: SeenLoad | None) -> str:
    """Why these engines cannot be planned for; "" where they can."""
    if any(engine.ours for engine in service.engines):
        return "Medley runs it"
    if not service.model:
        return "the command line of its engines names no model"
    if not is_hub_id(service.model):
        return (
            f"its model {shown(service.model)} is a path and no name of the hub; write an LLMService with spec.model.id"
        )
    try:
        bundled_shape(service.model)
    except (UnknownModel, BadConfig) as error:
        return f"its model {shown(service.model)}: {error.way_out}"
    if any(engine.pipeline_parallel > 1 for engine in service.engines):
        return "its engines stand on several nodes each (--pipeline-parallel-size), which Medley does not plan"
    if load is None:
        return "Prometheus shows no finished request of it in the window"
    return ""


def names_of(services: Sequence[FoundService]) -> Mapping[tuple[str, str], str]:
    """Names for LLMServices by namespace and served name: of the form of a DNS label, each once in its namespace."""
    names: dict[tuple[str, str], str] = {}
    taken: set[tuple[str, str]] = set()
    for service in services:
        base = _label(service.served_name.rpartition("/")[2])[:40].strip("-") or "model"
        name, count = base, 2
        while (service.namespace, name) in taken:
            name, count = f"{base}-{count}", count + 1
        taken.add((service.namespace, name))
        names[(service.namespace, service.served_name)] = name
    return names


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


def _decimal(value: float) -> str:
    """A decimal of at most 6 places without an exponent, above 0."""
    return f"{max(value, 1e-6):.6f}".rstrip("0").rstrip(".")
