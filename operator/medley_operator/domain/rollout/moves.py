"""Replicas on nodes that are going are moved: one more starts elsewhere, and then the one that stands there goes.

One replica of a service moves at a time, and only while the service is at rest otherwise. The one more is asked for
where the pool has a free place now; where it has none, the replicas stay, and the status says so. Once the new replica
is Ready the variant shrinks by one, and its pods on such nodes go first (`deletion_costs`). A move that did not bring
one of them away, because the new pod does not start or another one went, is tried again after some minutes: a node that
stays cordoned asks for no endless row of starts. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.cluster.start_failures import (
    BROKEN_SECONDS,
    CREATING_SECONDS,
    patience_seconds,
    waited_seconds,
)
from medley_operator.domain.rollout.step_memory import Moving
from medley_operator.domain.values.views import PodView

DWELL_SECONDS = 15.0
"""A node that is going for a shorter time than this moves nothing."""
AGAIN_SECONDS = 600.0
"""From the begin of a move that moved nothing, or from when it was given up, to the next."""


@dataclass(frozen=True, slots=True)
class Move:
    """Decision of one service about nodes that are going: the variant that gets one replica more ("" for none), Ready
    pods that have nowhere to go, when to look again, and what to remember."""

    variant: str = ""
    stranded: tuple[PodView, ...] = ()
    wait_seconds: float | None = None
    memory: Moving = field(default_factory=Moving)


@dataclass(frozen=True, slots=True)
class Standing:
    """A service's replicas: Deployments by variant, what the plan in force wants of each, and its pods.

    `leaving`: its Ready pods on nodes that are going, by variant, of variants that may get one more.
    """

    running: Mapping[str, RunningVariant]
    planned: Mapping[str, int]
    pods: Sequence[PodView]
    leaving: Mapping[str, Sequence[PodView]]

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing starts, goes or rolls."""
        return all(
            each.replicas == self.planned.get(name, 0) and each.updated >= each.replicas and each.ready >= each.replicas
            for name, each in self.running.items()
        ) and all(name in self.running for name, count in self.planned.items() if count > 0)

    @property
    def moving(self) -> str:
        """The variant that has one replica more than planned, so that another may go."""
        names = (name for name in sorted(self.leaving) if self.running[name].replicas == self.planned[name] + 1)
        return next(names, "")


def leaving_by_variant(
    running: Mapping[str, RunningVariant], planned: Mapping[str, int], pods: Sequence[PodView]
) -> dict[str, tuple[PodView, ...]]:
    """`pods` on nodes that are going, by variant; of those that the plan keeps, and whose replicas may be changed."""
    found: dict[str, tuple[PodView, ...]] = {}
    for name, variant in running.items():
        there = [pod for pod in pods if variant.has(pod)]
        if there and planned.get(name, 0) > 0 and not variant.paused:
            found[name] = tuple(sorted(there, key=lambda pod: pod.name))
    return found


def next_move(
    standing: Standing,
    memory: Moving,
    *,
    has_room: Callable[[str], bool],
    pools: Mapping[str, GPUPool],
    at_seconds: float,
    now: float,
) -> Move:
    """`has_room`: whether one more replica of a variant finds a place now; `now` in Unix seconds."""
    leaving = {pod.uid: pod for pods in standing.leaving.values() for pod in pods}
    if not leaving:
        return Move()
    memory = replace(memory, since=at_seconds if memory.since is None else memory.since)
    moving = standing.moving
    if moving:
        memory = memory if memory.tried else replace(memory, tried=frozenset(leaving), tried_at=at_seconds)
        under_way = _under_way(standing, moving, memory, pools, now=now)
        return under_way if under_way is not None else Move(memory=replace(memory, tried_at=at_seconds))
    left = _left_seconds(memory, frozenset(leaving), at_seconds)
    if not standing.is_at_rest:
        return Move(wait_seconds=left, memory=memory)
    if left is not None:
        waits_again = at_seconds - (memory.since or 0.0) >= DWELL_SECONDS
        return Move(stranded=tuple(leaving.values()) if waits_again else (), wait_seconds=left, memory=memory)
    name = next((name for name in sorted(standing.leaving) if has_room(name)), "")
    if not name:
        return Move(stranded=tuple(leaving.values()), memory=memory)
    return Move(variant=name, memory=replace(memory, tried=frozenset(leaving), tried_at=at_seconds))


def _left_seconds(memory: Moving, leaving: frozenset[str], at_seconds: float) -> float | None:
    """How long the next move waits; None: it may begin."""
    dwells = DWELL_SECONDS - (at_seconds - (memory.since if memory.since is not None else at_seconds))
    moved_nothing = bool(memory.tried) and memory.tried <= leaving
    again = AGAIN_SECONDS - (at_seconds - memory.tried_at) if moved_nothing else 0.0
    left = max(dwells, again)
    return left if left > 0.0 else None


def _under_way(
    standing: Standing, name: str, memory: Moving, pools: Mapping[str, GPUPool], *, now: float
) -> Move | None:
    """None where it is given up."""
    variant = standing.running[name]
    if variant.ready > standing.planned[name] or variant.failure:
        # The new one is Ready, so that one may go; or there will be no new one.
        return Move(memory=memory)
    starting = [pod for pod in standing.pods if variant.has(pod) and not pod.ready and not pod.terminating]
    waits = [_patience_left(pod, pools, now) for pod in starting]
    known = [each for each in waits if each is not None]
    if any(each <= 0.0 for each in known):
        return None
    return Move(variant=name, wait_seconds=min(known, default=None), memory=memory)


def _patience_left(pod: PodView, pools: Mapping[str, GPUPool], now: float) -> float | None:
    """How long a pod that does not start is waited for: half of what makes it a failure of its variant, since nothing
    needs it. None where nothing keeps it from starting."""
    if pod.gated:
        return BROKEN_SECONDS / 2 - (now - pod.created_at) if pod.created_at is not None else None
    if pod.trouble is None:
        return None if pod.creating_since is None else CREATING_SECONDS / 2 - (now - pod.creating_since)
    return patience_seconds(pod, pod.trouble, pools) / 2 - waited_seconds(pod, pod.trouble, now)
