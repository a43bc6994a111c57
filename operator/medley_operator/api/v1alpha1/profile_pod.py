"""The platform team's additions to every engine pod of a `RuntimeProfile`: where weights are kept, and an overlay.

The schema is closed and bounded: a profile cannot make a pod privileged, put it on the host's network or give it
another ServiceAccount. A host path is possible for the cache alone, and Pod Security of the namespace must allow it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import (
    AbsolutePath,
    BinaryQuantity,
    Dns1123Label,
    Dns1123Subdomain,
    EnvName,
    LabelKey,
    LabelValue,
)

_OWN_KEYS = (
    r"^(medley\.dev/.*|llm-d\.ai/.*|app\.kubernetes\.io/(name|instance|component|managed-by)|pod-template-hash"
    r"|kueue\.x-k8s\.io/queue-name|karpenter\.sh/do-not-disrupt|cluster-autoscaler\.kubernetes\.io/safe-to-evict)$"
)
_OWN_VOLUMES = r"^(shm|cache|weights|model|credentials)$"
_OWN_PATHS = r"^/(cache|model|credentials|dev|proc|sys)(/.*)?$"


class EmptyDirSpec(ApiModel):
    """Space on the node's disk that goes with the pod."""

    size_limit: BinaryQuantity = Field(description="Most that it may hold; the pod is evicted beyond it.")


class ClaimSpec(ApiModel):
    """A PersistentVolumeClaim in the namespace of each LLMService."""

    claim_name: Dns1123Subdomain


class HostPathSpec(ApiModel):
    """A folder of the node."""

    path: AbsolutePath = Field(
        description="Folder that exists on each node and that user 1000 may write to, as may all in it (mode 1777). "
        "Each namespace has a folder of its own below it."
    )


class CacheSpec(ApiModel):
    """Where engines keep downloaded weights."""

    empty_dir: EmptyDirSpec | None = Field(None, description="On the node's disk, for one pod.")
    persistent_volume_claim: ClaimSpec | None = Field(
        None,
        description="A claim of that name in each namespace, shared by its services; ReadWriteMany where pods are on "
        "several nodes.",
    )
    host_path: HostPathSpec | None = Field(
        None, description="A folder of the node, shared by the services of one namespace on it."
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="[has(self.emptyDir), has(self.persistentVolumeClaim), has(self.hostPath)].exists_one(given, given)",
            message="give exactly one of emptyDir, persistentVolumeClaim and hostPath",
            holds=lambda self: _one_of(self.empty_dir, self.persistent_volume_claim, self.host_path),
        ),
    )


class PullSecretRef(ApiModel):
    """A Secret in the namespace of each LLMService, for pulling images."""

    name: Dns1123Subdomain


class EnvVariable(ApiModel):
    """An environment variable of the engine."""

    name: EnvName
    value: str = Field("", max_length=1024)


class ConfigMapSpec(ApiModel):
    """A ConfigMap in the namespace of each LLMService."""

    name: Dns1123Subdomain


class SecretVolumeSpec(ApiModel):
    """A Secret in the namespace of each LLMService."""

    secret_name: Dns1123Subdomain


class PodVolume(ApiModel):
    """A volume of the pod."""

    name: Dns1123Label
    config_map: ConfigMapSpec | None = None
    secret: SecretVolumeSpec | None = None
    persistent_volume_claim: ClaimSpec | None = None
    empty_dir: EmptyDirSpec | None = None

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="[has(self.configMap), has(self.secret), has(self.persistentVolumeClaim), has(self.emptyDir)]"
            ".exists_one(given, given)",
            message="give exactly one of configMap, secret, persistentVolumeClaim and emptyDir",
            holds=lambda self: _one_of(self.config_map, self.secret, self.persistent_volume_claim, self.empty_dir),
        ),
        CelRule(
            cel=f"!self.name.matches(r'{_OWN_VOLUMES}')",
            message="Medley has volumes shm, cache, weights, model and credentials itself; use another name",
            holds=lambda self: re.search(_OWN_VOLUMES, self.name) is None,
        ),
    )


class PodVolumeMount(ApiModel):
    """Where the engine's container sees a volume."""

    name: Dns1123Label
    mount_path: AbsolutePath
    read_only: bool = True

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel=f"!self.mountPath.matches(r'{_OWN_PATHS}')",
            message="nothing may be mounted at or below /cache, /model, /credentials, /dev, /proc or /sys",
            holds=lambda self: re.search(_OWN_PATHS, self.mount_path) is None,
        ),
    )


class NodeOperator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"


class NodeRequirement(ApiModel):
    """A condition on a label of nodes."""

    key: LabelKey
    operator: NodeOperator = NodeOperator.IN
    values: list[LabelValue] = Field(min_length=1, max_length=16)


class NodePreference(ApiModel):
    """Nodes that the scheduler prefers among those of the pool."""

    weight: int = Field(ge=1, le=100)
    match_expressions: list[NodeRequirement] = Field(min_length=1, max_length=8)


class SpreadPreference(ApiModel):
    """Pods that the scheduler keeps away from where it can."""

    weight: int = Field(ge=1, le=100)
    topology_key: LabelKey = "kubernetes.io/hostname"
    match_labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, max_length=8, description="Labels of those pods. Empty: the pods of the same service."
    )


Annotation = Annotated[str, Field(max_length=1024)]


class PodOverlay(ApiModel):
    """Additions to every engine pod."""

    runtime_class_name: Dns1123Subdomain | None = None
    image_pull_secrets: list[PullSecretRef] = Field(default_factory=list, max_length=8)
    env: list[EnvVariable] = Field(
        default_factory=list, max_length=32, description="Environment variables beside those that Medley sets."
    )
    volumes: list[PodVolume] = Field(default_factory=list, max_length=8)
    volume_mounts: list[PodVolumeMount] = Field(default_factory=list, max_length=8)
    node_affinity: list[NodePreference] = Field(default_factory=list, max_length=8)
    pod_anti_affinity: list[SpreadPreference] = Field(default_factory=list, max_length=8)
    scheduler_name: Dns1123Subdomain | None = None
    priority_class_name: Dns1123Subdomain | None = None
    annotations: dict[LabelKey, Annotation] = Field(default_factory=dict, max_length=16)
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=16)
    queue_name: Dns1123Label | None = Field(
        None, description="Name of Kueue's LocalQueue in each namespace (label kueue.x-k8s.io/queue-name)."
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.volumeMounts) || self.volumeMounts.all(mount,"
            " has(self.volumes) && self.volumes.exists(volume, volume.name == mount.name))",
            message="each of volumeMounts must name one of volumes",
            holds=lambda self: {mount.name for mount in self.volume_mounts} <= {each.name for each in self.volumes},
        ),
        CelRule(
            cel=" && ".join(
                f"(!has(self.{field}) || self.{field}.all(a, self.{field}.exists_one(b, a.{key} == b.{key})))"
                for field, key in (("volumes", "name"), ("volumeMounts", "mountPath"), ("env", "name"))
            ),
            message="names of volumes and env, and mount paths, must be unique",
            holds=lambda self: (
                _unique([each.name for each in self.volumes])
                and _unique([mount.mount_path for mount in self.volume_mounts])
                and _unique([each.name for each in self.env])
            ),
        ),
        CelRule(
            cel=" && ".join(
                f"(!has(self.{field}) || self.{field}.all(key, !key.matches(r'{_OWN_KEYS}')))"
                for field in ("labels", "annotations")
            ),
            message="labels and annotations must not be those that Medley sets itself (medley.dev/, llm-d.ai/, "
            "app.kubernetes.io/ name, instance, component and managed-by, start-up protection, the queue's name)",
            holds=lambda self: not any(re.search(_OWN_KEYS, key) for key in (*self.labels, *self.annotations)),
        ),
    )


def _one_of(*given: object) -> bool:
    return sum(each is not None for each in given) == 1


def _unique(names: list[str]) -> bool:
    return len(set(names)) == len(names)
