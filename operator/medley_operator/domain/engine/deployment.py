"""The Deployment of one variant: everything an engine's pod needs to start slowly, serve, drain and be found.

Pure: values in, manifest out, with only the fields that Medley wants to own. The image runs without root, and all that
the engine writes lies below one folder; what differs between engines stands in `programs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import GPUPool, LLMService, RuntimeProfile, Toleration
from medley_operator.domain.engine.arguments import engine_args
from medley_operator.domain.engine.model_source import source_parts
from medley_operator.domain.engine.overlay import (
    overlay_parts,
    pod_annotations,
    pod_labels,
    pod_settings,
    queue_labels,
)
from medley_operator.domain.engine.placing import Placing
from medley_operator.domain.engine.pod_parts import PodParts, joined
from medley_operator.domain.engine.programs import PROGRAMS, EngineProgram
from medley_operator.domain.engine.storage import Storage, storage
from medley_operator.domain.engine.template import profile_inputs, stamp, stamps, template_inputs
from medley_operator.domain.values import labels
from medley_operator.domain.values.quantities import scaled_quantity
from medley_operator.domain.values.recall import Recall
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.catalog import Vendor
from medley_planner.variants import Replica

CONTAINER = "main"
TERMINATION_MARGIN_SECONDS = 15
"""Between the end of the engine's own drain and SIGKILL."""
STARTUP_PERIOD_SECONDS = 10
SCHEDULING_MARGIN_SECONDS = 600
"""Node start and image pull count against the progress deadline but not against the start-up probe."""


@dataclass(frozen=True, slots=True)
class DeploymentInput:
    """The inputs of one Deployment.

    `layout` is the hash that ends the name, `engine_flags` are those of the variant, and `gpus_per_replica` of the
    pool's GPUs go to each pod. `surge` is False where the pool has no room for a pod beyond the plan. `replica`: how
    one is run; None where only its flags are known.
    """

    service: LLMService
    profile: RuntimeProfile
    pool: GPUPool
    variant: str
    layout: str
    gpus_per_replica: int
    engine_flags: tuple[tuple[str, str], ...]
    replicas: int
    surge: bool
    replica: Replica | None = None

    @property
    def image(self) -> str:
        """The profile's for the vendor of the pool's GPUs; variants are made only where there is one."""
        vendor = Vendor.NVIDIA if self.replica is None else self.replica.layout.gpu.vendor
        return self.profile.spec.by_vendor[vendor]

    @property
    def selector(self) -> dict[str, str]:
        """Labels that select its pods and those of no other Deployment."""
        return labels.pod_selector(service=self.service.metadata.name, variant=self.variant, layout=self.layout)


STRATEGIES: Mapping[bool, Manifest] = {
    surge: {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": int(surge), "maxUnavailable": int(not surge)}}
    for surge in (True, False)
}
"""Update strategies, by whether a pod beyond the plan finds a GPU: on a full fixed pool a surge pod never schedules and
the rollout hangs."""
_RENDERED: Recall[Manifest] = Recall()


def known_deployment(given: DeploymentInput) -> Manifest:
    """As `render_deployment`; where the inputs are equal the next pass gets the same one, so do not change it."""
    service, profile, pool = given.service, given.profile, given.pool
    # Statuses are in none of it, and change most often.
    written = (service.metadata, service.spec, profile.metadata.name, profile.spec, pool.metadata.name, pool.spec)
    others = (given.layout, given.gpus_per_replica, given.engine_flags, given.replicas, given.surge, given.replica)
    key = (service.metadata.namespace, service.metadata.name, given.variant)
    return _RENDERED.get(key, lambda: render_deployment(given), equal=(written, others))


def render_deployment(given: DeploymentInput) -> Manifest:
    service, overlay = given.service.metadata, given.profile.spec.pod
    startup_seconds = math.ceil(given.profile.spec.startup_timeout_seconds)
    template = {
        "metadata": {
            "labels": {**pod_labels(given.service, overlay, given.pool), **_labels(given)},
            "annotations": pod_annotations(overlay),
        },
        "spec": _pod_spec(given),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": labels.DEPLOYMENT,
        "metadata": {
            "name": labels.variant_object_name(service=service.name, variant=given.variant, layout=given.layout),
            "namespace": service.namespace,
            "labels": {**_labels(given), **queue_labels(overlay, given.pool)},
            "annotations": stamp(template, inputs=_inputs(given), profile=profile_inputs(given.profile)),
            "ownerReferences": [labels.owner_reference(service=service.name, uid=service.uid)],
        },
        "spec": {
            "replicas": given.replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": startup_seconds + SCHEDULING_MARGIN_SECONDS,
            "selector": {"matchLabels": given.selector},
            "strategy": STRATEGIES[given.surge],
            "template": template,
        },
    }


def rescaled(deployment: Manifest, replicas: int) -> Manifest:
    """A Deployment as it was observed, to be applied with other replicas: one that cannot be rendered any more, since
    its pool or its layout is no longer the variant's, but whose pods go step by step."""
    metadata = deployment["metadata"]
    kept = {name: metadata[name] for name in ("name", "namespace", "labels", "ownerReferences") if name in metadata}
    stamped = stamps(deployment)
    return {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "metadata": {**kept, **({"annotations": stamped} if stamped else {})},
        "spec": {**deployment["spec"], "replicas": replicas},
    }


def _labels(given: DeploymentInput) -> dict[str, str]:
    return labels.child_labels(
        service=given.service.metadata.name,
        component=labels.COMPONENT_ENGINE,
        variant=given.variant,
        layout=given.layout,
        pool=given.pool.metadata.name,
    )


def _inputs(given: DeploymentInput) -> str:
    return template_inputs(
        service=given.service,
        profile=given.profile,
        pool=given.pool,
        variant=given.variant,
        replica=given.replica,
        engine_flags=given.engine_flags,
    )


def _pod_spec(given: DeploymentInput) -> Manifest:
    program, drain = PROGRAMS[given.profile.spec.engine], given.service.spec.drain
    pre_stop_seconds = math.ceil(drain.pre_stop_seconds)
    drain_seconds = math.ceil(drain.timeout_seconds)
    disk = storage(given.service, given.profile)
    own_pods = labels.pod_selector(service=given.service.metadata.name)
    preferred = Placing(given.pool, gpus_per_replica=given.gpus_per_replica, own_pods=own_pods)
    shm: Manifest = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": given.profile.spec.shared_memory}}
    parts = joined(
        (
            PodParts(volumes=(shm,), mounts=({"name": "shm", "mountPath": "/dev/shm"},)),  # noqa: S108
            disk.parts,
            source_parts(given.service),
            overlay_parts(given.profile.spec.pod),
        )
    )
    return {
        "automountServiceAccountToken": False,
        # A Service named "vllm" would put VLLM_PORT into the engine's environment, which it takes for a setting.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pre_stop_seconds + drain_seconds + TERMINATION_MARGIN_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": program.user_id,
            "runAsGroup": program.user_id,
            "fsGroup": program.user_id,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": dict(given.pool.spec.node_selector),
        "tolerations": [_toleration(toleration) for toleration in given.pool.spec.tolerations],
        "topologySpreadConstraints": preferred.spread(zones=given.selector),
        "containers": [_container(given, program, parts, disk)],
        "volumes": list(parts.volumes),
        **pod_settings(
            given.profile.spec.pod,
            own_pods=preferred.own_pods,
            own_affinity=preferred.affinity,
        ),
    }


def _container(given: DeploymentInput, program: EngineProgram, parts: PodParts, disk: Storage) -> Manifest:
    startup_seconds = math.ceil(given.profile.spec.startup_timeout_seconds)
    pre_stop_seconds = math.ceil(given.service.spec.drain.pre_stop_seconds)
    container: Manifest = {
        "name": CONTAINER,
        "image": given.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(program.command),
        "args": engine_args(given.service, given.profile, given.engine_flags),
        "ports": [{"name": labels.HTTP_PORT_NAME, "containerPort": labels.HTTP_PORT, "protocol": "TCP"}],
        "env": [*({"name": name, "value": value} for name, value in program.environment), *parts.env],
        "resources": _resources(given, disk),
        "startupProbe": _probe(
            program,
            period_seconds=STARTUP_PERIOD_SECONDS,
            failure_threshold=max(math.ceil(startup_seconds / STARTUP_PERIOD_SECONDS), 1),
        ),
        "readinessProbe": _probe(program, period_seconds=5, failure_threshold=3),
        "livenessProbe": _probe(program, period_seconds=10, failure_threshold=6),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            # The hook that injects the GPU's driver files writes to the root file system.
            "readOnlyRootFilesystem": False,
        },
        "volumeMounts": list(parts.mounts),
    }
    if pre_stop_seconds > 0:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pre_stop_seconds}}}
    return container


def _resources(given: DeploymentInput, disk: Storage) -> Manifest:
    gpus = {given.pool.spec.resource_name: str(given.gpus_per_replica)}
    per_gpu = given.profile.spec.resources
    limits = {"ephemeral-storage": disk.limit, **gpus}
    if per_gpu.memory_limit is not None:
        limits["memory"] = scaled_quantity(per_gpu.memory_limit, given.gpus_per_replica)
    return {
        "limits": limits,
        "requests": {
            "cpu": scaled_quantity(per_gpu.cpu, given.gpus_per_replica),
            "memory": scaled_quantity(per_gpu.memory, given.gpus_per_replica),
            "ephemeral-storage": disk.request,
            **gpus,
        },
    }


def _probe(program: EngineProgram, *, period_seconds: int, failure_threshold: int) -> Manifest:
    return {
        "httpGet": {"path": program.health_path, "port": labels.HTTP_PORT_NAME},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failure_threshold,
    }


def _toleration(toleration: Toleration) -> Manifest:
    manifest: Manifest = {
        "key": toleration.key,
        "operator": toleration.operator.value,
        "effect": toleration.effect.value,
    }
    if toleration.value:
        manifest["value"] = toleration.value
    return manifest
