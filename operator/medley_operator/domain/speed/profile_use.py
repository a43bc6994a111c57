"""Which engines the services of a snapshot may run, as far as a measured profile could be of one of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.engine.arguments import user_flags
from medley_operator.domain.values.catalogue import find_gpu, find_shape
from medley_operator.domain.values.refusal import Refusal
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.variants.requested import precisions_of
from medley_planner.layout import EngineKind, KvFormat
from medley_planner.shapes import Precision
from medley_planner.variants import kv_format_of


@dataclass(frozen=True, slots=True)
class Use:
    """One service: `model` and GPUs by the catalogue's names, `gpus_per_node` the most that a node of a pool has."""

    service: str
    model: str
    engine_version: str
    precisions: tuple[Precision, ...]
    kv_format: KvFormat
    gpus_per_node: Mapping[str, int]
    max_model_len: int


def uses_of(snapshot: Snapshot) -> tuple[Use, ...]:
    """In the order of the services' names; services whose model, RuntimeProfile or KV cache format is not known use
    nothing."""
    profiles = {profile.metadata.name: profile for profile in snapshot.profiles}
    uses: list[Use] = []
    for service in sorted(snapshot.services, key=ServiceKey.of):
        shape = find_shape(service)
        profile = profiles.get(service.spec.runtime.profile_ref)
        if isinstance(shape, Refusal) or profile is None or service.metadata.deletion_timestamp is not None:
            continue
        kv_format = kv_format_of(EngineKind.VLLM, user_flags(service, profile))
        if kv_format is None:
            continue
        uses.append(
            Use(
                service=ServiceKey.of(service).problem_name,
                model=shape.name,
                engine_version=profile.spec.version,
                precisions=precisions_of(service),
                kv_format=kv_format,
                gpus_per_node=_gpus_per_node(service, snapshot),
                max_model_len=service.spec.model.max_model_len,
            )
        )
    return tuple(uses)


def _gpus_per_node(service: LLMService, snapshot: Snapshot) -> Mapping[str, int]:
    named = {variant.pool_ref for variant in service.spec.variants}
    most: dict[str, int] = {}
    for pool in snapshot.pools:
        gpu = find_gpu(pool.spec.gpu)
        if gpu is not None and (not named or pool.metadata.name in named):
            most[gpu.name] = max(most.get(gpu.name, 0), pool.spec.capacity.gpus_per_node)
    return most
