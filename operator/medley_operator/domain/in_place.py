"""How much a service may claim before others: what its replicas with a node serve, and what is free beside them.

A plan never takes what another service of the same priority holds. GPUs that were taken from a service are lost to it,
and not to a service whose replicas are there: neither its load nor its minima make up for them with GPUs on which
replicas of others stand. Pure.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True, slots=True)
class _Own:
    """Replicas of a service that hold their GPUs, by variant, and those GPUs by pool."""

    replicas: Counter[str] = field(default_factory=Counter)
    gpus: Counter[str] = field(default_factory=Counter)

    def add(self, variant: str, pool: str, *, gpus: int, replicas: int = 1) -> None:
        self.replicas[variant] += replicas
        self.gpus[pool] += gpus * replicas


@dataclass(frozen=True, slots=True)
class InPlace:
    """The holdings of all services; None where pods cannot be seen. `free`: GPUs by pool, None where nodes are made as
    asked."""

    own: Mapping[ServiceKey, _Own] | None
    free: Mapping[str, int | None]

    @classmethod
    def of(cls, ledger: Ledger) -> InPlace:
        free = {name: stock.free_gpus for name, stock in ledger.pools.items()}
        if not ledger.pods_known:
            return cls(None, free)
        own: defaultdict[ServiceKey, _Own] = defaultdict(_Own)
        for name, stock in ledger.pools.items():
            for pod in (pod for node in stock.nodes for pod in node.running):
                own[pod.holder.service].add(pod.holder.variant, name, gpus=pod.gpus)
        ending = dict(ledger.ending)
        for each in ledger.workloads:
            # A pod that ends and is made again still counts: its GPUs come back.
            back = min(ledger.lacking(each), ending.get(each.holder, 0))
            if back:
                ending[each.holder] -= back
                own[each.holder.service].add(each.holder.variant, each.pool, gpus=each.gpus, replicas=back)
        return cls(own, free)

    def __call__(self, service: Service, candidate: ServiceCandidate) -> Service:
        """The service with its replicas in place, which bound what it holds, and with minima that what it has and what
        is free hold."""
        if self.own is None:
            return service
        own = self.own.get(candidate.key, _Own())
        least = int(min(service.min_replicas, own.replicas.total() + self._room(service.variants)))
        return replace(
            service,
            variants=tuple(
                replace(each, placed_replicas=own.replicas[each.name])
                for each in self._attainable(service.variants, own)
            ),
            min_replicas=least,
            on_demand_min_replicas=min(service.on_demand_min_replicas, least),
        )

    def _room(self, variants: Iterable[Variant]) -> float:
        """The most replicas that free GPUs hold, whatever variants they are of."""
        smallest: dict[str, int] = {}
        for each in variants:
            smallest[each.pool] = min(smallest.get(each.pool, each.gpus_per_replica), each.gpus_per_replica)
        rooms = ((self.free[pool], gpus) for pool, gpus in smallest.items())
        return sum(math.inf if left is None else left // gpus for left, gpus in rooms)

    def _attainable(self, variants: Iterable[Variant], own: _Own) -> tuple[Variant, ...]:
        """The variants with minima that can be had together: a GPU counts for one of them."""
        left = {pool: None if gpus is None else gpus + own.gpus[pool] for pool, gpus in self.free.items()}

        def lowered(variant: Variant) -> Variant:
            gpus = left[variant.pool]
            if gpus is None or not variant.min_replicas:
                return variant
            least = min(variant.min_replicas, gpus // variant.gpus_per_replica)
            left[variant.pool] = gpus - least * variant.gpus_per_replica
            return replace(variant, min_replicas=least) if least < variant.min_replicas else variant

        return tuple(lowered(each) for each in variants)
