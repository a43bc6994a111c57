"""Annotations that keep node autoscalers from moving a pod while it loads its model: minutes of work would be lost.

The pod template carries them for good, so that each pod is born with them. They must go when the pod is Ready, or nodes
could never be emptied, and they must go **from the pod**: to change them in the template would roll the whole variant
out anew. Neither the Deployment nor its ReplicaSet puts annotations of a pod back. Where something else does, or a
person wants a pod to stay, that is not fought: a pod is asked seldom, and one that carries but one of them is left.
Pure.

Apart: one half is rendered at creation, the other is written on a running pod.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from medley_operator.domain.values import labels
from medley_operator.domain.values.decision import PodNote
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.domain.values.views import PodView

PROTECTION: Mapping[str, str] = MappingProxyType(
    {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
)
AGAIN_SECONDS = 60.0
"""A pod that still has its protection after it was taken away, or could not be, is asked again after this time."""


def is_protected(annotations: Mapping[str, str]) -> bool:
    """Whether a pod has the whole protection that it was born with."""
    return all(annotations.get(name) == value for name, value in PROTECTION.items())


def due_releases(
    pods: Iterable[PodView], *, services: Collection[ServiceKey], asked: Mapping[str, float], at_seconds: float
) -> tuple[tuple[PodNote, ...], dict[str, float]]:
    """The pods to take it from now, and when which was asked, by uid, to be remembered."""
    held = [pod for pod in pods if pod.protected and pod.ready and not pod.terminating and _service(pod) in services]
    uids = {pod.uid for pod in held}
    recent = {uid: at for uid, at in asked.items() if uid in uids and at_seconds - at < AGAIN_SECONDS}
    due = [pod for pod in held if pod.uid not in recent]
    none = dict.fromkeys(PROTECTION)
    notes = tuple(
        PodNote(ObjectKey(labels.POD, pod.namespace, pod.name), pod.uid, none, "start-up protection taken away")
        for pod in due
    )
    return notes, {**recent, **{pod.uid: at_seconds for pod in due}}


def _service(pod: PodView) -> ServiceKey:
    return ServiceKey(pod.namespace, pod.labels.get(labels.SERVICE, ""))
