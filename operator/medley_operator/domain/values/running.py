"""The running replicas of one variant, whatever kind of object runs them. Pure.

Apart: decisions read this value; how it is read from an object is that kind's business (`engine/workload.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.domain.values import labels


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
    failure: str = ""
    stalled: bool = False
    kind: str = labels.DEPLOYMENT
