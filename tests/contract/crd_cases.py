"""For each kind an object with every field set, and for each pattern and rule an accepted and a rejected change of it.

Bounds, enums and required fields need no words: `leaves` reads them from the generated schema, and `bound_case` makes
the last accepted and the first rejected value. `test_crds` fails where a pattern or rule has no case here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medley_operator.api.crdgen import crd
from medley_operator.api.structural import RULES_KEY, Schema
from medley_operator.api.v1alpha1 import API_VERSION, KINDS, Kind

Object = dict[str, Any]
Change = Mapping[str, Any]
"""Values by path, such as {"spec.variants[].name": "a"}; `[]` is the first item, `{}` the first value of a map."""

REMOVED = object()
KIND: Mapping[str, Kind] = {kind.kind: kind for kind in KINDS}

MINIMAL: Mapping[str, Object] = {
    "LLMService": {"model": {"uri": "hf://org/model"}},
    "GPUPool": {
        "gpu": "L4",
        "nodeSelector": {"gpu": "l4"},
        "capacity": {"gpusPerNode": 1},
        "cost": {"perHour": "0.805"},
    },
    "RuntimeProfile": {"image": "vllm/vllm-openai:v0.32.0", "version": "0.32.0"},
    "ModelProfile": {
        "model": "org/model",
        "gpu": "H100",
        "engineVersion": "0.32.0",
        "stepFactors": {},
    },
    "MedleyPolicy": {},
    "GPUType": {
        "computeCapability": "8.9",
        "memoryGb": "48",
        "memoryGbPerSecond": "864",
        "bf16Tflops": "181",
        "watts": "300",
        "linkGbPerSecond": "32",
    },
    "PowerDomain": {"budgetWatts": 10000},
    "NodePowerCap": {"lease": {"holder": "a", "renewTime": "2026-11-27T13:00:00Z", "durationSeconds": 30}},
    "PowerEvent": {
        "domain": "row",
        "targetWatts": 9000,
        "start": "2026-11-27T13:00:00Z",
        "end": "2026-11-27T16:00:00Z",
    },
}
FULL: Mapping[str, Object] = {
    "LLMService": {
        "model": {
            "uri": "hf://org/model",
            "name": "model",
            "precision": "FP8",
            "maxModelLen": 8192,
            "tokenSecretRef": {"name": "hf", "key": "TOKEN"},
            "configJson": "{}",
            "weightBytes": 80000000000,
            "capacity": {
                "parameters": 80000000000,
                "activeParameters": 3000000000,
                "layers": 48,
                "hiddenSize": 2048,
                "kvBytesPerToken": 24576,
                "stateBytesPerSequence": 75000000,
                "experts": 512,
                "expertsPerToken": 10,
                "attentionHeads": 16,
                "keyValueHeads": 2,
                "precision": "FP8",
            },
        },
        "runtime": {"profileRef": "vllm", "args": ["--enable-prefix-caching"]},
        "slo": {"ttft": "1s", "tpot": "50ms", "percentile": 90},
        "variants": [
            {
                "name": "a",
                "poolRef": "l4",
                "tensorParallel": 2,
                "precision": "FP8",
                "tokenBudget": 4096,
                "minReplicas": 0,
                "maxReplicas": 1000,
            }
        ],
        "workload": {
            "source": "Static",
            "window": "5m",
            "static": {"requestsPerSecond": "2.5", "promptTokens": 100, "generationTokens": 50},
            "schedule": [
                {
                    "name": "sale",
                    "start": "2026-11-27T13:00:00Z",
                    "end": "2026-11-27T15:00:00Z",
                    "factor": "3",
                    "repeat": "Weekly",
                }
            ],
        },
        "scaling": {
            "mode": "Approve",
            "minReplicas": 1,
            "maxReplicas": 1000,
            "headroomPercent": 5,
            "burstHeadroom": "0.5",
            "margins": "Fixed",
            "forecast": {"mode": "Off", "quantilePercent": 95},
            "zoneSpread": True,
            "tolerateReplicaLoss": False,
        },
        "priority": "High",
        "budget": {"maxCostPerHour": "40", "spotMaxPercent": 50, "onDemandMinReplicas": 1},
        "routing": {
            "mode": "InferencePool",
            "gatewayRef": {"name": "gw", "namespace": "platform"},
            "endpointPickerRef": {"name": "picker", "port": 9003, "failureMode": "FailClose"},
        },
        "drain": {"preStop": "5s", "timeout": "60s"},
    },
    "GPUPool": {
        "gpu": "H100",
        "nodeSelector": {"cloud.example/gpu": "h100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "", "effect": "NoExecute"}],
        "resourceName": "nvidia.com/gpu",
        "capacity": {"type": "Elastic", "nodes": 4, "gpusPerNode": 8},
        "cost": {"perHour": "6.88"},
        "provisioning": "Spot",
        "zones": ["eu-1a"],
        "power": {"wattsPerGpu": 650, "budgetWatts": 20000},
        "queue": {"name": "serving", "clusterQueue": "gpus", "flavor": "h100"},
    },
    "RuntimeProfile": {
        "images": [{"vendor": "AMD", "image": "vllm/vllm-openai-rocm:v0.32.0"}],
        "image": "vllm/vllm-openai:v0.32.0",
        "engine": "vLLM",
        "version": "0.32.0",
        "args": ["--swap-space=4"],
        "allowedArgs": ["--enable-prefix-caching"],
        "tokenBudget": 4096,
        "tokenBudgets": [2048, 4096],
        "maxSequences": 128,
        "gpuMemoryUtilizationPercent": 85,
        "startupTimeout": "10m",
        "sharedMemory": "2Gi",
        "resources": {"cpu": "2", "memory": "8Gi", "memoryLimit": "16Gi", "ephemeralStorage": "50Gi"},
        "cache": {"emptyDir": {"sizeLimit": "200Gi"}},
        "pod": {
            "runtimeClassName": "nvidia",
            "imagePullSecrets": [{"name": "registry"}],
            "env": [{"name": "AWS_REGION", "value": "eu-central-1"}],
            "volumes": [{"name": "extra", "configMap": {"name": "certificates"}}],
            "volumeMounts": [{"name": "extra", "mountPath": "/etc/ssl/extra", "readOnly": False}],
            "nodeAffinity": [
                {"weight": 10, "matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["slow"]}]}
            ],
            "podAntiAffinity": [{"weight": 100, "topologyKey": "rack", "matchLabels": {"app": "noisy"}}],
            "schedulerName": "packing",
            "priorityClassName": "serving",
            "annotations": {"example.com/team": "any text: even this"},
            "labels": {"example.com/cost": "research"},
            "queueName": "gpus",
        },
    },
    "ModelProfile": {
        "model": "org/model",
        "gpu": "H100",
        "tensorParallel": 2,
        "precision": "FP8",
        "kvPrecision": "FP8",
        "engine": "vLLM",
        "engineVersion": "0.32.0",
        "points": [
            {
                "promptTokens": "1024",
                "generationTokens": "256.5",
                "concurrency": "8",
                "ttft": "95.125ms",
                "tpot": "12.5ms",
                "requests": 80,
            }
        ],
        "tokenBudget": 4096,
        "maxSequences": 128,
        "kvTokens": 500000,
        "errorPercent": "3.1",
        "measuredAt": "2026-11-27T13:00:00Z",
        "source": {"tool": "vllm-bench", "note": "driver 580"},
    },
    "GPUType": {
        "vendor": "NVIDIA",
        "productNames": ["NVIDIA-Custom-48GB"],
        "memoryGb": "48",
        "usableGib": "44.4",
        "memoryGbPerSecond": "864",
        "bf16Tflops": "181.05",
        "fp8Tflops": "362.1",
        "fp4Tflops": "724",
        "watts": "300",
        "linkGbPerSecond": "56.25",
        "linkedGpus": 2,
        "pcieGbPerSecond": "32",
        "computeCapability": "8.9",
        "gemmBf16Percent": 64,
        "gemmFp8Percent": 50,
        "gemmFp4Percent": 40,
        "memoryPercent": 77,
        "kvPercent": 76,
        "partOfGpu": True,
        "source": "data sheet",
    },
    "MedleyPolicy": {
        "namespaceSelector": {"matchLabels": {"team": "a"}},
        "limits": {
            "maxPriority": "Normal",
            "maxGpus": 64,
            "maxCostPerHour": "250",
            "maxServices": 20,
            "maxReplicas": 32,
            "minMarginPercent": 10,
            "maxMarginPercent": 60,
            "allowedWindows": ["1m", "5m", "15m"],
            "gateways": [{"namespace": "platform", "name": "edge"}],
            "modelSources": ["hf://meta-llama/"],
        },
    },
    "PowerDomain": {
        "parent": "site",
        "budgetWatts": 230000,
        "nodeSelector": {"rack": "a"},
        "nonGpuWatts": 2200,
        "meter": {"query": 'sum(pdu_watts{row="1"})', "error": "0.01"},
        "levels": [
            {
                "enter": "0.84",
                "low": {"clockFraction": "0.904", "capWatts": 350},
                "normal": {"clockFraction": "0.95", "capWatts": 400},
                "high": {"clockFraction": "1", "capWatts": 400},
            }
        ],
        "brake": {
            "enter": "0.985",
            "low": {"clockFraction": "0.426", "capWatts": 200},
            "normal": {"clockFraction": "0.426", "capWatts": 200},
            "high": {"clockFraction": "0.426", "capWatts": 200},
        },
        "safeLevel": 1,
        "relaxGap": "0.05",
        "dwellSeconds": 3600,
        "rampSeconds": 0,
        "staleAfterSeconds": 600,
        "telemetrySeconds": 1,
        "actuationSeconds": 1,
        "planOversubscription": "1.2",
        "mode": "Shadow",
    },
    "NodePowerCap": {
        "mode": "Shadow",
        "revision": 7,
        "lease": {"holder": "medley-power-0", "renewTime": "2026-11-27T13:00:00Z", "durationSeconds": 30},
        "domains": ["rack", "row"],
        "gpus": [
            {
                "uuid": "GPU-0a",
                "priority": "Low",
                "level": 1,
                "limit": {"clockFraction": "0.904", "capWatts": 350},
                "safe": {"clockFraction": "0.5", "capWatts": 300},
            }
        ],
        "others": {
            "level": 1,
            "limit": {"clockFraction": "0.904", "capWatts": 350},
            "safe": {"clockFraction": "0.5", "capWatts": 300},
        },
    },
    "PowerEvent": {
        "domain": "row",
        "targetWatts": 172500,
        "start": "2026-11-27T13:00:00Z",
        "end": "2026-11-27T16:00:00Z",
        "source": "grid operator",
    },
}

# Fields that exclude others of the full object, by path: what is changed of it to make room for them.
EXCLUDED: Mapping[tuple[str, str], Change] = {
    ("RuntimeProfile", "spec.images"): {"spec.image": REMOVED},
    ("RuntimeProfile", "spec.images[].vendor"): {"spec.image": REMOVED},
    ("GPUPool", "spec.cost.perNodeHour"): {"spec.cost": {"perNodeHour": "55"}},
    ("MedleyPolicy", "spec.limits.minMarginPercent"): {"spec.limits.maxMarginPercent": REMOVED},
    ("MedleyPolicy", "spec.limits.maxMarginPercent"): {"spec.limits.minMarginPercent": REMOVED},
    ("ModelProfile", "spec.points[].requestsPerSecond"): {
        "spec.points[].concurrency": REMOVED,
        "spec.points[].requestsPerSecond": "1",
    },
    ("LLMService", "spec.routing.mode"): {"spec.routing.endpointPickerRef": REMOVED},
    ("PowerDomain", "spec.preset"): {"spec.levels": REMOVED, "spec.preset": "polca"},
    ("PowerEvent", "spec.targetFraction"): {"spec.targetWatts": REMOVED, "spec.targetFraction": "0.75"},
    ("LLMService", "spec.model.id"): {"spec.model.uri": "s3://bucket/model", "spec.model.id": "org/model"},
    **{
        ("LLMService", f"spec.model.credentialsSecretRef{field}"): {
            "spec.model.uri": "s3://bucket/model",
            "spec.model.credentialsSecretRef": {"name": "bucket"},
        }
        for field in ("", ".name")
    },
    **{
        ("RuntimeProfile", f"spec.cache.{kind}{field}"): {"spec.cache": {kind: value}}
        for kind, value in (("persistentVolumeClaim", {"claimName": "weights"}), ("hostPath", {"path": "/var/weights"}))
        for field in ("", *(f".{name}" for name in value))
    },
    **{
        ("RuntimeProfile", f"spec.pod.volumes[].{kind}{field}"): {"spec.pod.volumes": [{"name": "extra", kind: value}]}
        for kind, value in (
            ("secret", {"secretName": "a"}),
            ("persistentVolumeClaim", {"claimName": "a"}),
            ("emptyDir", {"sizeLimit": "1Gi"}),
        )
        for field in ("", *(f".{name}" for name in value))
    },
    **{
        ("ModelProfile", f"spec.stepFactors.{name}"): {"spec.points": REMOVED, "spec.stepFactors": {}}
        for name in ("fixed", "compute", "sequence", "kv")
    },
}

# Lists and maps whose items must differ, by path: how item number i is made.
DISTINCT: Mapping[str, Callable[[int], Any]] = {
    "spec.variants": lambda i: {"name": f"v{i}", "poolRef": "l4"},
    "spec.images": lambda i: {"vendor": ("NVIDIA", "AMD", "Intel")[i % 3], "image": "a"},
    "spec.nodeSelector": lambda i: (f"key{i}", "x"),
    "spec.pod.env": lambda i: {"name": f"KEY_{i}"},
    # Of volumes and mounts, which name each other, the first is the one that is there.
    "spec.pod.volumes": lambda i: {"name": f"extra{i}" if i else "extra", "configMap": {"name": "a"}},
    "spec.pod.volumeMounts": lambda i: {"name": "extra", "mountPath": f"/extra/{i}"},
    "spec.pod.annotations": lambda i: (f"key{i}", "x"),
    "spec.pod.labels": lambda i: (f"key{i}", "x"),
    "spec.pod.podAntiAffinity[].matchLabels": lambda i: (f"key{i}", "x"),
    "spec.namespaceSelector.matchLabels": lambda i: (f"key{i}", "x"),
    "spec.gpus": lambda i: {"uuid": f"GPU-{i}"},
}

_DURATION = (["50ms", "1.5m", "24h"], ["50", "1d", "-1s", "1 s", "s"])
_SHORT_DURATION = (["50ms", "1.5m", "0.5h"], _DURATION[1])
_LABEL = (["a", "l4-spot"], ["-a", "a-", "A", "a.b", "a/b"])
_SUBDOMAIN = (["a", "a.b-c"], ["-a", "a.", "A", "a/b"])
_ARGUMENT = (
    ["--enable-x", "--a.b=c", '--json={"a": 1}', "--x="],
    ["-x", "enable", "--X", "--a b", "--x=1\n--y=2", "--"],
)
_ADDRESSES = [
    "hf://meta-llama/Llama-3.1-8B-Instruct",
    "pvc://claim",
    "pvc://models.team-a/hub/models--a--b/snapshots/0f",
    "oci://registry.local:5000/models/llama:3.1",
    "s3://bucket/a/b",
    "gs://my.bucket_1/llama",
    f"oci://quay.io/a/b@sha256:{'0' * 64}",
]
_NO_ADDRESSES = [
    "hf://a",
    "hf://a/b/c",
    "https://host/a/b",
    "hf:///b",
    "hf://a/../b",
    "file:///etc",
    "/etc",
    "hostPath://etc",
    "az://account/a",
    "pvc://",
    "pvc://claim/..",
    "pvc://claim/../other",
    "pvc://claim/a/../../b",
    "pvc://claim/.hidden",
    "pvc://a//b",
    "pvc://Claim/a",
    "pvc://claim/a/",
    "pvc://claim/$(HOME)",
    "oci://image",
    "oci://a/b@sha256:0",
    "oci:///b",
    "oci://a/../b",
    "s3://bucket",
    "s3://bucket/",
    "s3://bucket/../b",
    "s3://b/a",
    "s3://bucket/a?x=1",
    "gs://bucket/./a",
    "oci://a/b:tag with space",
    "hf://a/b\n",
]
_SIZE = (["512Mi", "8Gi"], ["8G", "8", "-1Gi", "1.5Gi"])
_PATH = (["/a", "/a/b-c.d/_e"], ["a", "/", "/a/", "//a", "/a/../b", "/.a", "/a b", "/$(A)"])
_LABEL_KEY = (["a", "nvidia.com/gpu"], ["-a", "/a", "a/b/c", "-.-/a"])
_LABEL_VALUE = (["", "a", "a_B.c"], ["-a", "a-", "a/b", "a b"])
_NO_SIZES = {"spec.model.configJson": REMOVED, "spec.model.capacity": REMOVED}
_DECIMAL = (["0", "0.805", "1000000"], ["-1", "1e3", ".5", "1.", "$1", "1,5"])

_FRACTION = (["0.1", "0.787", "1", "1.0"], ["-1", "1.1", ".5", "1.", "1.001", "50%", "2"])
_TIME = (
    ["2026-11-27T13:00:00Z", "2026-11-27T13:00:01Z"],
    ["2026-11-27", "2026-13-01T00:00:00Z", "2026-11-27T24:00:00Z", "2026-11-27 13:00:00Z", "now"],
)
_FACTOR = (["0.05", "1", "20", "1.234567"], ["-1", "1e1", ".5", "1.", "1.2345678", "x"])
_TOKENS = (["1", "1024", "1020.125"], ["-1", "1e3", ".5", "1.", "1.2345", "many"])

PATTERNS: Mapping[tuple[str, str], tuple[list[str], list[str]]] = {
    ("LLMService", "spec.model.uri"): (_ADDRESSES, _NO_ADDRESSES),
    ("LLMService", "spec.model.id"): (["org/model", "meta-llama/Llama-3.1-8B"], ["model", "a/b/c", "../b", "a b/c"]),
    ("LLMService", "spec.model.credentialsSecretRef.name"): _SUBDOMAIN,
    ("LLMService", "spec.model.name"): (["llama", "org/llama-3.1"], ["-llama", "a b", "/a"]),
    ("LLMService", "spec.model.tokenSecretRef.name"): _SUBDOMAIN,
    ("LLMService", "spec.model.tokenSecretRef.key"): (["HF_TOKEN", ".a-b"], ["a/b", ""]),
    ("LLMService", "spec.runtime.profileRef"): _LABEL,
    ("LLMService", "spec.runtime.args[]"): _ARGUMENT,
    ("LLMService", "spec.slo.ttft"): _DURATION,
    ("LLMService", "spec.slo.tpot"): _DURATION,
    ("LLMService", "spec.variants[].name"): _LABEL,
    ("LLMService", "spec.variants[].poolRef"): _LABEL,
    ("LLMService", "spec.workload.window"): (["300s", "1h", "0.25h"], ["5", "1d"]),
    ("LLMService", "spec.workload.static.requestsPerSecond"): (["0", "0.805", "100000"], _DECIMAL[1]),
    ("LLMService", "spec.workload.schedule[].name"): _LABEL,
    ("LLMService", "spec.workload.schedule[].start"): (["2026-11-27T14:59:59Z", "2026-11-20T16:00:00Z"], _TIME[1]),
    ("LLMService", "spec.workload.schedule[].end"): (["2026-11-27T13:00:01Z", "2026-12-01T00:00:00Z"], _TIME[1]),
    ("LLMService", "spec.workload.schedule[].factor"): (["0.5", "100"], _DECIMAL[1]),
    ("LLMService", "spec.scaling.burstHeadroom"): (["0", "1.25", "99.999"], ["-1", "100", "1e1", ".5", "1.", "0.1234"]),
    ("LLMService", "spec.budget.maxCostPerHour"): (["0.805", "1000000"], ["-1", "1e3", ".5", "1.", "$1", "1,5"]),
    ("LLMService", "spec.routing.gatewayRef.name"): _SUBDOMAIN,
    ("LLMService", "spec.routing.gatewayRef.namespace"): _LABEL,
    ("LLMService", "spec.routing.endpointPickerRef.name"): _LABEL,
    ("LLMService", "spec.drain.preStop"): _SHORT_DURATION,
    ("LLMService", "spec.drain.timeout"): _SHORT_DURATION,
    ("GPUPool", "spec.nodeSelector{}"): (["", "a", "a_B.c"], ["-a", "a-", "a/b", "a b"]),
    ("GPUPool", "spec.tolerations[].key"): (["a", "nvidia.com/gpu"], ["-a", "/a", "a/b/c", "-.-/a"]),
    ("GPUPool", "spec.tolerations[].value"): (["", "a"], ["-a", "a b"]),
    ("GPUPool", "spec.resourceName"): (["amd.com/gpu"], ["gpu", "cpu", "/gpu", "-/gpu", "a/-"]),
    ("GPUPool", "spec.cost.perHour"): _DECIMAL,
    ("GPUPool", "spec.cost.perNodeHour"): _DECIMAL,
    ("GPUPool", "spec.zones[]"): (["eu-1a", "Zone.1_b"], ["-a", "a-", "a/b", "a b"]),
    ("RuntimeProfile", "spec.image"): (
        ["registry.local:5000/a/b:tag", "a/b@sha256:0123"],
        ["-a", "A/b", "a b:tag", "$(IMAGE)"],
    ),
    ("RuntimeProfile", "spec.images[].image"): (
        ["registry.local:5000/a/b:tag", "a/b@sha256:0123"],
        ["-a", "A/b", "a b:tag", "$(IMAGE)"],
    ),
    ("RuntimeProfile", "spec.version"): (["0.32", "1.0.0"], ["v0.32", "latest", "0.32.0rc1", "0"]),
    ("RuntimeProfile", "spec.args[]"): _ARGUMENT,
    ("RuntimeProfile", "spec.allowedArgs[]"): (["--a", "--a-b2"], ["a", "--a=b", "--A", "-a"]),
    ("RuntimeProfile", "spec.startupTimeout"): _DURATION,
    ("RuntimeProfile", "spec.sharedMemory"): (["512Mi", "8Gi"], ["8G", "8", "-1Gi", "1.5Gi"]),
    ("RuntimeProfile", "spec.resources.cpu"): (["2", "500m", "1.5"], ["-1", "2 cores", "m"]),
    ("RuntimeProfile", "spec.resources.memory"): (["512Mi", "8Gi"], ["8G", "8Ti "]),
    ("RuntimeProfile", "spec.resources.memoryLimit"): (["8192Mi", "64Gi"], ["8G", "8Ti "]),
    ("RuntimeProfile", "spec.resources.ephemeralStorage"): _SIZE,
    ("RuntimeProfile", "spec.cache.emptyDir.sizeLimit"): _SIZE,
    ("RuntimeProfile", "spec.cache.persistentVolumeClaim.claimName"): _SUBDOMAIN,
    ("RuntimeProfile", "spec.cache.hostPath.path"): _PATH,
    ("RuntimeProfile", "spec.pod.runtimeClassName"): _SUBDOMAIN,
    ("RuntimeProfile", "spec.pod.imagePullSecrets[].name"): _SUBDOMAIN,
    ("RuntimeProfile", "spec.pod.env[].name"): (["A", "_a1"], ["1A", "A-B", "A=B", "A B", ""]),
    ("RuntimeProfile", "spec.pod.volumes[].name"): (["extra"], ["-extra", "Extra", "a.b"]),
    ("RuntimeProfile", "spec.pod.volumes[].configMap.name"): _SUBDOMAIN,
    ("RuntimeProfile", "spec.pod.volumes[].secret.secretName"): _SUBDOMAIN,
    ("RuntimeProfile", "spec.pod.volumes[].persistentVolumeClaim.claimName"): _SUBDOMAIN,
    ("RuntimeProfile", "spec.pod.volumes[].emptyDir.sizeLimit"): _SIZE,
    ("RuntimeProfile", "spec.pod.volumeMounts[].name"): (["extra"], ["-extra", "Extra", "a.b"]),
    ("RuntimeProfile", "spec.pod.volumeMounts[].mountPath"): _PATH,
    ("RuntimeProfile", "spec.pod.nodeAffinity[].matchExpressions[].key"): _LABEL_KEY,
    ("RuntimeProfile", "spec.pod.nodeAffinity[].matchExpressions[].values[]"): _LABEL_VALUE,
    ("RuntimeProfile", "spec.pod.podAntiAffinity[].topologyKey"): _LABEL_KEY,
    ("RuntimeProfile", "spec.pod.podAntiAffinity[].matchLabels{}"): _LABEL_VALUE,
    ("RuntimeProfile", "spec.pod.schedulerName"): _SUBDOMAIN,
    ("RuntimeProfile", "spec.pod.priorityClassName"): _SUBDOMAIN,
    ("RuntimeProfile", "spec.pod.labels{}"): _LABEL_VALUE,
    ("RuntimeProfile", "spec.pod.queueName"): _LABEL,
    ("ModelProfile", "spec.model"): (
        ["meta-llama/Llama-3.1-8B", "local_1.0"],
        ["hf://a/b", "/a", "a/", "a/b/c", "a b"],
    ),
    ("ModelProfile", "spec.engineVersion"): (["0.32", "1.0.0"], ["v0.32", "latest", "0.32.0rc1", "0"]),
    ("ModelProfile", "spec.stepFactors.fixed"): _FACTOR,
    ("ModelProfile", "spec.stepFactors.compute"): _FACTOR,
    ("ModelProfile", "spec.stepFactors.sequence"): _FACTOR,
    ("ModelProfile", "spec.stepFactors.kv"): _FACTOR,
    ("ModelProfile", "spec.points[].promptTokens"): _TOKENS,
    ("ModelProfile", "spec.points[].generationTokens"): _TOKENS,
    ("ModelProfile", "spec.points[].concurrency"): _TOKENS,
    ("ModelProfile", "spec.points[].requestsPerSecond"): _DECIMAL,
    ("ModelProfile", "spec.points[].ttft"): _DURATION,
    ("ModelProfile", "spec.points[].tpot"): _DURATION,
    ("ModelProfile", "spec.errorPercent"): (["0", "3.1", "100"], ["-1", "1e1", ".5", "1.", "5%"]),
    ("ModelProfile", "spec.measuredAt"): (
        ["2026-11-27T13:00:00Z", "2026-01-31T23:59:59Z"],
        ["2026-11-27", "2026-13-01T00:00:00Z", "2026-11-27T24:00:00Z", "2026-11-27 13:00:00Z", "now"],
    ),
    **{
        ("GPUType", f"spec.{name}"): (["48", "44.4", "999999.999"], ["-1", "1e3", ".5", "1.", "4,5", "1000000"])
        for name in (
            *("memoryGb", "usableGib", "memoryGbPerSecond", "bf16Tflops", "fp8Tflops", "fp4Tflops", "watts"),
            *("linkGbPerSecond", "pcieGbPerSecond"),
        )
    },
    ("GPUType", "spec.computeCapability"): (["8.9", "10.3", "7.5"], ["9", "9.0a", "sm90", ".9"]),
    ("MedleyPolicy", "spec.namespaceSelector.matchLabels{}"): (["", "a", "a_B.c"], ["-a", "a-", "a/b", "a b"]),
    ("MedleyPolicy", "spec.limits.maxCostPerHour"): _DECIMAL,
    ("MedleyPolicy", "spec.limits.allowedWindows[]"): (["300s", "1h", "0.5m"], ["5", "1d"]),
    ("MedleyPolicy", "spec.limits.gateways[].namespace"): _LABEL,
    ("MedleyPolicy", "spec.limits.gateways[].name"): _SUBDOMAIN,
    ("MedleyPolicy", "spec.limits.modelSources[]"): (
        ["hf://meta-llama", "hf://meta-llama/", "pvc://", "s3://bucket/a_b.c-d"],
        ["meta-llama", "hf:/a", "HF://a", "hf://a b", "hf://a*", "://a"],
    ),
    ("GPUPool", "spec.queue.name"): _LABEL,
    ("GPUPool", "spec.queue.clusterQueue"): _SUBDOMAIN,
    ("GPUPool", "spec.queue.flavor"): _SUBDOMAIN,
    ("PowerDomain", "spec.parent"): _SUBDOMAIN,
    ("PowerDomain", "spec.nodeSelector{}"): (["", "a", "a_B.c"], ["-a", "a-", "a/b", "a b"]),
    ("PowerDomain", "spec.meter.error"): _FRACTION,
    ("PowerDomain", "spec.relaxGap"): _FRACTION,
    ("PowerDomain", "spec.planOversubscription"): (["0.9", "1", "1.25", "2.999"], ["3", "-1", "1,2", ""]),
    **{
        ("PowerDomain", f"spec.{level}.{field}"): _FRACTION
        for level in ("levels[]", "brake")
        for field in ("enter", "low.clockFraction", "normal.clockFraction", "high.clockFraction")
    },
    ("NodePowerCap", "spec.lease.renewTime"): _TIME,
    ("NodePowerCap", "spec.domains[]"): _SUBDOMAIN,
    ("NodePowerCap", "spec.gpus[].uuid"): (["GPU-5d3f0c1a-7b", "MIG-a/1", "0000:41:00.0"], ["-a", "a b", "$(A)"]),
    **{
        ("NodePowerCap", f"spec.{place}.{limit}.clockFraction"): _FRACTION
        for place in ("gpus[]", "others")
        for limit in ("limit", "safe")
    },
    ("PowerEvent", "spec.domain"): _SUBDOMAIN,
    ("PowerEvent", "spec.targetFraction"): _FRACTION,
    ("PowerEvent", "spec.start"): _TIME,
    ("PowerEvent", "spec.end"): (["2026-11-27T13:00:01Z", "2026-12-01T00:00:00Z"], _TIME[1]),
}


_PRIORITIES = ("low", "normal", "high")


def _keys(field: str) -> tuple[list[Change], list[Change]]:
    """Cases of the keys of a map of labels or annotations in the overlay."""
    path = f"spec.pod.{field}"
    return [{path: {"a.b/c_D": "x", "plain": "y"}}], [{path: {key: "x"}} for key in ("-a", "a/b/c", "")]


RULES: Mapping[tuple[str, str, str], tuple[list[Change], list[Change]]] = {
    ("LLMService", "(root)", "metadata.name must have at most 36"): (
        [{"metadata.name": "a" * 36}, {"metadata.name": "a-1"}],
        [{"metadata.name": "a" * 37}, {"metadata.name": "1a"}, {"metadata.name": "a.b"}],
    ),
    ("GPUPool", "(root)", "metadata.name must have at most 20"): (
        [{"metadata.name": "1" * 20}],
        [{"metadata.name": "a" * 21}, {"metadata.name": "a.b"}],
    ),
    ("LLMService", "spec", "each name may be used once"): (
        [{"spec.variants": [{"name": "a", "poolRef": "l4"}, {"name": "b", "poolRef": "l4"}, {"poolRef": "l4"}]}],
        [{"spec.variants": [{"name": "a", "poolRef": "l4"}, {"name": "a", "poolRef": "h100"}]}],
    ),
    ("LLMService", "spec", "two of the same poolRef, tensorParallel, precision and tokenBudget need a name each"): (
        [
            {"spec.variants": [{"poolRef": "l4"}, {"poolRef": "l4", "tensorParallel": 2}, {"poolRef": "h100"}]},
            {"spec.variants": [{"poolRef": "l4", "precision": "BF16"}, {"poolRef": "l4", "precision": "FP8"}]},
            {"spec.variants": [{"poolRef": "l4"}, {"poolRef": "l4", "tokenBudget": 2048}]},
            {"spec.variants": REMOVED},
        ],
        [
            {"spec.variants": [{"poolRef": "l4"}, {"poolRef": "l4"}]},
            {"spec.variants": [{"poolRef": "l4", "precision": "FP8"}, {"poolRef": "l4", "precision": "FP8"}]},
            {"spec.variants": [{"poolRef": "l4", "tokenBudget": 512}, {"poolRef": "l4", "tokenBudget": 512}]},
            {"spec.variants": [{"poolRef": "l4", "tensorParallel": 2}, {"poolRef": "l4", "tensorParallel": 2}]},
        ],
    ),
    ("LLMService", "spec.slo", "ttft and tpot must be more than 0"): (
        [{"spec.slo.ttft": "1ms", "spec.slo.tpot": "1ms"}],
        [{"spec.slo.ttft": "0s"}, {"spec.slo.tpot": "0.0ms"}],
    ),
    ("LLMService", "spec.variants[]", "minReplicas must not exceed maxReplicas"): (
        [
            {"spec.variants[].minReplicas": 2, "spec.variants[].maxReplicas": 2},
            {"spec.variants[].minReplicas": 2, "spec.variants[].maxReplicas": REMOVED},
        ],
        [{"spec.variants[].minReplicas": 3, "spec.variants[].maxReplicas": 2}],
    ),
    ("LLMService", "spec.workload", "source Static needs workload.static"): (
        [{"spec.workload.static": REMOVED, "spec.workload.source": "Prometheus"}, {"spec.workload": REMOVED}],
        [{"spec.workload.static": REMOVED}],
    ),
    ("LLMService", "spec.workload", "window must be one of 30s, 1m, 5m, 15m, 1h"): (
        [{"spec.workload.window": window} for window in ("30s", "0.5m", "1m", "60s", "5m", "15m", "1h", "3600s")],
        [{"spec.workload.window": window} for window in ("10s", "29.999s", "59.999s", "2m", "24h", "999999h")],
    ),
    ("LLMService", "spec.workload.static", "requestsPerSecond must be at most 100000"): (
        [{"spec.workload.static.requestsPerSecond": "100000"}, {"spec.workload.static.requestsPerSecond": "0"}],
        [{"spec.workload.static.requestsPerSecond": "100000.1"}, {"spec.workload.static.requestsPerSecond": "9999999"}],
    ),
    ("LLMService", "spec.drain", "preStop and timeout must add up to at most 1h"): (
        [
            {"spec.drain.preStop": "15s", "spec.drain.timeout": "3585s"},
            {"spec.drain.preStop": "1h", "spec.drain.timeout": "0s"},
            {"spec.drain": REMOVED},
        ],
        [
            {"spec.drain.preStop": "15s", "spec.drain.timeout": "3585.001s"},
            {"spec.drain.preStop": "900000h", "spec.drain.timeout": "900000h"},
            # the default of the other side counts
            {"spec.drain.preStop": "1h", "spec.drain.timeout": REMOVED},
        ],
    ),
    ("RuntimeProfile", "spec", "startupTimeout must be at most 24h"): (
        [{"spec.startupTimeout": "24h"}, {"spec.startupTimeout": "86400s"}],
        [{"spec.startupTimeout": "86400.001s"}, {"spec.startupTimeout": "999999h"}],
    ),
    ("LLMService", "spec.scaling", "minReplicas must not exceed maxReplicas"): (
        [{"spec.scaling.minReplicas": 4, "spec.scaling.maxReplicas": 4}],
        [
            {"spec.scaling.minReplicas": 5, "spec.scaling.maxReplicas": 4},
            # the default of the other side counts
            {"spec.scaling.minReplicas": 65, "spec.scaling.maxReplicas": REMOVED},
        ],
    ),
    ("MedleyPolicy", "spec.limits", "minMarginPercent must not exceed maxMarginPercent"): (
        [{"spec.limits.minMarginPercent": 60}, {"spec.limits.maxMarginPercent": 10}],
        [{"spec.limits.minMarginPercent": 61}, {"spec.limits.maxMarginPercent": 9}],
    ),
    ("LLMService", "spec.scaling", "tolerateReplicaLoss needs maxReplicas of 2"): (
        [{"spec.scaling.tolerateReplicaLoss": True, "spec.scaling.maxReplicas": 2}],
        [{"spec.scaling.tolerateReplicaLoss": True, "spec.scaling.maxReplicas": 1}],
    ),
    ("LLMService", "spec.budget", "maxCostPerHour must be more than 0"): (
        [{"spec.budget.maxCostPerHour": "0.01"}, {"spec.budget.maxCostPerHour": REMOVED}, {"spec.budget": REMOVED}],
        [{"spec.budget.maxCostPerHour": "0"}, {"spec.budget.maxCostPerHour": "0.000"}],
    ),
    ("LLMService", "spec", "onDemandMinReplicas must not exceed scaling.maxReplicas"): (
        [{"spec.budget.onDemandMinReplicas": 4, "spec.scaling.maxReplicas": 4}],
        [
            {"spec.budget.onDemandMinReplicas": 5, "spec.scaling.maxReplicas": 4},
            # the default of the other side counts
            {"spec.budget.onDemandMinReplicas": 65, "spec.scaling.maxReplicas": REMOVED},
        ],
    ),
    ("GPUPool", "spec.cost", "give either perHour"): (
        [{"spec.cost": {"perNodeHour": "55"}}, {"spec.cost": {"perHour": "6.88"}}, {"spec.cost": {}}],
        [{"spec.cost": {"perHour": "6.88", "perNodeHour": "55"}}],
    ),
    ("ModelProfile", "spec", "give either stepFactors or points"): (
        [{"spec.points": REMOVED, "spec.stepFactors": {"fixed": "1.1"}}],
        [{"spec.stepFactors": {}}, {"spec.points": []}, {"spec.points": REMOVED}],
    ),
    ("ModelProfile", "spec.points[]", "give either concurrency"): (
        [{"spec.points[].concurrency": REMOVED, "spec.points[].requestsPerSecond": "2.5"}],
        [{"spec.points[].requestsPerSecond": "2.5"}, {"spec.points[].concurrency": REMOVED}],
    ),
    ("ModelProfile", "spec.points[]", "give tpot, ttft or both"): (
        [{"spec.points[].ttft": REMOVED}, {"spec.points[].tpot": REMOVED}],
        [{"spec.points[].ttft": REMOVED, "spec.points[].tpot": REMOVED}],
    ),
    ("LLMService", "spec.routing", "mode HTTPRoute needs routing.gatewayRef"): (
        [{"spec.routing": {"mode": "Service"}}, {"spec.routing": {"mode": "HTTPRoute", "gatewayRef": {"name": "gw"}}}],
        [{"spec.routing": {"mode": "HTTPRoute"}}],
    ),
    ("LLMService", "spec.routing", "mode InferencePool needs routing.gatewayRef"): (
        [{"spec.routing": {"mode": "InferencePool", "gatewayRef": {"name": "gw"}}}],
        [{"spec.routing.gatewayRef": REMOVED}],
    ),
    ("LLMService", "spec.routing", "endpointPickerRef is for mode InferencePool"): (
        [{"spec.routing.mode": "InferencePool"}],
        [{"spec.routing.mode": "HTTPRoute"}, {"spec.routing.mode": REMOVED}],
    ),
    ("LLMService", "spec.model", "id is for addresses other than hf://"): (
        [{"spec.model.uri": "pvc://a", "spec.model.id": "a/b"}],
        [{"spec.model.id": "a/b"}],
    ),
    ("LLMService", "spec.model", "an address other than hf:// needs id"): (
        [
            {"spec.model.uri": "pvc://a", "spec.model.id": "a/b", **_NO_SIZES},
            {"spec.model.uri": "oci://a/b", "spec.model.capacity": REMOVED},
            {"spec.model.uri": "oci://a/b", "spec.model.configJson": REMOVED},
            _NO_SIZES,
        ],
        [{"spec.model.uri": uri, **_NO_SIZES} for uri in ("pvc://a", "oci://a/b", "s3://bucket/a")],
    ),
    ("LLMService", "spec.model", "capacity needs weightBytes"): (
        [{"spec.model.capacity": REMOVED, "spec.model.weightBytes": REMOVED}, {"spec.model.capacity": REMOVED}],
        [{"spec.model.weightBytes": REMOVED}],
    ),
    ("LLMService", "spec.model", "credentialsSecretRef is for addresses s3:// and gs://"): (
        [
            {"spec.model.uri": "s3://bucket/a", "spec.model.credentialsSecretRef": {"name": "a"}},
            {"spec.model.uri": "gs://bucket/a", "spec.model.credentialsSecretRef": {"name": "a"}},
        ],
        [
            {"spec.model.credentialsSecretRef": {"name": "a"}},
            {"spec.model.uri": "pvc://a", "spec.model.credentialsSecretRef": {"name": "a"}},
        ],
    ),
    ("RuntimeProfile", "spec.resources", "memoryLimit must not be below memory"): (
        [{"spec.resources.memoryLimit": "8192Mi"}, {"spec.resources.memoryLimit": REMOVED}],
        [{"spec.resources.memoryLimit": "8191Mi"}],
    ),
    ("RuntimeProfile", "spec.cache", "give exactly one of emptyDir"): (
        [{"spec.cache": {"persistentVolumeClaim": {"claimName": "a"}}}, {"spec.cache": REMOVED}],
        [{"spec.cache": {}}, {"spec.cache.hostPath": {"path": "/a"}}],
    ),
    ("RuntimeProfile", "spec.pod.volumes[]", "give exactly one of configMap"): (
        [{"spec.pod.volumes[]": {"name": "extra", "secret": {"secretName": "a"}}}],
        [{"spec.pod.volumes[]": {"name": "extra"}}, {"spec.pod.volumes[].emptyDir": {"sizeLimit": "1Gi"}}],
    ),
    ("RuntimeProfile", "spec.pod.volumes[]", "Medley has volumes shm"): (
        [{"spec.pod.volumes[].name": "model2", "spec.pod.volumeMounts": []}],
        [
            {"spec.pod.volumes[].name": name, "spec.pod.volumeMounts": []}
            for name in ("shm", "cache", "weights", "model", "credentials")
        ],
    ),
    ("RuntimeProfile", "spec.pod.volumeMounts[]", "nothing may be mounted at or below /cache"): (
        [{"spec.pod.volumeMounts[].mountPath": "/models"}, {"spec.pod.volumeMounts[].mountPath": "/etc/dev"}],
        [{"spec.pod.volumeMounts[].mountPath": path} for path in ("/cache", "/cache/a", "/dev/x", "/proc", "/model/a")],
    ),
    ("RuntimeProfile", "spec.pod.podAntiAffinity[].matchLabels", "each key must match"): _keys(
        "podAntiAffinity[].matchLabels"
    ),
    ("RuntimeProfile", "spec.pod.labels", "each key must match"): _keys("labels"),
    ("RuntimeProfile", "spec.pod.annotations", "each key must match"): _keys("annotations"),
    ("RuntimeProfile", "spec.pod", "each of volumeMounts must name one of volumes"): (
        [{"spec.pod.volumeMounts": []}],
        [{"spec.pod.volumeMounts[].name": "other"}, {"spec.pod.volumes": []}],
    ),
    ("RuntimeProfile", "spec.pod", "must be unique"): (
        [{"spec.pod.env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}],
        [
            {"spec.pod.env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            {"spec.pod.volumes": [{"name": "extra", "configMap": {"name": name}} for name in ("a", "b")]},
            {"spec.pod.volumeMounts": [{"name": "extra", "mountPath": "/a"}, {"name": "extra", "mountPath": "/a"}]},
        ],
    ),
    ("RuntimeProfile", "spec.pod", "must not be those that Medley sets itself"): (
        [{"spec.pod.labels": {"app.kubernetes.io/part-of": "a"}}],
        [
            {f"spec.pod.{field}": {key: "a"}}
            for field in ("labels", "annotations")
            for key in (
                "medley.dev/service",
                "app.kubernetes.io/managed-by",
                "llm-d.ai/role",
                "kueue.x-k8s.io/queue-name",
            )
        ],
    ),
    ("GPUType", "spec", "an NVIDIA GPU needs computeCapability"): (
        [{"spec.vendor": "AMD", "spec.computeCapability": REMOVED}],
        [{"spec.computeCapability": REMOVED}],
    ),
    ("GPUType", "spec", "linkedGpus needs pcieGbPerSecond"): (
        [{"spec.linkedGpus": REMOVED}, {"spec.linkedGpus": REMOVED, "spec.pcieGbPerSecond": REMOVED}],
        [{"spec.pcieGbPerSecond": REMOVED}],
    ),
    ("RuntimeProfile", "spec", "give image, or images by vendor"): (
        [{"spec.image": REMOVED}, {"spec.images": REMOVED}],
        [{"spec.image": REMOVED, "spec.images": REMOVED}, {"spec.image": REMOVED, "spec.images": []}],
    ),
    ("RuntimeProfile", "spec", "each vendor has one image; image is that of NVIDIA"): (
        [{"spec.image": REMOVED, "spec.images[].vendor": "NVIDIA"}, {"spec.images[].vendor": "Intel"}],
        [
            {"spec.images[].vendor": "NVIDIA"},
            {"spec.images": [{"vendor": "AMD", "image": "a"}, {"vendor": "AMD", "image": "b"}]},
        ],
    ),
    ("MedleyPolicy", "spec.namespaceSelector.matchLabels", "each key must match"): (
        [{"spec.namespaceSelector.matchLabels": {"a.b/c_D": "x", "plain": "y"}}],
        [
            {"spec.namespaceSelector.matchLabels": {"-a": "x"}},
            {"spec.namespaceSelector.matchLabels": {"a/b/c": "x"}},
        ],
    ),
    ("MedleyPolicy", "spec.limits", "each of allowedWindows must be one of 30s, 1m, 5m, 15m, 1h"): (
        [{"spec.limits.allowedWindows": ["30s", "60s", "1h"]}, {"spec.limits.allowedWindows": REMOVED}],
        [{"spec.limits.allowedWindows": ["5m", "29.999s"]}, {"spec.limits.allowedWindows": ["2m"]}],
    ),
    **{
        (kind, f"spec.{path}", "clockFraction must be at least 0.05"): (
            [{f"spec.{path}.clockFraction": "0.05"}, {f"spec.{path}.clockFraction": REMOVED}],
            [{f"spec.{path}.clockFraction": "0.049"}, {f"spec.{path}.clockFraction": "0.0"}],
        )
        for kind, path in (
            *(("PowerDomain", f"{level}.{each}") for level in ("levels[]", "brake") for each in _PRIORITIES),
            *(("NodePowerCap", f"{place}.{each}") for place in ("gpus[]", "others") for each in ("limit", "safe")),
        )
    },
    ("PowerDomain", "spec.nodeSelector", "each key must match"): (
        [{"spec.nodeSelector": {"a.b/c_D": "x", "plain": "y"}}],
        [{"spec.nodeSelector": {"-a": "x"}}, {"spec.nodeSelector": {"a/b/c": "x"}}, {"spec.nodeSelector": {"": "x"}}],
    ),
    ("PowerDomain", "spec", "give either preset or levels"): (
        [{"spec.levels": REMOVED, "spec.preset": "lp-deep"}, {"spec.levels": REMOVED}, {"spec.levels": []}],
        [{"spec.preset": "inband"}],
    ),
    ("PowerDomain", "spec", "nodeSelector needs nonGpuWatts"): (
        [{"spec.nodeSelector": REMOVED, "spec.nonGpuWatts": REMOVED}, {"spec.nonGpuWatts": 0}],
        [{"spec.nonGpuWatts": REMOVED}],
    ),
    ("PowerDomain", "spec", "staleAfterSeconds must be more than telemetrySeconds"): (
        [{"spec.staleAfterSeconds": 3, "spec.telemetrySeconds": 2}],
        [{"spec.staleAfterSeconds": 2, "spec.telemetrySeconds": 2}],
    ),
    ("PowerDomain", "spec", "rampSeconds must not exceed dwellSeconds"): (
        [{"spec.dwellSeconds": 30, "spec.rampSeconds": 30}, {"spec.dwellSeconds": REMOVED, "spec.rampSeconds": 30}],
        [{"spec.dwellSeconds": 29, "spec.rampSeconds": 30}],
    ),
    ("LLMService", "spec.workload.schedule[]", "end must be after start"): (
        [{"spec.workload.schedule[].end": "2026-11-27T13:00:01Z"}],
        [{"spec.workload.schedule[].end": end} for end in ("2026-11-27T13:00:00Z", "2026-11-26T13:00:00Z")],
    ),
    ("LLMService", "spec.workload.schedule[]", "factor must be above 0 and at most 100"): (
        [{"spec.workload.schedule[].factor": factor} for factor in ("0.000001", "100")],
        [{"spec.workload.schedule[].factor": factor} for factor in ("0", "0.0", "100.000001", "9999999")],
    ),
    ("LLMService", "spec.workload.schedule[]", "an event with repeat Daily must last less than a day"): (
        [{"spec.workload.schedule[].repeat": "Daily", "spec.workload.schedule[].end": "2026-11-28T12:59:59Z"}],
        [{"spec.workload.schedule[].repeat": "Daily", "spec.workload.schedule[].end": "2026-11-28T13:00:00Z"}],
    ),
    ("LLMService", "spec.workload.schedule[]", "an event with repeat Weekly must last less than a week"): (
        [
            {"spec.workload.schedule[].end": "2026-12-04T12:59:59Z"},
            {"spec.workload.schedule[].repeat": "Never", "spec.workload.schedule[].end": "2026-12-06T13:00:00Z"},
        ],
        [{"spec.workload.schedule[].end": "2026-12-04T13:00:00Z"}],
    ),
    ("PowerEvent", "spec", "give either targetWatts or targetFraction"): (
        [{"spec.targetWatts": REMOVED, "spec.targetFraction": "0.75"}],
        [{"spec.targetWatts": REMOVED}, {"spec.targetFraction": "0.75"}],
    ),
    ("PowerEvent", "spec", "end must be after start"): (
        [{"spec.end": "2026-11-27T13:00:01Z"}],
        [{"spec.end": "2026-11-27T13:00:00Z"}, {"spec.end": "2026-11-26T13:00:00Z"}],
    ),
    ("PowerEvent", "spec", "end must be at most 7 days after start"): (
        [{"spec.end": "2026-12-04T13:00:00Z"}],
        [{"spec.end": "2026-12-04T13:00:01Z"}],
    ),
    ("GPUPool", "spec.nodeSelector", "each key must match"): (
        [{"spec.nodeSelector": {"a.b/c_D": "x", "plain": "y"}}],
        [{"spec.nodeSelector": {"-a": "x"}}, {"spec.nodeSelector": {"a/b/c": "x"}}, {"spec.nodeSelector": {"": "x"}}],
    ),
    ("GPUPool", "spec.tolerations[]", "set operator: Equal or leave value out"): (
        [
            {"spec.tolerations[].operator": "Equal", "spec.tolerations[].value": "a"},
            {"spec.tolerations[]": {"key": "a"}},
        ],
        [
            {"spec.tolerations[].operator": "Exists", "spec.tolerations[].value": "a"},
            {"spec.tolerations[]": {"key": "a", "value": "b"}},
        ],
    ),
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One limit of the schema: `keyword` (`required:NAME` for a field) at `path`, with its bound."""

    kind: str
    path: str
    keyword: str
    bound: Any
    schema: Schema


def obj(kind: str, spec: Object, name: str = "case") -> Object:
    metadata = {"name": name, **({"namespace": "default"} if KIND[kind].namespaced else {})}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": copy.deepcopy(spec)}


def changed(base: Object, change: Change) -> Object:
    """`base` with the values of `change` put at their paths."""
    result = copy.deepcopy(base)
    for path, value in change.items():
        node: Any = result
        steps = path.replace("[]", ".[]").replace("{}", ".{}").split(".")
        for step in steps[:-1]:
            node = node[_key(node, step)]
        if value is REMOVED:
            del node[_key(node, steps[-1])]
        else:
            node[_key(node, steps[-1])] = value
    return result


def spec_schema(kind: str) -> Schema:
    root: Schema = crd(KIND[kind])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


def leaves(kind: str) -> list[Leaf]:
    """Every limit that the schema of `kind` puts on what users write."""
    root = spec_schema(kind)
    own = [Leaf(kind, "(root)", RULES_KEY, rule["message"], root) for rule in root.get(RULES_KEY, [])]
    return own + list(_leaves(kind, root["properties"]["spec"], "spec"))


def bound_case(leaf: Leaf) -> tuple[list[Change], Change, str]:
    """(accepted changes, rejected change, fragment of the server's message) of a limit that states its own bound."""
    keyword, bound, path = leaf.keyword, leaf.bound, leaf.path
    if keyword.startswith("required:"):
        return [{}], {f"{path}.{bound}": REMOVED}, "Required value"
    match keyword:
        case "minimum":
            return [{path: bound}], {path: bound - 1}, f"should be greater than or equal to {bound}"
        case "maximum":
            return [{path: bound}], {path: bound + 1}, f"should be less than or equal to {bound}"
        case "enum":
            return [{path: value} for value in bound], {path: "Other"}, "Unsupported value"
        case "maxLength":
            return [{}], {path: "a" * (bound + 1)}, "Too long"
        case "minLength":
            return [{}], {path: ""}, f"should be at least {bound} chars long"
        case "minItems":
            return [{path: _sized(leaf, bound)}], {path: _sized(leaf, bound - 1)}, "should have at least"
        case "maxItems" | "maxProperties":
            return [{path: _sized(leaf, bound)}], {path: _sized(leaf, bound + 1)}, "Too many"
        case "minProperties":
            return [{path: _sized(leaf, bound)}], {path: _sized(leaf, bound - 1)}, "should have at least"
    raise AssertionError(f"{leaf.kind} {path}: no way to test {keyword}; add one to bound_case")


def _sized(leaf: Leaf, size: int) -> Any:
    make = DISTINCT.get(leaf.path)
    if leaf.keyword.endswith("Properties"):
        assert make is not None, f"{leaf.path}: say in DISTINCT how its keys differ"
        return dict(make(i) for i in range(size))
    node: Any = FULL[leaf.kind]
    for step in leaf.path.removeprefix("spec.").replace("[]", ".[]").split("."):
        node = node[_key(node, step)]
    return [make(i) if make else node[0] for i in range(size)]


_LIMITS = {
    *("pattern", "enum", "minimum", "maximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def _leaves(kind: str, schema: Schema, path: str) -> Iterator[Leaf]:
    for keyword in sorted(_LIMITS & schema.keys()):
        yield Leaf(kind, path, keyword, schema[keyword], schema)
    for rule in schema.get(RULES_KEY, []):
        yield Leaf(kind, path, RULES_KEY, rule["message"], schema)
    for name in schema.get("required", []):
        yield Leaf(kind, path, f"required:{name}", name, schema)
    for name, sub in schema.get("properties", {}).items():
        yield from _leaves(kind, sub, f"{path}.{name}")
    if "items" in schema:
        yield from _leaves(kind, schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from _leaves(kind, schema["additionalProperties"], f"{path}{{}}")


def _key(node: Any, step: str) -> Any:
    return 0 if step == "[]" else next(iter(node)) if step == "{}" else step
