"""The disk of an engine's pod: where downloaded weights lie, and how much of the node's disk the pod may fill. Pure.

Without a limit, weights fill the node's disk and the kubelet evicts whoever stands there; with one that is too small it
evicts the engine at each start. So the limit follows the model's weights where they are downloaded onto that disk.

Weights that are shared lie in the Hugging Face hub's own layout, a folder for each model, so that services of one model
share them. A folder of the node is split by namespace: who may write weights there decides what is served from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import CacheSpec, LLMService, ModelSource, RuntimeProfile
from medley_operator.api.v1alpha1.fields import mebibytes
from medley_operator.domain.engine.pod_parts import PodParts
from medley_operator.domain.engine.programs import CACHE_PATH, WEIGHTS_PATH
from medley_operator.domain.values.catalogue import find_shape
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.refusal import Refusal
from medley_planner.shapes import BF16_BYTES

SCRATCH_GIB = 10
"""Compiled kernels and graphs, and the engine's home; as much again for logs and for files outside of volumes."""
REQUESTED_SCRATCH_GIB = 2
SPARE_WEIGHTS = 1.25
"""Beside the weights a repository holds tokenizers and parts that are downloaded while others are checked."""
UNKNOWN_WEIGHTS_GIB = 100
"""Assumed of a model whose shape is not known any more while it runs."""


@dataclass(frozen=True, slots=True)
class Storage:
    """`parts`: volumes and mounts. `request` and `limit`: of ephemeral storage, as quantities."""

    parts: PodParts
    request: str
    limit: str


def storage(service: LLMService, profile: RuntimeProfile) -> Storage:
    """The cache as the profile has it, or by default on the node's disk, as large as the model needs."""
    cache, weights_gib = profile.spec.cache or CacheSpec.model_construct(), downloaded_gib(service, profile)
    spare = math.ceil(weights_gib * SPARE_WEIGHTS)
    size = f"{spare + SCRATCH_GIB}Gi" if cache.empty_dir is None else cache.empty_dir.size_limit
    asked = profile.spec.resources.ephemeral_storage or f"{weights_gib + REQUESTED_SCRATCH_GIB}Gi"
    volumes: list[Manifest] = [{"name": "cache", "emptyDir": {"sizeLimit": size}}]
    mounts: list[Manifest] = [{"name": "cache", "mountPath": CACHE_PATH}]
    shared = _shared(cache, service)
    if shared is not None and service.spec.model.source is ModelSource.HUGGING_FACE:
        volume, folder = shared
        volumes.append({"name": "weights", **volume})
        mounts.append({"name": "weights", "mountPath": WEIGHTS_PATH, "subPath": folder})
    limit = max(mebibytes(size) + SCRATCH_GIB * 1024, mebibytes(asked))
    return Storage(
        parts=PodParts(volumes=tuple(volumes), mounts=tuple(mounts)),
        request=asked if mebibytes(asked) <= mebibytes(size) or profile.spec.resources.ephemeral_storage else size,
        limit=f"{limit // 1024}Gi" if limit % 1024 == 0 else f"{limit}Mi",
    )


def downloaded_gib(service: LLMService, profile: RuntimeProfile) -> int:
    """Weights that the pod downloads onto the disk of its node; an engine that loads FP8 downloads BF16 as well."""
    cache = profile.spec.cache
    elsewhere = cache is not None and cache.empty_dir is None
    if elsewhere or service.spec.model.source is not ModelSource.HUGGING_FACE:
        return 0
    shape = find_shape(service)
    if isinstance(shape, Refusal):
        return UNKNOWN_WEIGHTS_GIB
    draft = shape.draft_parameters * (shape.checkpoint.expert_bytes if shape.checkpoint else BF16_BYTES)
    return math.ceil((shape.weight_bytes(shape.precision) + draft) / 2**30)


def _shared(cache: CacheSpec, service: LLMService) -> tuple[Manifest, str] | None:
    """The volume of weights that others use too, and the folder in it; None where each pod has its own."""
    if cache.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": {"claimName": cache.persistent_volume_claim.claim_name}}, "huggingface"
    if cache.host_path is not None:
        volume = {"hostPath": {"path": cache.host_path.path, "type": "Directory"}}
        return volume, f"{service.metadata.namespace}/huggingface"
    return None
