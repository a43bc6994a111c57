"""Where the pods of a variant prefer to stand, as far as the scheduler has a choice. Nothing in here is required.

Replicas that take a part of a node are packed, as the plan packs them, so that whole nodes are left for large ones. But
a spot node is taken away with all that stands on it: there the replicas of one service stand apart, beside replicas of
others where they can. A node that is paid whole is filled all the same, since the plan pays for as few as can be.

The terms name no namespaces: a pod with any `namespaces` or `namespaceSelector` in a term, also in a preferred one,
counts for quotas of the scope CrossNamespacePodAffinity (Kubernetes: "Resource Quotas"), which refuse it where their
limit is 0. Where services of several namespaces share a pool, the plan counts places as they are. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.api.v1alpha1 import GPUPool, Provisioning
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
MOST_WEIGHT = 100
"""The largest that a preference may have in Kubernetes."""
LITTLE_WEIGHT = 10
"""The pool's pods on a node count for this, the service's own among them: well below what one of those counts against
it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Term:
    weight: int
    pods: dict[str, str]

    @property
    def preferred(self) -> Manifest:
        term = {"labelSelector": {"matchLabels": dict(self.pods)}, "topologyKey": HOSTNAME}
        return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": self.weight, "podAffinityTerm": term}]}


@dataclass(frozen=True, slots=True)
class Placing:
    """`own_pods`: the labels of all pods of the service."""

    pool: GPUPool
    gpus_per_replica: int
    own_pods: dict[str, str]

    @property
    def affinity(self) -> Manifest:
        """Affinity in the pod's spec; empty where a replica takes a whole node."""
        if not self._shares_nodes:
            return {}
        of_pool = {labels.MANAGED_BY: labels.MANAGED_BY_VALUE, labels.POOL: self.pool.metadata.name}
        beside = _Term(weight=LITTLE_WEIGHT if self._apart else MOST_WEIGHT, pods=of_pool)
        apart = _Term(weight=MOST_WEIGHT, pods=self.own_pods)
        return {
            "podAffinity": beside.preferred,
            **({"podAntiAffinity": apart.preferred} if self._apart else {}),
        }

    def spread(self, *, zones: dict[str, str]) -> list[Manifest]:
        """Constraints of the pod's spec. `zones`: the labels of the pods that are spread over zones."""
        over = [(ZONE, zones), *([(HOSTNAME, self.own_pods)] if self._apart else [])]
        return [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(pods)},
            }
            for key, pods in over
        ]

    @property
    def _shares_nodes(self) -> bool:
        return self.gpus_per_replica < self.pool.spec.capacity.gpus_per_node

    @property
    def _apart(self) -> bool:
        spot = self.pool.spec.provisioning is Provisioning.SPOT
        return spot and self._shares_nodes and self.pool.spec.cost.per_node_hour is None
