"""The running replicas of each service, read from the children in the snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest, ObjectKey


@dataclass(frozen=True, slots=True)
class RunningVariant:
    """The Deployment of one variant. `drained`: it asks for no replica and has no pod left."""

    name: str
    pool: str
    replicas: int
    ready: int
    gpus_per_replica: int
    drained: bool


Children = Mapping[ObjectKey, Manifest]
ReplicaSizes = Mapping[int, int]
"""Number of replicas by the GPUs that one of them takes."""


def by_owner(children: Children) -> dict[str, dict[ObjectKey, Manifest]]:
    """Children by the uid of their controller, in the order of their keys. Those without one are left out."""
    grouped: dict[str, dict[ObjectKey, Manifest]] = {}
    for key in sorted(children):
        uid = labels.owner_uid(children[key])
        if uid:
            grouped.setdefault(uid, {})[key] = children[key]
    return grouped


def of_kind(children: Children, kind: str) -> dict[ObjectKey, Manifest]:
    return {key: manifest for key, manifest in children.items() if key.kind == kind}


def ready_replicas(service: LLMService, owned: Mapping[str, Children]) -> int:
    """Ready replicas of the service's own Deployments; `owned`: children by the uid of their controller."""
    own = of_kind(owned.get(service.metadata.uid, {}), labels.DEPLOYMENT)
    return sum(
        int((manifest.get("status") or {}).get("readyReplicas") or 0)
        for key, manifest in own.items()
        if key.namespace == service.metadata.namespace
    )


def running_variants(own: Children) -> dict[str, RunningVariant]:
    """Variants that have a Deployment among a service's `own` children, by variant name."""
    read = (running_variant(manifest) for manifest in of_kind(own, labels.DEPLOYMENT).values())
    return {variant.name: variant for variant in read if variant.name}


def running_variant(deployment: Manifest) -> RunningVariant:
    spec, status = deployment.get("spec", {}), deployment.get("status", {})
    replicas = int(spec.get("replicas", 1))
    seen = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))
    pods = int(status.get("replicas", 0)) + int(status.get("terminatingReplicas", 0) or 0)
    return RunningVariant(
        name=labels.label(deployment, labels.VARIANT),
        pool=labels.label(deployment, labels.POOL),
        replicas=replicas,
        ready=int(status.get("readyReplicas", 0) or 0),
        gpus_per_replica=_gpus(deployment),
        drained=replicas == 0 and seen and pods == 0,
    )


def _gpus(deployment: Manifest) -> int:
    """GPUs of one pod: the extended resource (a name with a domain) in the limits of its containers."""
    containers: Iterable[Manifest] = (
        deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    )
    return sum(
        int(value)
        for container in containers
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items()
        if "/" in name
    )


def replicas_by_pool(children: Children, *, except_uids: frozenset[str]) -> Mapping[str, ReplicaSizes]:
    """Replicas that Deployments ask for, by pool and GPUs of one, leaving out those whose owner is in `except_uids`."""
    used: dict[str, dict[int, int]] = {}
    for key, manifest in children.items():
        if key.kind != labels.DEPLOYMENT or labels.owner_uid(manifest) in except_uids:
            continue
        variant = running_variant(manifest)
        sizes = used.setdefault(variant.pool, {})
        sizes[variant.gpus_per_replica] = sizes.get(variant.gpus_per_replica, 0) + variant.replicas
    return used


def gpus_by_pool(children: Children, *, except_uids: frozenset[str]) -> dict[str, int]:
    """GPUs that Deployments ask for, by pool, leaving out those whose owner is in `except_uids`."""
    return {
        pool: sum(size * count for size, count in sizes.items())
        for pool, sizes in replicas_by_pool(children, except_uids=except_uids).items()
    }
