"""The running replicas of each service, read from the children in the snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from medley_operator.domain.values import labels
from medley_operator.domain.values.quantities import quantity
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


MOST_GPUS = 2**31 - 1
"""No pod starts with more; a figure above it is not worth the digits."""

Children = Mapping[ObjectKey, Manifest]


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
        deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
    )
    return sum(
        _whole(value)
        for container in containers
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items()
        if "/" in name
    )


def _whole(value: str | int) -> int:
    """Extended resources are whole numbers, which the API server may write in another unit, such as "1k"."""
    try:
        return int(min(quantity(value), Decimal(MOST_GPUS)))
    except ValueError:
        return 0


def gpus_by_pool(children: Children, *, except_uids: frozenset[str]) -> dict[str, int]:
    """GPUs that Deployments with an owner ask for, by pool, leaving out those whose owner is in `except_uids`."""
    gpus: dict[str, int] = {}
    for manifest in of_kind(children, labels.DEPLOYMENT).values():
        uid = labels.owner_uid(manifest)
        if uid and uid not in except_uids:
            variant = running_variant(manifest)
            gpus[variant.pool] = gpus.get(variant.pool, 0) + variant.replicas * variant.gpus_per_replica
    return gpus
