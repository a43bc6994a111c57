"""The stock of pools as the ledger counts it: GPUs by node, whose pods hold them, and what is left. Pure.

`cluster.ledger` makes these values once a round; planner, rollout, statuses and metrics read them and count nothing
again. Stock limits growth and never takes a pod that runs: the GPUs that a pod of ours holds are part of its pool's
stock wherever the pod stands, also on a node that is cordoned, not Ready or gone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.views import Taint

ReplicaSizes = Mapping[int, int]
"""Number of replicas by the GPUs that one of them takes."""


class Holder(NamedTuple):
    """Whose pod it is: one variant of one of our services."""

    service: ServiceKey
    variant: str


@dataclass(frozen=True, slots=True)
class PlacedPod:
    """A pod of ours that is bound and does not end, with the GPUs that it takes."""

    holder: Holder
    gpus: int


@dataclass(frozen=True, slots=True)
class NodeStock:
    """One pool's part of one node. `name` is "" for a node that is declared and not seen.

    `gpus`: allocatable. `open`: whether a new pod of the pool may start there. `running`: the pool's own pods.
    `ending_gpus`: held by those of the pool's pods that end. `foreign_gpus`: held by pods of others, `other_gpus` by
    pods of ours of another pool. `withheld_gpus`: free ones that a quota keeps from new pods.
    """

    name: str
    gpus: int
    open: bool
    running: tuple[PlacedPod, ...] = ()
    ending_gpus: int = 0
    foreign_gpus: int = 0
    other_gpus: int = 0
    withheld_gpus: int = 0

    @property
    def running_gpus(self) -> int:
        return sum(pod.gpus for pod in self.running)

    @property
    def free_gpus(self) -> int:
        """GPUs that a new pod of the pool may take now."""
        held = self.running_gpus + self.ending_gpus + self.foreign_gpus + self.other_gpus + self.withheld_gpus
        return max(self.gpus - held, 0) if self.open else 0

    @property
    def soon_free_gpus(self) -> int:
        """GPUs that a new pod of the pool may take once the pods that end are gone."""
        held = self.running_gpus + self.foreign_gpus + self.other_gpus + self.withheld_gpus
        return max(self.gpus - held, 0) if self.open else 0

    @property
    def stock_gpus(self) -> int:
        return self.free_gpus + self.running_gpus


@dataclass(frozen=True, slots=True)
class PoolRoom:
    """The room of a pool once the pods that end are gone: GPUs that pods of ours hold or may take, and those that one
    more pod may take at most; both infinite where there is no limit."""

    gpus: float
    largest_gpus: float

    def beyond(self, planned_gpus: int, gpus: int, *, has_one: bool) -> bool:
        """Whether one more pod of so many GPUs finds a node beside all that is planned. `has_one`: there is such a pod
        already, which has found one."""
        return planned_gpus + gpus <= self.gpus and (has_one or self.largest_gpus >= gpus)


@dataclass(frozen=True, slots=True)
class StockLimit:
    """A limit of another system: `gpus` that replicas of the pool may hold together, those included that they hold now.
    `problem`: why nothing more starts under it, whatever it leaves; "" for nothing."""

    kind: str
    name: str
    gpus: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PoolStock:
    """The stock of one pool. `unlimited`: nodes are made as asked, so that no figure bounds it.

    `free_by_node`: GPUs that new pods may take now, in the order of `nodes`; where pods cannot be seen, what is left
    when the replicas that Deployments of ours ask for are packed. `shares_with`: pools that match some of the same
    nodes, by name. `untolerated`: taints that keep new pods off `tainted_nodes` Ready nodes. `zones`
    and `ready_nodes` are of the nodes that match and that are Ready and not cordoned. `watched`: the namespaces whose
    pods are seen, where these are not all. `limits`: of other systems, counted in all figures. `idle_devices`: GPUs of
    DRA drivers that the pool's pods cannot ask for.
    """

    nodes: tuple[NodeStock, ...] = ()
    unlimited: bool = False
    pods_known: bool = False
    free_by_node: tuple[int, ...] = ()
    shares_with: tuple[str, ...] = ()
    untolerated: tuple[Taint, ...] = ()
    tainted_nodes: int = 0
    zones: tuple[str, ...] = ()
    ready_nodes: int = 0
    watched: tuple[str, ...] = ()
    limits: tuple[StockLimit, ...] = ()
    idle_devices: int = 0

    @property
    def node_gpus(self) -> tuple[int, ...] | None:
        """GPUs of each node that replicas of ours use or may use; None: no limit."""
        return None if self.unlimited else tuple(node.stock_gpus for node in self.nodes)

    @property
    def stock_gpus(self) -> int | None:
        return None if self.unlimited else sum(node.stock_gpus for node in self.nodes)

    @property
    def free_gpus(self) -> int | None:
        return None if self.unlimited else sum(self.free_by_node)

    @property
    def soon_free_by_node(self) -> tuple[int, ...]:
        """`free_by_node` once the pods that end are gone."""
        return tuple(
            node.soon_free_gpus if node.ending_gpus else free
            for node, free in zip(self.nodes, self.free_by_node, strict=True)
        )

    @property
    def room(self) -> PoolRoom:
        if self.unlimited:
            return PoolRoom(math.inf, math.inf)
        free = self.soon_free_by_node
        return PoolRoom(sum(free) + sum(node.running_gpus for node in self.nodes), max(free, default=0))

    def running_gpus(self, *, except_services: Collection[ServiceKey]) -> int:
        """GPUs that pods of all other services of ours hold."""
        pods = (pod for node in self.nodes for pod in node.running)
        return sum(pod.gpus for pod in pods if pod.holder.service not in except_services)

    @property
    def foreign_gpus(self) -> int | None:
        """GPUs that pods of others hold on the pool's nodes; None where pods cannot be seen."""
        return sum(node.foreign_gpus for node in self.nodes) if self.pods_known else None


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment of ours: the replicas that it asks for, and how many of them are Ready or have a node (`placed`)."""

    holder: Holder
    deployment: str
    pool: str
    gpus: int
    replicas: int
    ready: int
    placed: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """The stock of all pools, by name, and the Deployments of ours that use it.

    `pods_known`: whether pods can be seen. Where they cannot, nothing says on which node a replica stands: Deployments
    count by the replicas that they ask for, packed as tightly as can be.
    """

    pools: Mapping[str, PoolStock] = field(default_factory=dict)
    workloads: tuple[Workload, ...] = ()
    pods_known: bool = False
    bound: Mapping[Holder, int] = field(default_factory=dict)
    """Pods of ours that have their place in `pools`."""
    ending: Mapping[Holder, int] = field(default_factory=dict)
    """Pods of ours that end and still hold GPUs."""

    def room_for(self, pool: str, gpus: int) -> bool:
        """Whether one more pod of so many GPUs finds a node, now or once the pods that end are gone.

        Pods of ours that have no node yet are not subtracted.
        """
        return self._stock(pool).room.largest_gpus >= gpus

    def free_for(self, pool: str, gpus: int) -> bool:
        """Whether one more pod of so many GPUs finds a node now, beside all that is asked for and has no place yet."""
        stock = self._stock(pool)
        if any(each.pool == pool and self.lacking(each) for each in self.workloads):
            return False
        return stock.unlimited or max(stock.free_by_node, default=0) >= gpus

    def in_the_way(self, pool: str, gpus: int, surplus: Mapping[Holder, int]) -> dict[Holder, int]:
        """Those of the holders of `surplus` (GPUs that each may give up) that stand where a pod of so many GPUs finds
        room once all of them give theirs up, and the fewest GPUs that each must give for it. Where pods cannot be seen,
        nobody does."""
        stock = self._stock(pool)
        found: dict[Holder, int] = {}
        for node, free in zip(stock.nodes, stock.soon_free_by_node, strict=True):
            there: Counter[Holder] = Counter()
            for pod in node.running if node.open else ():
                if pod.holder in surplus:
                    there[pod.holder] += pod.gpus
            if free + sum(min(held, surplus[holder]) for holder, held in there.items()) >= gpus:
                for holder, held in there.items():
                    needed = min(gpus - free, held, surplus[holder])
                    found[holder] = min(found.get(holder, needed), needed)
        return found

    def gpus_of_others(self, services: Collection[ServiceKey]) -> dict[str, int]:
        """GPUs by pool that services of ours outside of `services` hold; as asked for, where no pod can be seen."""
        gpus: dict[str, int] = {}
        for name, stock in self.pools.items():
            gpus[name] = stock.running_gpus(except_services=services)
        if not self.pods_known:
            for each in self.workloads:
                if each.holder.service not in services:
                    gpus[each.pool] = gpus.get(each.pool, 0) + self.lacking(each) * each.gpus
        return gpus

    def lacking(self, workload: Workload) -> int:
        """Replicas that the Deployment asks for and that have no place."""
        placed = workload.placed if self.pods_known else self.bound.get(workload.holder, 0)
        return max(workload.replicas - placed, 0)

    def _stock(self, pool: str) -> PoolStock:
        return self.pools.get(pool, PoolStock())


@dataclass(frozen=True, slots=True)
class Packed:
    """GPUs left on each node, in the order given, and the replicas that no node holds."""

    free: tuple[int, ...]
    homeless: ReplicaSizes


def packed(node_gpus: Sequence[int], replicas: ReplicaSizes) -> Packed:
    """The nodes when `replicas` are packed as tightly as can be: the largest first, each on the fullest node that
    holds it.

    For replicas whose node is not known. A plan needs room to exist, as does the plan for the pods it moves; the worst
    scatter instead would call places for large replicas lost that are in use, and move what runs there. GPUs of
    replicas that no single node holds any more come off the fullest nodes, so that the sum is right.
    """
    free = list(node_gpus)
    homeless: dict[int, int] = {}
    nodes_with: dict[int, list[int]] = {}
    for node, gpus in enumerate(free):
        nodes_with.setdefault(gpus, []).append(node)
    for size in sorted((size for size, count in replicas.items() if size > 0 and count > 0), reverse=True):
        for placed in range(replicas[size]):
            tightest = min((gpus for gpus, nodes in nodes_with.items() if gpus >= size and nodes), default=None)
            if tightest is None:
                # Nor does any node hold another replica of that size: the count may be a billion.
                homeless[size] = replicas[size] - placed
                break
            node = heappop(nodes_with[tightest])
            free[node] -= size
            heappush(nodes_with.setdefault(free[node], []), node)
    missing = sum(size * count for size, count in homeless.items())
    for node in sorted(range(len(free)), key=lambda node: (free[node], node)):
        gone = min(free[node], missing)
        free[node] -= gone
        missing -= gone
    return Packed(tuple(free), homeless)
