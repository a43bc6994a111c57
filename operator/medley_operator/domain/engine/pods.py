"""Which engine the pods of a Deployment run: what a calibration is of, and the estimate that it corrects. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.domain.cluster.children import by_owner, of_kind
from medley_operator.domain.engine.arguments import flags_of, speed_digest
from medley_operator.domain.engine.deployment import CONTAINER
from medley_operator.domain.values import labels
from medley_operator.domain.values.catalogue import find_gpu, find_shape
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.snapshot import Manifest, Snapshot
from medley_planner.capacity import StepFactors, StepTime
from medley_planner.capacity.window import SkipReason, Window
from medley_planner.layout import Layout
from medley_planner.refusal import Refusal
from medley_planner.shapes import ModelShape
from medley_planner.variants import RunAs, run_as


@dataclass(frozen=True, slots=True, order=True)
class PodGroup:
    """The pods of one ReplicaSet, by their labels in Prometheus. `template` is the hash of the pod template."""

    namespace: str
    service: str
    variant: str
    template: str


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Figures of one ReplicaSet's pods: a window or why there is none, and the tokens that each KV cache holds."""

    window: Window | SkipReason
    kv_tokens: int | None = None


VariantKey = tuple[str, str, str]
"""Namespace, service and variant."""


@dataclass(frozen=True, slots=True)
class EnginePods:
    """The engine of a variant's pods. `settled`: all its pods are of the template that the Deployment has now."""

    shape: ModelShape
    run_as: RunAs
    settled: bool
    namespace: str
    arguments: str
    """A digest of those that the layout does not hold."""

    @property
    def key(self) -> LearnedKey:
        return LearnedKey(self.shape.name, self.run_as.layout, arguments=self.arguments, namespace=self.namespace)

    def prior(self, factors: StepFactors) -> StepTime:
        """The estimated step time with its parts multiplied."""
        return StepTime(self.shape, self.run_as.layout, factors=factors)


def engine_pods(snapshot: Snapshot) -> dict[VariantKey, EnginePods]:
    """ReplicaSets by variant, of Deployments that are an LLMService's and whose pool, profile and model are known.

    While a variant has two, of an old and a new layout, its pods are not of one template.
    """
    services = {each.metadata.uid: each for each in snapshot.services}
    pools = {pool.metadata.name: find_gpu(pool.spec.gpu) for pool in snapshot.pools}
    profiles = {profile.metadata.name: profile for profile in snapshot.profiles}
    found: dict[VariantKey, EnginePods] = {}
    deployments = (
        (services.get(uid), manifest)
        for uid, own in by_owner(snapshot.view).items()
        for manifest in of_kind(own, labels.DEPLOYMENT).values()
    )
    for service, manifest in deployments:
        variant = labels.label(manifest, labels.VARIANT)
        gpu = pools.get(labels.label(manifest, labels.POOL))
        container = _container(manifest)
        if service is None or gpu is None or container is None or not variant:
            continue
        profile = profiles.get(service.spec.runtime.profile_ref)
        shape = find_shape(service)
        if profile is None or isinstance(shape, Refusal):
            continue
        flags = flags_of(str(argument) for argument in container.get("args") or [])
        ran = run_as(flags, Layout(gpu, engine=profile.spec.engine, engine_version=profile.spec.version))
        if ran is None:
            continue
        key = (service.metadata.namespace, service.metadata.name, variant)
        alone = key not in found
        found[key] = EnginePods(
            shape=shape,
            run_as=ran,
            settled=alone and _settled(manifest) and container.get("image") == profile.spec.image,
            namespace=service.metadata.namespace,
            arguments=speed_digest(flags, profile.spec.engine),
        )
    return found


def _container(deployment: Manifest) -> Manifest | None:
    containers = deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
    return next((container for container in containers if container.get("name") == CONTAINER), None)


def _settled(deployment: Manifest) -> bool:
    status = deployment.get("status") or {}
    seen = int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
    return seen and int(status.get("updatedReplicas") or 0) == int(status.get("replicas") or 0)
