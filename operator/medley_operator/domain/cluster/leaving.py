"""Nodes that are going: cordoned, being deleted, or with a taint that says so. What runs there should move in time.

A taint that the pool's pods tolerate says nothing about them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.cluster.node_shares import untolerated
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import ActuatorView
from medley_operator.domain.values.views import NodeView, PodView, Taint

MARKS = frozenset({"karpenter.sh/disrupted", "karpenter.sh/disruption", "ToBeDeletedByClusterAutoscaler"})
"""Taints that Karpenter and the cluster autoscaler put on a node that they take away."""


@dataclass(frozen=True, slots=True)
class LeavingNodes:
    """Those of a view, as far as they may matter to any pool. Most views have none."""

    nodes: Mapping[str, NodeView]
    pools: Mapping[str, GPUPool]

    @classmethod
    def of(cls, view: ActuatorView) -> LeavingNodes:
        nodes = {node.name: node for node in view.nodes if _goes(node, node.taints)}
        return cls(nodes, {pool.metadata.name: pool for pool in view.pools} if nodes else {})

    def hold(self, pod: PodView) -> bool:
        """Whether the pod, of one of our pools, stands on one."""
        node, pool = self.nodes.get(pod.node), self.pools.get(pod.labels.get(labels.POOL, ""))
        if node is None or pool is None:
            return False
        return _goes(node, untolerated(pool, node))

    def ready_pods(self, pods: Iterable[PodView]) -> tuple[PodView, ...]:
        """Those that are Ready, do not end, and stand on one."""
        return tuple(pod for pod in pods if pod.ready and not pod.terminating and self.hold(pod)) if self.nodes else ()


def _goes(node: NodeView, taints: Iterable[Taint]) -> bool:
    return node.cordoned or node.leaving or any(each.effect == "NoExecute" or each.key in MARKS for each in taints)
