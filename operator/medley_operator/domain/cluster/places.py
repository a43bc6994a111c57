"""The places of a pool that plans may use, as the pods of services that are not planned leave them. Pure.

Small pods do not move to make room for large ones of another service: a plan counts places as they are. Where a small
replica of one planned service stands on a node and another planned service may have larger ones in the pool, the GPUs
of that replica are a place of their own, and only the rest of the node is one for a larger replica. What a service has
of variants that it may no longer have goes for certain, and counts as free.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Holder, NodeStock, PlacedPod, ReplicaSizes, packed


@dataclass(frozen=True, slots=True)
class Places:
    """`gpus`: by place, what one replica, or several, may take together; no replica takes GPUs of two. `nodes`: those
    with a place.
    """

    gpus: tuple[int, ...]
    nodes: int


def planner_places(
    state: PoolState,
    offered: Mapping[Holder, int],
    *,
    planned: Collection[ServiceKey],
    reserved: ReplicaSizes,
    waiting_gpus: int = 0,
    most_gpus: Mapping[str, int] = MappingProxyType({}),
) -> Places | None:
    """The places in a pool; None where nothing limits them.

    `offered`: GPUs of one replica, by variant that a planned service may have in the pool. `reserved`: replicas of
    services that are not planned and that are not placed yet. `waiting_gpus`: what replicas of planned services take
    that are asked for and not placed yet. `most_gpus`: the most that power leaves of a node, by its name; what is over
    goes first of its room and then of its replicas, which the plan is to place elsewhere.
    """
    if state.stock.unlimited:
        return None
    nodes = [_as_paid(state, node) for node in state.stock.nodes]
    waiting_gpus += sum(size * count for size, count in reserved.items())
    free = packed(_free_soon(nodes, waiting_gpus), reserved).free
    stays = _Stays(offered)
    places: list[int] = []
    in_use = 0
    for node, left in zip(nodes, free, strict=True):
        own = [pod for pod in node.running if pod.holder.service in planned]
        in_use += left > 0 or bool(own)
        # Where no new pod may start, each of those that run stays for itself or goes.
        fixed = [pod.gpus for pod in own if not node.open or stays(pod)]
        there = [left + sum(pod.gpus for pod in own) - sum(fixed)] if node.open else []
        places += _at_most([*there, *fixed], most_gpus.get(node.name, math.inf))
    return Places(tuple(places), in_use)


def _at_most(places: list[int], most: float) -> list[int]:
    """The places of a node, with no more GPUs than that; those that stand first lose theirs first."""
    over = sum(places) - most
    kept: list[int] = []
    for gpus in places:
        gone = int(min(gpus, max(over, 0.0)))
        over -= gone
        kept.append(gpus - gone)
    return kept


def _free_soon(nodes: Sequence[NodeStock], waiting_gpus: int) -> list[int]:
    """Free GPUs by node, with those of pods that end as far as replicas wait for GPUs: what is asked for stays asked
    for while the pod that it replaces ends, and nothing more grows on it."""
    free = [node.free_gpus for node in nodes]
    for index in sorted(range(len(nodes)), key=lambda index: (-nodes[index].ending_gpus, index)):
        node = nodes[index]
        room = node.soon_free_gpus - free[index]
        soon = min(node.ending_gpus, max(room, 0), waiting_gpus) if node.open else 0
        free[index] += soon
        waiting_gpus -= soon
    return free


def _as_paid(state: PoolState, node: NodeStock) -> NodeStock:
    """The node as a whole one where whole nodes are paid: one that lacks a GPU is not what the price is for."""
    spec = state.pool.spec
    if spec.cost.per_node_hour is None:
        return node
    whole = spec.capacity.gpus_per_node
    return replace(node, open=node.open and node.gpus >= whole, gpus=min(node.gpus, whole))


class _Stays:
    """Whether a pod keeps larger ones out: its service may keep it, and another could have a larger one there."""

    def __init__(self, offered: Mapping[Holder, int]) -> None:
        self._offered = offered
        largest: dict[ServiceKey, int] = {}
        for holder, gpus in offered.items():
            largest[holder.service] = max(gpus, largest.get(holder.service, 0))
        ranked = sorted(largest, key=lambda service: -largest[service])
        self._first = ranked[0] if ranked else None
        self._largest, self._second = (*(largest[service] for service in ranked[:2]), 0, 0)[:2]

    def __call__(self, pod: PlacedPod) -> bool:
        of_others = self._second if pod.holder.service == self._first else self._largest
        return pod.holder in self._offered and pod.gpus < of_others
