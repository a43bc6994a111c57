"""Nodes of the simulated cluster: those of fixed pools from the start, those of elastic pools as pods need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import CapacityType, GPUPool
from medley_operator.domain.values.views import NodeView
from medley_operator.replay.agenda import EPOCH_UNIX_SECONDS, Agenda

LONG_BEFORE_SECONDS = -1e6
"""When the nodes of fixed pools were made: they are warm."""
IDLE_SECONDS = 60.0
"""A made node goes when it has been empty for so long."""


@dataclass(slots=True)
class Node:
    """Times are seconds of the replay. `gone_at` None: it is there."""

    name: str
    pool: str
    gpus: int
    created: float
    used: int = 0
    empty_since: float | None = None
    gone_at: float | None = None
    cordoned: bool = False
    """It takes no new pod, since the provider takes it back."""

    @property
    def free(self) -> int:
        return self.gpus - self.used


class Nodes:
    """Takes and gives back GPUs. `changed` is called where a node came or went."""

    def __init__(
        self, pools: Sequence[GPUPool], agenda: Agenda, *, node_seconds: float, changed: Callable[[], None]
    ) -> None:
        self._pools = {pool.metadata.name: pool.spec for pool in pools}
        self._agenda = agenda
        self._node_seconds = node_seconds
        self._changed = changed
        self._made = 0
        self.all: list[Node] = []
        self.out_of_stock: set[str] = set()
        """Pools that give no GPU now to a pod that has none."""
        for name, spec in self._pools.items():
            if spec.capacity.type is CapacityType.FIXED:
                for _ in range(spec.capacity.nodes or 0):
                    self._add(name, LONG_BEFORE_SECONDS)

    def take(self, pool: str, gpus: int) -> tuple[Node, float] | None:
        """A node with so many free GPUs, made if the pool makes nodes, and the seconds until it is there; None where
        there is none."""
        if pool in self.out_of_stock:
            return None
        there = [node for node in self.all if node.pool == pool and node.gone_at is None]
        fitting = [node for node in there if node.free >= gpus and not node.cordoned]
        spec = self._pools[pool].capacity
        if fitting:
            node = min(fitting, key=lambda each: (each.free, each.created, each.name))
        elif spec.type is CapacityType.ELASTIC and (spec.nodes is None or len(there) < spec.nodes):
            node = self._add(pool, self._agenda.now)
            self._changed()
        else:
            return None
        node.used += gpus
        node.empty_since = None
        return node, max(node.created + self._node_seconds - self._agenda.now, 0.0)

    def give_back(self, name: str, gpus: int) -> None:
        node = self.named(name)
        node.used -= gpus
        if node.used == 0 and self._pools[node.pool].capacity.type is CapacityType.ELASTIC:
            node.empty_since = self._agenda.now
            self._agenda.after(IDLE_SECONDS, lambda: self._remove_if_idle(node))

    def cordon(self, name: str) -> None:
        """The node takes no further pod."""
        self.named(name).cordoned = True
        self._changed()

    def named(self, name: str) -> Node:
        return next(each for each in self.all if each.name == name)

    def lose(self, node: Node) -> None:
        """The node goes; its pods must have gone."""
        node.gone_at = self._agenda.now
        self._changed()

    def views(self) -> tuple[NodeView, ...]:
        return tuple(self._view(node) for node in self.all if node.gone_at is None)

    def _view(self, node: Node) -> NodeView:
        spec = self._pools[node.pool]
        return NodeView(
            name=node.name,
            labels=dict(spec.node_selector),
            allocatable={spec.resource_name: node.gpus},
            created_at=EPOCH_UNIX_SECONDS + node.created,
            cordoned=node.cordoned,
        )

    def _add(self, pool: str, created: float) -> Node:
        self._made += 1
        node = Node(f"{pool}-{self._made}", pool, self._pools[pool].capacity.gpus_per_node, created)
        self.all.append(node)
        return node

    def _remove_if_idle(self, node: Node) -> None:
        idle = node.empty_since is not None and self._agenda.now - node.empty_since >= IDLE_SECONDS
        if idle and node.used == 0 and node.gone_at is None:
            self.lose(node)
