"""How much a service may claim before others: what its replicas with a node serve, and what is free beside them.

A plan never takes what another service of the same priority holds. GPUs that were taken from a service are lost to it,
and not to a service whose replicas are there: neither its load nor its minima make up for them with GPUs on which
replicas of others stand. Pure.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Ledger
from medley_planner.model import Service, Variant


def held_rps(candidate: ServiceCandidate) -> float:
    """The rate that the plan in force serves, read from the status: others of the same priority grow around it."""
    status = candidate.service.status
    if status.load is None or status.plan is None or not candidate.last_replicas:
        return 0.0
    if status.plan.replicas is not None:
        # The plan that the status shows is not in force.
        capacity = sum(row.desired * row.replica_rps for row in status.variants)
        return max(0.0, min(status.load.rate_rps, capacity))
    return max(0.0, status.load.rate_rps - status.plan.unserved_rps)


class _Alike(NamedTuple):
    """Replicas of one service that are alike."""

    variant: str
    pool: str
    gpus: int

    @classmethod
    def of(cls, variant: Variant) -> _Alike:
        return cls(variant.name, variant.pool, variant.gpus_per_replica)


class _Node(NamedTuple):
    """A node of a pool, or a place that a pod that ends leaves to the one that is made again."""

    pool: str
    name: str
    free: int
    open: bool


@dataclass(frozen=True, slots=True)
class _Own:
    """Replicas of a service that hold their GPUs, by node: what it has of each kind there."""

    by_node: dict[_Node, Counter[_Alike]] = field(default_factory=dict)

    def add(self, node: _Node, kind: _Alike, replicas: int = 1) -> None:
        self.by_node.setdefault(node, Counter())[kind] += replicas

    def replicas(self, kind: _Alike) -> int:
        return sum(kinds[kind] for kinds in self.by_node.values())

    def gpus(self, pool: str) -> int:
        found = (kinds for node, kinds in self.by_node.items() if node.pool == pool)
        return sum(kind.gpus * count for kinds in found for kind, count in kinds.items())


@dataclass(frozen=True, slots=True)
class InPlace:
    """The holdings of all services; None where pods cannot be seen. `free`: how many nodes of each pool have so many
    free GPUs, None where nodes are made as asked."""

    own: Mapping[ServiceKey, _Own] | None
    free: Mapping[str, Mapping[int, int] | None]

    @classmethod
    def of(cls, ledger: Ledger) -> InPlace:
        free = {
            name: None if stock.unlimited else Counter(gpus for gpus in stock.free_by_node if gpus)
            for name, stock in ledger.pools.items()
        }
        if not ledger.pods_known:
            return cls(None, free)
        own: defaultdict[ServiceKey, _Own] = defaultdict(_Own)
        for name, stock in ledger.pools.items():
            for index, (node, left) in enumerate(zip(stock.nodes, stock.free_by_node, strict=True)):
                place = _Node(name, f"{index}", left, node.open)
                for pod in node.running:
                    own[pod.holder.service].add(place, _Alike(pod.holder.variant, name, pod.gpus))
        ending = dict(ledger.ending)
        for each in ledger.workloads:
            # A pod that ends and is made again still counts: its GPUs come back.
            back = min(ledger.lacking(each), ending.get(each.holder, 0))
            if back:
                ending[each.holder] -= back
                kind = _Alike(each.holder.variant, each.pool, each.gpus)
                own[each.holder.service].add(_Node(each.pool, each.deployment, 0, open=False), kind, back)
        return cls(own, free)

    def __call__(self, service: Service, candidate: ServiceCandidate) -> Service:
        """The service with its replicas in place, which bound what it holds, and with minima that what it has and what
        is free hold."""
        if self.own is None:
            return service
        own = self.own.get(candidate.key, _Own())
        smallest: dict[str, int] = {}
        for each in service.variants:
            smallest[each.pool] = min(smallest.get(each.pool, each.gpus_per_replica), each.gpus_per_replica)
        kinds = frozenset(map(_Alike.of, service.variants))
        least = int(min(service.min_replicas, sum(self._room(own, *each, kinds) for each in smallest.items())))
        return replace(
            service,
            variants=tuple(
                replace(each, placed_replicas=own.replicas(_Alike.of(each)))
                for each in self._attainable(service.variants, own)
            ),
            min_replicas=least,
            on_demand_min_replicas=min(service.on_demand_min_replicas, least),
        )

    def _room(self, own: _Own, pool: str, gpus: int, kinds: Collection[_Alike]) -> float:
        """The most replicas of so many GPUs that the service may have in the pool on what is free and what it holds.
        Where no new pod may start, those of these kinds stay and nothing takes the place of others."""
        free = self.free[pool]
        if free is None:
            return math.inf
        room = sum(left // gpus * count for left, count in free.items())
        for node, there in own.by_node.items():
            if node.pool != pool:
                continue
            if not node.open:
                room += sum(count for kind, count in there.items() if kind in kinds)
                continue
            held = sum(kind.gpus * count for kind, count in there.items())
            room += (node.free + held) // gpus - node.free // gpus
        return room

    def _attainable(self, variants: Iterable[Variant], own: _Own) -> tuple[Variant, ...]:
        """The variants with minima that can be had together: a GPU counts for one of them."""
        left: dict[str, float] = {}

        def lowered(variant: Variant) -> Variant:
            if not variant.min_replicas:
                return variant
            pool, gpus = variant.pool, variant.gpus_per_replica
            room = self._room(own, pool, gpus, {_Alike.of(variant)})
            least = int(min(variant.min_replicas, room, left.setdefault(pool, self._gpus(own, pool)) // gpus))
            left[pool] -= least * gpus
            return replace(variant, min_replicas=least) if least < variant.min_replicas else variant

        return tuple(lowered(each) for each in variants)

    def _gpus(self, own: _Own, pool: str) -> float:
        free = self.free[pool]
        return math.inf if free is None else own.gpus(pool) + sum(left * count for left, count in free.items())
