"""The part of nodes and pods that decisions need, projected from objects of the API server that are many times larger.

`fleet.project` makes these values. They hold nodes and pods of anybody: a GPU is taken whoever took it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medley_operator.domain.values.leadtime import Start

GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")
"""Extended resources of whole GPUs."""
GPU_PRODUCT_LABELS = ("nvidia.com/gpu.product", "amd.com/gpu.product-name")
"""Labels of nodes with their GPU type, by NVIDIA's GPU feature discovery and by AMD's node labeller."""


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether an object with these labels is selected, as by matchLabels or a nodeSelector."""
    return selector.items() <= labels.items()


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """A namespace. `ending`: it is being deleted, so that nothing can be created there any more."""

    labels: Mapping[str, str]
    ending: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """A taint of a node. `effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node. `allocatable` holds whole counts of extended resources by name.

    `cordoned`: it takes no new pod. `leaving`: it is being deleted. `created_at`: Unix seconds.
    """

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, int]
    created_at: float | None = None
    ready: bool = True
    cordoned: bool = False
    leaving: bool = False
    taints: tuple[Taint, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether a pod that tolerates its taints may start there."""
        return self.ready and not self.cordoned and not self.leaving


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """The autoscalers of others on one Deployment, as words for people: the one that sets its replicas, and the one
    that sets the resources of its pods; "" for none."""

    replicas: str = ""
    resources: str = ""

    def beside(self, other: Autoscaler) -> Autoscaler:
        """Both in one, where two are on the same Deployment."""
        return Autoscaler(self.replicas or other.replicas, self.resources or other.resources)


@dataclass(frozen=True, slots=True)
class PodTrouble:
    """Why a pod does not serve: a reason as the cluster words it, and its message.

    Such as Unschedulable, ImagePullBackOff, CrashLoopBackOff. `since`: Unix seconds, as far as the pod shows it.
    """

    reason: str
    message: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod that holds or asks for extended resources, or that carries our managed-by label.

    `gpus`: extended resources that it requests, by name. `node`: where it is bound, "" while it is not; `nominated`:
    the node that the scheduler keeps for it. `controller`: (kind, uid) of its controller, ("", "") without one.
    `labels`: all that it has where it carries our managed-by label, else none. `trouble` None: nothing is known to be
    wrong with it. `gated`: a scheduling gate, such as Kueue's, holds it back. `ended`: it succeeded or failed and
    holds nothing any more. `protected`: it carries our label and the annotations that keep node autoscalers from it.
    `power_limit`: Dynamo's annotation as it is written, "" for none; only the controller of power reads it.
    `deletion_cost`: as its annotation says, which its ReplicaSet goes by; 0 without one.
    `start`: how long it took to become Ready, where it carries our label and shows it. `creating_since`: when it was
    bound, while none of its containers has started.
    Times are Unix seconds.
    """

    namespace: str
    name: str
    uid: str
    gpus: Mapping[str, int] = field(default_factory=dict)
    node: str = ""
    nominated: str = ""
    controller: tuple[str, str] = ("", "")
    labels: Mapping[str, str] = field(default_factory=dict)
    created_at: float | None = None
    ready: bool = False
    terminating: bool = False
    ended: bool = False
    gated: bool = False
    protected: bool = False
    deletion_cost: int = 0
    power_limit: str = ""
    trouble: PodTrouble | None = None
    start: Start | None = None
    creating_since: float | None = None

    @property
    def place(self) -> str:
        """The node whose GPUs it takes: where it is bound, or what is kept for it; "" for none."""
        return self.node or self.nominated
