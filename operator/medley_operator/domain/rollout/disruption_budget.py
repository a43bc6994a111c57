"""The PodDisruptionBudget of one LLMService: a drain of nodes takes its pods one after the other. Pure.

It allows one pod fewer, whatever the number of replicas. So it never blocks the drain of a single replica, and it need
not change with the plan. Pods that are not Ready may always be evicted: they serve nobody, and a node with one that
never becomes Ready could not be drained else.

Apart: each kind of child is rendered in a separate file, as in `service.py` and `httproute.py`.
"""

from __future__ import annotations

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest


def render_disruption_budget(service: LLMService) -> Manifest:
    owner = service.metadata
    return {
        "apiVersion": "policy/v1",
        "kind": labels.DISRUPTION_BUDGET,
        "metadata": {
            "name": owner.name,
            "namespace": owner.namespace,
            "labels": labels.child_labels(service=owner.name, component=labels.COMPONENT_BUDGET),
            "ownerReferences": [labels.owner_reference(service=owner.name, uid=owner.uid)],
        },
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels.pod_selector(service=owner.name)},
        },
    }
