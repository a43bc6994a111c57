"""Replicas that do not start or cannot stay, as people read it: which pod, why, and the way out. Pure.

What a Deployment or a pod says is repeated in its own words, since these are what one searches for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.cluster.start_failures import CREATING, UNSCHEDULABLE
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import ActuatorView
from medley_operator.domain.values.views import PodTrouble, PodView
from medley_planner.refusal import Refusal

NODE_NOT_READY = "NodeNotReady"
_SEE_LOG = "see the engine's log (kubectl logs --previous)"
_SEE_IMAGE = "correct RuntimeProfile spec.image, or give the nodes access to its registry"
_KINDS: Mapping[str, tuple[str, str]] = {
    UNSCHEDULABLE: (
        UNSCHEDULABLE,
        "free GPUs in the pool, add nodes, or tolerate the taints of its nodes in GPUPool spec.tolerations",
    ),
    NODE_NOT_READY: (
        NODE_NOT_READY,
        "bring the node back (kubectl describe node), or delete it, so that its pods are made anew elsewhere",
    ),
    "ImagePullBackOff": ("ImagePullBackOff", _SEE_IMAGE),
    "ErrImagePull": ("ImagePullBackOff", _SEE_IMAGE),
    "InvalidImageName": ("ImagePullBackOff", _SEE_IMAGE),
    "CrashLoopBackOff": ("CrashLoopBackOff", _SEE_LOG),
    "Error": ("CrashLoopBackOff", _SEE_LOG),
    "OOMKilled": ("OOMKilled", "raise RuntimeProfile spec.resources.memory"),
    "CreateContainerConfigError": ("CreateContainerConfigError", "create the Secret or ConfigMap that the pod names"),
    CREATING: ("PodNotStarting", "a volume, an image or the node's device plugin keeps it: see kubectl describe pod"),
    "UnexpectedAdmissionError": ("UnexpectedAdmissionError", "check the device plugin of the node"),
}
"""The reason of the condition and the way out, by what a pod says; the two reasons of a pull in a loop are one."""
_OTHERS = ("PodNotStarting", "see kubectl describe pod")
MOST_MESSAGE = 300
MOST_STRANDED = 3


def pods_seen(view: ActuatorView) -> tuple[PodView, ...]:
    """The pods of the view; one that stands on a node that is not Ready, or that is gone, has this as its trouble."""
    if labels.NODE in view.unreadable:
        return view.pods
    ready = {node.name: node.ready for node in view.nodes}
    return tuple(_with_node(pod, ready) for pod in view.pods)


def _with_node(pod: PodView, ready: Mapping[str, bool]) -> PodView:
    if pod.ready or pod.ended or not pod.node or not pod.labels or ready.get(pod.node, False):
        return pod
    said = f"node {pod.node} is {'not Ready' if pod.node in ready else 'gone'}"
    return replace(pod, trouble=PodTrouble(NODE_NOT_READY, said))


def replica_failure(running: Iterable[RunningVariant]) -> Refusal | None:
    """A Deployment that may not create pods: quota, a LimitRange, admission. The reason is Kubernetes' own."""
    refused = [f"Deployment {variant.object_name}: {variant.failure}" for variant in running if variant.failure]
    if not refused:
        return None
    return Refusal("ReplicaFailure", f"{'; '.join(refused)}. Raise the quota or change what refuses the pods")


def is_unschedulable(pod: PodView) -> bool:
    return pod.trouble is not None and pod.trouble.reason == UNSCHEDULABLE


def pod_trouble(pods: Sequence[PodView]) -> Refusal | None:
    """The trouble of most pods; None where nothing keeps any from starting."""
    stuck = [pod for pod in pods if pod.trouble is not None and not pod.ready and not pod.terminating and not pod.gated]
    by_reason: dict[tuple[str, str], list[tuple[PodView, PodTrouble]]] = {}
    for pod in sorted(stuck, key=lambda pod: (pod.created_at or 0.0, pod.name)):
        if pod.trouble is not None:
            by_reason.setdefault(_KINDS.get(pod.trouble.reason, _OTHERS), []).append((pod, pod.trouble))
    if not by_reason:
        return None
    (reason, way_out), found = min(by_reason.items(), key=lambda each: (-len(each[1]), each[0]))
    pod, trouble = found[0]
    said = f": {trouble.message[:MOST_MESSAGE]}" if trouble.message else ""
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    variant = pod.labels.get(labels.VARIANT, "")
    what = "does not serve" if reason == NODE_NOT_READY else "cannot start"
    message = f"pod {pod.name}{more} of variant {variant} {what}: {trouble.reason}{said}; {way_out}"
    return Refusal(reason, message)


def gated_message(pods: Sequence[PodView]) -> str:
    """Pods that a scheduling gate holds back, as the end of a sentence; "" without any."""
    names = sorted(pod.name for pod in pods if pod.gated and not pod.terminating)
    if not names:
        return ""
    one, more = len(names) == 1, f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"; pod {names[0]}{more} {'is' if one else 'are'} held back by a scheduling gate, such as Kueue's: see "
        "spec.schedulingGates of the pod, and who lifts it"
    )


def stranded_message(pods: Sequence[PodView]) -> str:
    """Ready pods on nodes that are going, which find no other place; the first few by name."""
    ordered = sorted(pods, key=lambda pod: pod.name)
    named = ", ".join(f"{pod.name} on {pod.node}" for pod in ordered[:MOST_STRANDED])
    more = f" and {len(ordered) - MOST_STRANDED} more" if len(ordered) > MOST_STRANDED else ""
    return (
        f"Ready pods stand on nodes that are going ({named}{more}). No other node of their GPUPool has room for one "
        "replica more, or it did not start there. They stay until they are evicted; add nodes or free GPUs in the "
        "pool, or keep the node (kubectl uncordon)"
    )
