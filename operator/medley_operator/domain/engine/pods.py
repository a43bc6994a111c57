"""Which engine the pods of a Deployment run: what a calibration is of, and the estimate that it corrects. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile
from medley_operator.domain.cluster.children import by_owner, of_kind
from medley_operator.domain.engine.arguments import flags_of, speed_digest
from medley_operator.domain.engine.deployment import CONTAINER
from medley_operator.domain.firewall import guarded
from medley_operator.domain.values import labels
from medley_operator.domain.values.catalogue import find_gpu, find_shape
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, Observation, Snapshot
from medley_planner.capacity import StepFactors, StepTime
from medley_planner.capacity.window import SkipReason, Window
from medley_planner.catalog import Gpu
from medley_planner.layout import UNCAPPED_PERCENT, Layout
from medley_planner.refusal import Refusal
from medley_planner.shapes import ModelShape
from medley_planner.variants import RunAs, run_as

CAP_SETTLES_SECONDS = 300.0
"""After this time a window of measurements has no part of before a cap changed: windows take a minute or a few."""


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
    prompt_spread: float = 1.0
    """`Window.prompt_spread` of what the service is asked for now."""

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
    pools = {pool.metadata.name: find_gpu(pool.spec.gpu, snapshot.catalogue) for pool in snapshot.pools}
    profiles = {profile.metadata.name: profile for profile in snapshot.profiles}
    clocks = _clocks(snapshot)
    found: dict[VariantKey, EnginePods] = {}
    deployments = (
        (services.get(uid), manifest)
        for uid, own in by_owner(snapshot).items()
        for manifest in of_kind(own, labels.DEPLOYMENT).values()
    )
    for service, manifest in deployments:
        variant = labels.label(manifest, labels.VARIANT)
        gpu = pools.get(labels.label(manifest, labels.POOL))
        if service is None or gpu is None or not variant:
            continue
        profile = profiles.get(service.spec.runtime.profile_ref)
        if profile is None:
            continue
        key = (service.metadata.namespace, service.metadata.name, variant)
        # One that this program fails on is not known either; preparing the round reports its service.
        pods = guarded(labels.key_of(manifest), partial(_engine_pods, manifest, service, profile, gpu))
        if isinstance(pods, EnginePods):
            spread = _prompt_spread(snapshot.observations.get(ServiceKey.of(service)))
            pods = replace(pods, settled=pods.settled and key not in found, prompt_spread=spread)
            found[key] = _at_clock(pods, clocks.get(key, frozenset({UNCAPPED_PERCENT})))
    return found


def _clocks(snapshot: Snapshot) -> dict[VariantKey, frozenset[int | None]]:
    """What the GPUs of each variant's pods are held to, in percent of their highest clock; None beside it where that
    has changed lately. Where the agent of a node does not know pods, all GPUs of the node count."""
    if not snapshot.power.caps:
        return {}
    found: dict[VariantKey, set[int | None]] = {}
    for pod in snapshot.pods:
        service, variant = pod.labels.get(labels.SERVICE), pod.labels.get(labels.VARIANT)
        if service is None or variant is None or pod.ended:
            continue
        on_node = snapshot.power.caps.get(pod.place, ())
        named = [gpu for gpu in on_node if f"{pod.namespace}/{pod.name}" in gpu.pods]
        seen = found.setdefault((pod.namespace, service, variant), set())
        for gpu in named or on_node:
            seen.add(gpu.clock_percent)
            if gpu.changed_at is not None and snapshot.unix_seconds - gpu.changed_at < CAP_SETTLES_SECONDS:
                seen.add(None)
        if not on_node:
            seen.add(UNCAPPED_PERCENT)
    return {key: frozenset(each) for key, each in found.items()}


def _at_clock(pods: EnginePods, clocks: frozenset[int | None]) -> EnginePods:
    """The pods as engines at that clock. Figures of pods that are capped differently, or were capped anew, are of no
    one engine, as those of two templates are."""
    clock = next(iter(clocks))
    if len(clocks) != 1 or clock is None:
        return replace(pods, settled=False)
    layout = replace(pods.run_as.layout, clock_percent=clock)
    return replace(pods, run_as=replace(pods.run_as, layout=layout))


def _engine_pods(manifest: Manifest, service: LLMService, profile: RuntimeProfile, gpu: Gpu) -> EnginePods | None:
    container, shape = _container(manifest), find_shape(service)
    if container is None or isinstance(shape, Refusal):
        return None
    flags = flags_of(str(argument) for argument in container.get("args") or [])
    base = Layout(gpu, precision=shape.precision, engine=profile.spec.engine, engine_version=profile.spec.version)
    ran = run_as(flags, base)
    if ran is None:
        return None
    settled = _settled(manifest) and container.get("image") == profile.spec.by_vendor.get(gpu.vendor)
    return EnginePods(
        shape=shape,
        run_as=ran,
        settled=settled,
        namespace=service.metadata.namespace,
        arguments=speed_digest(flags, profile.spec.engine),
    )


def _prompt_spread(observation: Observation | None) -> float:
    """1 while sizes are not known."""
    if observation is None or observation.demand is None:
        return 1.0
    demand = observation.demand
    prompts = [(share, bucket.prompt_tokens) for share, bucket in zip(demand.shares, demand.buckets, strict=True)]
    mean = sum(share * tokens for share, tokens in prompts)
    return max(1.0, sum(share * tokens**2 for share, tokens in prompts) / mean**2) if mean > 0 else 1.0


def _container(deployment: Manifest) -> Manifest | None:
    containers = deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
    return next((container for container in containers if container.get("name") == CONTAINER), None)


def _settled(deployment: Manifest) -> bool:
    status = deployment.get("status") or {}
    generation = whole_count(deployment["metadata"].get("generation")) or 0
    seen = (whole_count(status.get("observedGeneration")) or 0) >= generation
    return seen and (whole_count(status.get("updatedReplicas")) or 0) == (whole_count(status.get("replicas")) or 0)
