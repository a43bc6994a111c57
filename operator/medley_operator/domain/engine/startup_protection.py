"""Annotations that keep node autoscalers from moving a pod while it loads its model: minutes of work would be lost.

The pod template carries them for good, so that each pod is born with them. They must go when the pod is Ready, or nodes
could never be emptied, and they must go **from the pod**: to change them in the template would roll the whole variant
out anew. Neither the Deployment nor its ReplicaSet puts annotations of a pod back. Pure.

Apart: one half is rendered at creation, the other is written on a running pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medley_operator.domain.values.snapshot import Manifest

PROTECTION: Mapping[str, str] = MappingProxyType(
    {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
)


def protection_release(annotations: Mapping[str, str], *, ready: bool, uid: str) -> Manifest | None:
    """The merge patch of a pod that needs no protection any more; None where there is nothing to take away.

    The uid makes it fail on another pod of the same name.
    """
    held = [name for name in PROTECTION if name in annotations]
    if not ready or not held:
        return None
    return {"metadata": {"uid": uid, "annotations": dict.fromkeys(held)}}
