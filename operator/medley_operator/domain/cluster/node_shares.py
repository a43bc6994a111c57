"""Which nodes are a pool's own, where several pools match the same ones, and on which its new pods may start. Pure.

A node counts for one pool of those that match it and ask for the same resource: a pool that can be planned with before
one that cannot, then the pool whose pods hold most of its GPUs, then one whose pods may start there, then the first by
name. The others keep what their own pods hold there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import GPUPool, Toleration, TolerationOperator
from medley_operator.domain.cluster.held import HeldByNode
from medley_operator.domain.cluster.pool_checks import pool_refusal
from medley_operator.domain.values.views import NodeView, Taint, selects
from medley_planner.catalog import Catalogue

BLOCKING_EFFECTS = ("NoSchedule", "NoExecute")
TOLERATED_BY_ALL = "node.kubernetes.io/memory-pressure"
"""Kubernetes adds its toleration to each pod that requests memory, as all of ours do."""


@dataclass(frozen=True, slots=True)
class NodeShares:
    """Nodes by pool: those that it matches, the names of those that are its own, and pools that match some too.

    `second`: pools that select the very same nodes as one before them, seen or not: what is declared is the other's.
    """

    matching: Mapping[str, Sequence[NodeView]]
    own: Mapping[str, frozenset[str]]
    shares_with: Mapping[str, frozenset[str]]
    second: frozenset[str]


def node_shares(
    pools: Sequence[GPUPool], nodes: Iterable[NodeView], held: HeldByNode, catalogue: Catalogue
) -> NodeShares:
    """`pools` by name."""
    refused = {pool.metadata.name for pool in pools if pool_refusal(pool, catalogue) is not None}
    ranked = sorted(pools, key=lambda pool: pool.metadata.name in refused)
    names = [pool.metadata.name for pool in pools]
    matching: dict[str, list[NodeView]] = {name: [] for name in names}
    own: dict[str, set[str]] = {name: set() for name in names}
    groups: list[list[str]] = []
    for node in nodes:
        by_resource: dict[str, list[GPUPool]] = {}
        for pool in ranked:
            if selects(pool.spec.node_selector, node.labels):
                matching[pool.metadata.name].append(node)
                by_resource.setdefault(pool.spec.resource_name, []).append(pool)
        for resource, sharing in by_resource.items():
            first = sharing[0] if len(sharing) == 1 else _first(sharing, node, resource, held, refused)
            own[first.metadata.name].add(node.name)
            groups.append([pool.metadata.name for pool in sharing])
    same = _with_equal_selectors(ranked)
    return NodeShares(
        matching=matching,
        own={name: frozenset(found) for name, found in own.items()},
        shares_with=_others(names, [*groups, *same]),
        second=frozenset(name for group in same for name in group[1:]),
    )


def _first(
    sharing: Sequence[GPUPool], node: NodeView, resource: str, held: HeldByNode, refused: Collection[str]
) -> GPUPool:
    """The pool that the node counts for, of those that share it. Those that can be planned with stand first."""
    there: Counter[str] = Counter()
    for pod in held.get(node.name, ()):
        there[pod.pool] += pod.gpus.get(resource, 0)

    def rank(pool: GPUPool) -> tuple[bool, int, bool]:
        name = pool.metadata.name
        return name in refused, -there[name], not may_start(pool, node)

    return min(sharing, key=rank)


def _with_equal_selectors(pools: Iterable[GPUPool]) -> list[list[str]]:
    same: dict[tuple[str, frozenset[tuple[str, str]]], list[str]] = {}
    for pool in pools:
        key = (pool.spec.resource_name, frozenset(pool.spec.node_selector.items()))
        same.setdefault(key, []).append(pool.metadata.name)
    return list(same.values())


def _others(names: Iterable[str], groups: Iterable[Sequence[str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {name: set() for name in names}
    for group in {tuple(group) for group in groups if len(group) > 1}:
        for name in group:
            found[name].update(other for other in group if other != name)
    return {name: frozenset(others) for name, others in found.items()}


def may_start(pool: GPUPool, node: NodeView) -> bool:
    """Whether a new pod of the pool may start there, as far as the node's state and taints go."""
    return node.usable and not untolerated(pool, node)


def untolerated(pool: GPUPool, node: NodeView) -> tuple[Taint, ...]:
    """Taints that keep the pool's pods off the node. PreferNoSchedule keeps none off."""
    return tuple(
        taint
        for taint in node.taints
        if taint.effect in BLOCKING_EFFECTS
        and taint.key != TOLERATED_BY_ALL
        and not any(_tolerates(toleration, taint) for toleration in pool.spec.tolerations)
    )


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if (toleration.key, toleration.effect.value) != (taint.key, taint.effect):
        return False
    return toleration.operator is TolerationOperator.EXISTS or toleration.value == taint.value
