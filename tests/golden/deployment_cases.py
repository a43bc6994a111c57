"""The Deployments whose whole text is kept: each source of weights, each cache, and an overlay with everything.

What is said here is what the API server gets: the contract tests ask it whether each is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from medley_operator.domain.engine.deployment import DeploymentInput, render_deployment
from medley_operator.domain.values.snapshot import Manifest
from tests.unit.operator import factories as make

FOLDER = Path(__file__).parent / "deployments"
ID = make.LLAMA.removeprefix("hf://")
SOURCES: Mapping[str, Mapping[str, Any]] = {
    "hf": {"uri": make.LLAMA, "tokenSecretRef": {"name": "hf"}},
    "pvc": {"uri": "pvc://models/hub/llama", "id": ID},
    "oci": {"uri": "oci://registry.local:5000/models/llama:3.1", "id": ID},
    "s3": {"uri": "s3://bucket/llama", "id": ID, "credentialsSecretRef": {"name": "bucket"}},
    "gs": {"uri": "gs://bucket/llama", "id": ID, "credentialsSecretRef": {"name": "bucket"}},
}
CACHES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "sized": {"cache": {"emptyDir": {"sizeLimit": "60Gi"}}},
    "claim": {"cache": {"persistentVolumeClaim": {"claimName": "weights"}}},
    "hostpath": {"cache": {"hostPath": {"path": "/var/lib/weights"}}},
}
OVERLAYS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "overlay": {
        "resources": {"memoryLimit": "32Gi", "ephemeralStorage": "20Gi"},
        "pod": {
            "runtimeClassName": "nvidia",
            "imagePullSecrets": [{"name": "registry"}],
            "env": [{"name": "AWS_REGION", "value": "eu-central-1"}],
            "volumes": [
                {"name": "ca", "configMap": {"name": "certificates"}},
                {"name": "licence", "secret": {"secretName": "licence"}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
            ],
            "volumeMounts": [
                {"name": "ca", "mountPath": "/etc/ssl/extra"},
                {"name": "scratch", "mountPath": "/scratch", "readOnly": False},
            ],
            "nodeAffinity": [{"weight": 5, "matchExpressions": [{"key": "disk", "values": ["nvme"]}]}],
            "podAntiAffinity": [{"weight": 9}],
            "schedulerName": "packing",
            "priorityClassName": "serving",
            "annotations": {"example.com/team": "a"},
            "labels": {"example.com/cost": "b"},
            "queueName": "gpus",
        },
    },
}
POOLS: Mapping[str, Mapping[str, Any]] = {"ondemand": {}, "spot": {"provisioning": "Spot"}}
CASES = (
    *("-".join(names) for names in product(SOURCES, CACHES, OVERLAYS)),
    *(f"hf-default-{overlay}-spot" for overlay in OVERLAYS),
)


def rendered(case: str, *, namespace: str = make.NAMESPACE) -> Manifest:
    """The Deployment of `source-cache-overlay`, with or without `-pool` after it."""
    source, cache, overlay, *pools = case.split("-")
    service = make.service(spec={"model": dict(SOURCES[source])})
    placed = service.model_copy(update={"metadata": service.metadata.model_copy(update={"namespace": namespace})})
    return render_deployment(
        DeploymentInput(
            service=placed,
            profile=make.profile(**CACHES[cache], **OVERLAYS[overlay]),
            pool=make.pool(tolerations=[{"key": "nvidia.com/gpu"}], **POOLS[(*pools, "ondemand")[0]]),
            variant="l4-tp2",
            layout="abcdefgh",
            gpus_per_replica=2,
            engine_flags=(("--tensor-parallel-size", "2"), ("--max-num-batched-tokens", "2048")),
            replicas=2,
            surge=True,
        )
    )
