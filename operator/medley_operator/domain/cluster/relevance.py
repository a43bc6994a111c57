"""Which changes in the cluster plans rest on, so that the planner does not wait for its next turn, and which are to be
put back before all else. Pure.

A replica that starts, or a status that the operator wrote, changes no plan: the actuator goes on from there alone.
Apart: what wakes the planner is a decision on its own, made for each event of the cluster.
"""

from __future__ import annotations

from medley_operator.api.v1alpha1 import GPUPool, GPUType, LLMService, MedleyPolicy, ModelProfile, RuntimeProfile
from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, label, managed
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.supply import DeviceClaim
from medley_operator.domain.values.views import PodView

OWN = (LLMService, GPUPool, RuntimeProfile, ModelProfile, MedleyPolicy, GPUType, PowerDomain, PowerEvent)
PLANNED_WITH = frozenset({"Node", "Gateway", "Namespace", "ResourceSlice", "DeviceClass", "ClusterQueue", "NodePool"})
"""Kinds that no one of the operator's loops writes, each change of which may change a plan."""


def bears_on_plans(kind: str, old: object, new: object) -> bool:
    """`old` and `new` are what is known of the object before and after; None where it is not there, and both None
    where the kind itself can be listed from now on, or cannot any more."""
    if kind in PLANNED_WITH or (old is None and new is None):
        return True
    if kind == "Pod":
        return _pod_bears(old, new)
    if isinstance(old, DeviceClaim) or isinstance(new, DeviceClaim):
        # One that the scheduler made holds what the request of its pod says.
        return any(isinstance(each, DeviceClaim) and not each.of_request for each in (old, new))
    if isinstance(old, PowerDomain) and isinstance(new, PowerDomain):
        return _stand(old) != _stand(new)
    if isinstance(old, PowerEvent) and isinstance(new, PowerEvent):
        return (old.metadata, old.status.phase) != (new.metadata, new.status.phase)
    if isinstance(old, OWN) and isinstance(new, OWN):
        # All but the status, which the operator writes itself.
        return old.metadata != new.metadata
    # An object of ours that came, went, or ceased to parse; no child has one of these types.
    return isinstance(old, OWN) or isinstance(new, OWN)


def is_disturbed(old: object, new: object) -> bool:
    """Whether a child of ours was deleted, or changed in more than its status, by others: the operator's own
    writes are known before the watch brings them."""
    if not isinstance(old, dict) or label(old, MANAGED_BY) != MANAGED_BY_VALUE:
        return False
    return not isinstance(new, dict) or _wanted_of(old) != _wanted_of(new)


def _wanted_of(child: Manifest) -> tuple[object, ...]:
    return child["metadata"].get("labels"), child.get("spec")


def _stand(domain: PowerDomain) -> tuple[object, ...]:
    """The part of a domain that plans read: its watts move all the time."""
    status = domain.status
    return domain.metadata, status.level, status.safe, status.budget_watts


def _pod_bears(old: object, new: object) -> bool:
    """GPUs that others take or leave, and replicas that cannot start."""
    before, after = (pod if isinstance(pod, PodView) else None for pod in (old, new))
    pod = after or before
    if pod is None or not pod.gpus:
        return False
    if not managed(pod.labels):
        return _holds(before) != _holds(after)
    return _stuck(before) != _stuck(after)


def _holds(pod: PodView | None) -> str:
    """The node whose GPUs it holds."""
    return pod.place if pod is not None and not pod.ended else ""


def _stuck(pod: PodView | None) -> str:
    return pod.trouble.reason if pod is not None and pod.trouble is not None else ""
