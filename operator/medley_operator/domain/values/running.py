"""The running replicas of one variant, whatever kind of object runs them. Pure.

Apart: decisions read this value; how it is read from an object is that kind's business (`engine/workload.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.domain.values import labels
from medley_operator.domain.values.views import PodView

LAYOUT_MARK = "@"


def variant_of(name: str) -> str:
    """The variant that a `RunningVariant.name` is of."""
    return name.partition(LAYOUT_MARK)[0]


@dataclass(frozen=True, slots=True)
class RunningVariant:
    """One workload of a variant, such as a Deployment. `drained`: it asks for no replica and has no pod left.

    `updated`: replicas of the template that it has now, 0 while its controller has not seen that. `failure`: why it may
    not create pods, "" where it may. `stalled`: its rollout has not moved for its deadline.

    `name` is the variant's where the workload has the layout that the variant is to have; one of another layout is
    `<variant>@<layout>` and is to go. `object_name` is that of the workload and of its Service.
    """

    name: str
    layout: str
    object_name: str
    pool: str
    replicas: int
    ready: int
    gpus_per_replica: int
    drained: bool
    paused: bool = False
    """Its replicas stay as they are until a person resumes it."""
    updated: int = 0
    made: int = 0
    """Pods that are there and do not end, of whatever template."""
    failure: str = ""
    stalled: bool = False
    kind: str = labels.DEPLOYMENT

    @property
    def is_rolling(self) -> bool:
        """Whether pods of two templates are there, or may be, and their controller still moves."""
        return self.updated < self.made and not self.stalled

    def has(self, pod: PodView) -> bool:
        """Whether a pod of its service is of this variant and layout."""
        found = pod.labels.get(labels.VARIANT), pod.labels.get(labels.LAYOUT)
        return pod.controller[0] == "ReplicaSet" and found == (variant_of(self.name), self.layout)

    def staying(self, count: int) -> int:
        """Ready replicas that are certain to stay where so many are asked for.

        Those that are not Ready go first; but while two templates are there, pods of either go, in proportion to
        their number (Kubernetes: "Deployments", proportional scaling).
        """
        ready = min(self.ready, self.replicas)
        if self.is_rolling:
            return max(ready - max(self.replicas - count, 0), 0)
        return min(ready, count)

    def fewest(self, count: int, *, staying: int) -> int:
        """The fewest replicas, of `count` or more, that so many Ready ones are certain to stay among."""
        lost = min(self.ready, self.replicas) - staying
        needed = self.replicas - lost if self.is_rolling and staying > 0 else staying
        return min(max(count, needed), self.replicas)

    def loses(self, count: int) -> bool:
        """Whether Ready replicas may go where so many are asked for."""
        return self.staying(count) < self.staying(self.replicas)
