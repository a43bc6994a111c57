"""One service of a plan examined alone, while all others stay as they are planned.

Their replicas are taken off what is shared: GPUs off the stock, places off the nodes, watts off the budgets, GPUs and
money off the quotas. Only on nodes that are paid for as wholes they must stay in the problem, as one service with fixed
replicas, because who shares a node with whom decides what is bought.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from medley_planner.explain.usage import above
from medley_planner.model import (
    Demand,
    Plan,
    Pool,
    Priority,
    Problem,
    Provenance,
    Quota,
    RoutingMode,
    Service,
    ServicePlan,
    SizeSource,
    Variant,
)


@dataclass(frozen=True, slots=True, order=True)
class _Replica:
    """The fields by which replicas of other services differ."""

    pool: str
    gpus: int
    cost_per_hour: float
    watts: float
    quota: str
    """Empty for none."""


class OneService:
    """Problems of one service of a plan with all others fixed."""

    def __init__(self, problem: Problem, planned: Plan) -> None:
        self._problem = problem
        self._plans = {service.service: service for service in planned.services}
        self._services = {service.name: service for service in problem.services}
        self._pools = {pool.name: pool for pool in problem.pools}
        self._parents = {domain.name: domain.parent for domain in problem.power_domains}
        self._all: Counter[_Replica] = Counter()
        self._sizes: dict[str, set[int]] = {}
        for service in problem.services:
            self._all.update(_used(service, self._plans[service.name]))
            for variant in service.variants:
                self._sizes.setdefault(variant.pool, {1}).add(variant.gpus_per_replica)

    def problem(self, name: str, *, service: Service | None = None) -> Problem:
        """`name` as it is or as the given `service`, first in the problem; the others, if they must stay, as second."""
        asked = service if service is not None else self._services[name]
        stay, gone = self._others(name)
        taken: dict[str, Counter[int]] = {}
        watts: dict[str, float] = {}
        gpus: Counter[str] = Counter()
        costs: dict[str, float] = {}
        for replica, count in gone.items():
            gpus[replica.quota] += replica.gpus * count
            costs[replica.quota] = costs.get(replica.quota, 0.0) + replica.cost_per_hour * count
            taken.setdefault(replica.pool, Counter())[replica.gpus] += count
            for domain in above(self._pools[replica.pool].power_domain, self._parents):
                watts[domain] = watts.get(domain, 0.0) + replica.watts * count
        return replace(
            self._problem,
            services=(asked, _placeholder(asked.name, stay)) if stay else (asked,),
            pools=tuple(
                _left(pool, taken[pool.name], self._sizes[pool.name]) if pool.name in taken else pool
                for pool in self._problem.pools
            ),
            power_domains=tuple(
                replace(domain, budget_watts=max(0.0, domain.budget_watts - watts.get(domain.name, 0.0)))
                for domain in self._problem.power_domains
            ),
            quotas=tuple(
                _rest(quota, gpus=gpus[quota.name], cost_per_hour=costs.get(quota.name, 0.0))
                for quota in self._problem.quotas
            ),
        )

    def stands(self, asked: Problem, answer: Plan) -> bool:
        """Whether the others kept all of their replicas in the answer."""
        if len(asked.services) == 1:
            return True
        kept = answer.services[1].replicas()
        return all(kept[variant.name] == variant.min_replicas for variant in asked.services[1].variants)

    def shares_nodes(self, name: str) -> bool:
        """Whether the service may run on nodes that are paid for as wholes, with others or alone."""
        return any(self._by_node(variant.pool) for variant in self._services[name].variants)

    def _others(self, name: str) -> tuple[dict[_Replica, int], dict[_Replica, int]]:
        """The others' replicas on nodes that this service may share the price of, and all else."""
        service = self._services[name]
        mine = {variant.pool for variant in service.variants}
        others = self._all - Counter(_used(service, self._plans[name]))
        stay = {kind: count for kind, count in others.items() if kind.pool in mine and self._by_node(kind.pool)}
        return stay, {kind: count for kind, count in others.items() if kind not in stay}

    def _by_node(self, pool: str) -> bool:
        return self._pools[pool].node_price is not None


def blocks_left(nodes: Iterable[int], taken: Mapping[int, int], sizes: set[int]) -> tuple[int, ...]:
    """The rest of nodes after `taken` replicas by their GPUs, as blocks of the `sizes` that divide each other.

    The largest replicas first, each takes the smallest block that holds it, so that as much as can be stays whole.
    Blocks are as good as nodes: as many replicas of each size fit into them as into what the nodes have left.
    """
    chain = sorted(sizes, reverse=True)
    blocks: Counter[int] = Counter()
    for gpus in nodes:
        _cut(blocks, gpus, chain)
    for size in sorted(taken, reverse=True):
        for _ in range(taken[size]):
            block = min((block for block, count in blocks.items() if count > 0 and block >= size), default=None)
            if block is None:
                return ()
            blocks[block] -= 1
            _cut(blocks, block - size, chain)
    return tuple(sorted(blocks.elements(), reverse=True))


def _cut(blocks: Counter[int], gpus: int, chain: list[int]) -> None:
    for size in chain:
        count, gpus = divmod(gpus, size)
        if count:
            blocks[size] += count


def _left(pool: Pool, taken: Mapping[int, int], sizes: set[int]) -> Pool:
    gpus = sum(size * count for size, count in taken.items())
    return replace(
        pool,
        stock_gpus=max(0, pool.stock_gpus - gpus) if pool.stock_gpus is not None else None,
        node_gpus=blocks_left(pool.node_gpus, taken, sizes) if pool.node_gpus is not None else None,
    )


def _rest(quota: Quota, *, gpus: int, cost_per_hour: float) -> Quota:
    most, budget = quota.max_gpus, quota.max_cost_per_hour
    return replace(
        quota,
        max_gpus=max(0, most - gpus) if most is not None else None,
        max_cost_per_hour=max(0.0, budget - cost_per_hour) if budget is not None else None,
    )


def _used(service: Service, planned: ServicePlan) -> dict[_Replica, int]:
    counts: Counter[_Replica] = Counter()
    replicas = planned.replicas()
    for variant in service.variants:
        count = replicas.get(variant.name, 0)
        if count > 0:
            kind = _Replica(
                variant.pool, variant.gpus_per_replica, variant.cost_per_hour, variant.watts, variant.quota or ""
            )
            counts[kind] += count
    return counts


def _placeholder(name: str, replicas: Mapping[_Replica, int]) -> Service:
    """A service without demand whose replicas are all given."""
    variants = tuple(
        Variant(
            name=f"{index}",
            pool=kind.pool,
            gpu="",
            gpus_per_replica=kind.gpus,
            cost_per_hour=kind.cost_per_hour,
            capacity_rps=(),
            provenance=Provenance.GIVEN,
            min_replicas=count,
            max_replicas=count,
            watts=kind.watts,
            current_replicas=count,
            quota=kind.quota or None,
        )
        for index, (kind, count) in enumerate(sorted(replicas.items()))
    )
    # No other service can have this name, as it holds the asked one's.
    return Service(
        name=f"all but {name}",
        demand=Demand(0.0, (), (), SizeSource.STATIC),
        variants=variants,
        routing=RoutingMode.best(),
        priority=Priority.HIGH,
    )
