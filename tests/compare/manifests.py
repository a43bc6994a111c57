"""The manifests that snapshots are made of: those of the examples, and variations of the quick start. Pure but for
reading the examples, which both checkouts read from the same folder."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
Manifests = list[Manifest]

MODELS = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.1-70B-Instruct",
    "Qwen/Qwen3-30B-A3B",
    "Qwen/Qwen2.5-14B-Instruct",
    "Qwen/Qwen2.5-32B-Instruct",
    "openai/gpt-oss-120b",
    "google/gemma-2-9b-it",
)
GPUS = ("L4", "A10G", "L40S", "A100-40", "A100-80", "H100", "H200", "B200", "GB200", "MI300X", "RTX-PRO-6000")
DEGREES = (1, 2, 4, 8)
_KINDS = ("LLMService", "GPUPool", "RuntimeProfile", "ModelProfile")

_SERVICES: dict[str, Manifest] = {
    "tight targets": {"slo": {"ttft": "300ms", "tpot": "25ms", "percentile": 99}},
    "loose targets": {"slo": {"ttft": "20s", "tpot": "200ms", "percentile": 50}},
    "impossible targets": {"slo": {"ttft": "1ms", "tpot": "1ms"}},
    "precision Auto": {"model": {"precision": "Auto"}},
    "precision FP8": {"model": {"precision": "FP8"}},
    "long sequences": {"model": {"maxModelLen": 131072}},
    "70B": {"model": {"uri": "hf://meta-llama/Llama-3.1-70B-Instruct", "precision": "Auto"}},
    "mixture of experts": {"model": {"uri": "hf://Qwen/Qwen3-30B-A3B"}},
    "unknown model": {"model": {"uri": "hf://nobody/nothing"}},
    "FP8 cache": {"runtime": {"args": ["--kv-cache-dtype=fp8"]}},
    "prefix caching": {"runtime": {"args": ["--enable-prefix-caching"]}},
    "little load": {"workload": {"static": {"requestsPerSecond": "0.05"}}},
    "much load": {"workload": {"static": {"requestsPerSecond": "60", "promptTokens": 900}}},
    "long prompts": {"workload": {"static": {"promptTokens": 8000, "generationTokens": 300}}},
    "corrected by simulation": {
        "slo": {"ttft": "200ms", "tpot": "40ms", "percentile": 99},
        "scaling": {"headroomPercent": 0, "maxReplicas": 500},
        "workload": {"static": {"requestsPerSecond": "60", "promptTokens": 4000}},
    },
    "minimum": {"scaling": {"minReplicas": 6}},
    "too few replicas": {"scaling": {"maxReplicas": 2}, "workload": {"static": {"requestsPerSecond": "80"}}},
    "headroom": {"scaling": {"headroomPercent": 70, "burstHeadroom": "1.5"}},
    "replica loss": {"scaling": {"tolerateReplicaLoss": True}},
    "zones": {"scaling": {"zoneSpread": True, "minReplicas": 2}},
    "budget": {"budget": {"maxCostPerHour": "3"}, "workload": {"static": {"requestsPerSecond": "20"}}},
    "by pod": {"routing": {"mode": "Service"}, "workload": {"static": {"requestsPerSecond": "15"}}},
    "pools named": {"variants": [{"poolRef": "l4"}, {"poolRef": "h100"}]},
    "variants named": {
        "model": {"precision": "Auto"},
        "variants": [
            {"poolRef": "l4", "tensorParallel": 2, "minReplicas": 1},
            {"poolRef": "l40s", "precision": "FP8", "tokenBudget": 2048},
            {"name": "big", "poolRef": "h100", "tensorParallel": 4, "maxReplicas": 1},
            {"poolRef": "a100", "tensorParallel": 1, "maxReplicas": 2},
        ],
    },
}
_MUCH: Manifest = {"workload": {"static": {"requestsPerSecond": "250"}}}
_PROFILES: dict[str, Manifest] = {
    "one token budget": {"tokenBudget": 1024},
    "two token budgets": {"tokenBudgets": [512, 4096], "maxSequences": 64},
    "less memory": {"gpuMemoryUtilizationPercent": 70, "startupTimeout": "5m"},
    "older engine": {"version": "0.19.0"},
}
_POOLS: dict[str, Manifest] = {
    "few nodes": {"capacity": {"nodes": 1}},
    "elastic": {"capacity": {"type": "Elastic", "nodes": 3}},
    "power": {"power": {"wattsPerGpu": 350, "budgetWatts": 1500}},
}


def variations(examples: Path) -> Iterator[tuple[str, Manifests]]:
    """Names and manifests, each a whole input of `medley plan -f`."""
    quick = read(examples / "quickstart")
    yield "quickstart", quick
    yield "quickstart measured", [*quick, *read(examples / "modelprofile.yaml")]
    fleet, budget = read(examples / "plan" / "fleet.yaml"), read(examples / "budget" / "fleet.yaml")
    more = {name: read(examples / "plan" / f"{name}.yaml") for name in ("large-model", "long-prompts")}
    yield "fleet", fleet
    for name, extra in more.items():
        yield f"fleet {name}", [*fleet, *extra]
    yield "fleet whole", [*fleet, *more["large-model"], *more["long-prompts"]]
    yield "budget", budget
    for kind, changes in (("LLMService", _SERVICES), ("RuntimeProfile", _PROFILES), ("GPUPool", _POOLS)):
        for name, change in changes.items():
            yield f"quickstart {name}", changed(quick, kind, change)
            if kind == "GPUPool":
                yield f"quickstart {name}, much load", changed(changed(quick, kind, change), "LLMService", _MUCH)
    yield "priorities", _priorities(quick)
    yield "spot", _spot(quick)
    yield "nodes", _nodes(quick)
    yield (
        "measured, precision Auto",
        [
            *changed(quick, "LLMService", {"model": {"precision": "Auto"}}),
            *read(examples / "modelprofile.yaml"),
        ],
    )


def capacity_grid(examples: Path) -> Iterator[tuple[str, Manifests]]:
    """One service for each model and GPU that names every degree and precision, so that no row of them is left out."""
    profiles = [each for each in read(examples / "quickstart") if each["kind"] == "RuntimeProfile"]
    pools = [_pool(gpu) for gpu in GPUS]
    targets: dict[str, Manifest] = {
        "loose": {"ttft": "20s", "tpot": "300ms"},
        "tight": {"ttft": "1s", "tpot": "40ms", "percentile": 99},
    }
    for model in MODELS:
        for name, slo in targets.items():
            services = [_service_of_grid(model, gpu, slo) for gpu in GPUS]
            yield f"capacity {model} {name}", [*profiles, *pools, *services]


def read(path: Path) -> Manifests:
    """Our kinds in a file, or in the files of a folder in the order of their names."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    found = [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    return [each for each in found if each["kind"] in _KINDS]


def changed(manifests: Manifests, kind: str, change: Manifest) -> Manifests:
    """With the specs of one kind overlaid by `change`."""
    return [each | {"spec": _overlaid(each["spec"], change)} if each["kind"] == kind else each for each in manifests]


def _overlaid(old: Manifest, new: Manifest) -> Manifest:
    both = copy.deepcopy(old)
    for name, value in new.items():
        inner = both.get(name)
        both[name] = _overlaid(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return both


def _renamed(manifest: Manifest, name: str) -> Manifest:
    return manifest | {"metadata": manifest["metadata"] | {"name": name}}


def _priorities(quick: Manifests) -> Manifests:
    """Three services that pools of one node each cannot all serve."""
    short = changed(quick, "GPUPool", {"capacity": {"nodes": 1}})
    (service,) = (each for each in short if each["kind"] == "LLMService")
    made = [
        _renamed(changed([service], "LLMService", _MUCH | {"priority": priority})[0], priority.lower())
        for priority in ("High", "Normal", "Low")
    ]
    return [*(each for each in short if each["kind"] != "LLMService"), *made]


def _spot(quick: Manifests) -> Manifests:
    """Each pool with a cheaper one of spot GPUs beside it, in two zones."""
    wishes = {"budget": {"spotMaxPercent": 50, "onDemandMinReplicas": 1}, "scaling": {"zoneSpread": True}}
    asked = changed(quick, "LLMService", wishes | {"workload": {"static": {"requestsPerSecond": "30"}}})
    plain = changed(asked, "GPUPool", {"capacity": {"nodes": 2}, "zones": ["a"]})
    pools = [each for each in plain if each["kind"] == "GPUPool"]
    spot = {"provisioning": "Spot", "zones": ["a", "b"], "cost": {"perHour": "0.400"}}
    return [
        *plain,
        *(_renamed(changed([each], "GPUPool", spot)[0], f"{each['metadata']['name']}-spot") for each in pools),
    ]


def _nodes(quick: Manifests) -> Manifests:
    """Pools that are paid by whole nodes, one of them of few."""
    paid = {"H100": "55.04", "A100-80": "27.45", "L40S": "7.44"}
    made = []
    for each in changed(quick, "LLMService", {"workload": {"static": {"requestsPerSecond": "40"}}}):
        if each["kind"] == "GPUPool" and each["spec"]["gpu"] in paid:
            cost = {"perNodeHour": paid[each["spec"]["gpu"]]}
            capacity = each["spec"]["capacity"] | {"type": "Elastic", "nodes": 2}
            each = each | {"spec": each["spec"] | {"cost": cost, "capacity": capacity}}
        made.append(each)
    return made


def _pool(gpu: str) -> Manifest:
    spec = {
        "gpu": gpu,
        "nodeSelector": {"gpu": gpu},
        "capacity": {"type": "Elastic", "gpusPerNode": 8},
        "cost": {"perHour": "1.23"},
    }
    return {"apiVersion": "medley.dev/v1alpha1", "kind": "GPUPool", "metadata": {"name": gpu.lower()}, "spec": spec}


def _service_of_grid(model: str, gpu: str, slo: Manifest) -> Manifest:
    variants = [
        {
            "name": f"tp{degree}-{precision.lower()}",
            "poolRef": gpu.lower(),
            "tensorParallel": degree,
            "precision": precision,
        }
        for degree in DEGREES
        for precision in ("BF16", "FP8")
    ]
    spec = {
        "model": {"uri": f"hf://{model}", "precision": "Auto", "maxModelLen": 8192},
        "slo": slo,
        "variants": variants,
        "workload": {
            "source": "Static",
            "static": {"requestsPerSecond": "3", "promptTokens": 700, "generationTokens": 200},
        },
    }
    name = gpu.lower()
    metadata = {"name": name, "namespace": "demo"}
    return {"apiVersion": "medley.dev/v1alpha1", "kind": "LLMService", "metadata": metadata, "spec": spec}
