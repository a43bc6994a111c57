"""The bill of a replay: each GPU from the moment that a replica holds it to the replica's end, and each made node from
creation to end where its pool is paid by the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import CapacityType, GPUPool
from medley_operator.replay.nodes import Node
from medley_operator.replay.pods import EnginePod

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per GPU and hour of one pool: (from when on, price), in order, the first from the start on."""

    steps: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, pool: GPUPool) -> Prices:
        return cls(((0.0, pool.spec.gpu_cost_per_hour()),))

    def changed(self, seconds: float, price: float) -> Prices:
        """With another price from then on."""
        return Prices(tuple(sorted((*self.steps, (seconds, price)))))

    def at(self, seconds: float) -> float:
        return next(price for since, price in reversed(self.steps) if since <= max(seconds, 0.0))

    def cost(self, gpus: float, start: float, end: float) -> float:
        """US dollars for so many GPUs from `start` to `end`."""
        ends = [since for since, _ in self.steps[1:]] + [max(end, self.steps[-1][0])]
        total = 0.0
        for (since, price), until in zip(self.steps, ends, strict=True):
            seconds = min(end, until) - max(start, since)
            total += max(seconds, 0.0) * price * gpus / SECONDS_PER_HOUR
        return total


def bill(
    pods: Iterable[EnginePod],
    nodes: Iterable[Node],
    pools: Sequence[GPUPool],
    prices: Mapping[str, Prices],
    *,
    end: float,
) -> dict[str, float]:
    """US dollars by pool, up to `end`."""
    by_node = {pool.metadata.name for pool in pools if is_paid_by_node(pool)}
    costs = {pool.metadata.name: 0.0 for pool in pools}
    for pod in pods:
        pool = pod.workload.pool
        if pod.placed is not None and pool not in by_node:
            costs[pool] += prices[pool].cost(pod.workload.gpus, pod.placed, _until(pod.gone_at, end))
    for node in nodes:
        if node.pool in by_node:
            costs[node.pool] += prices[node.pool].cost(node.gpus, max(node.created, 0.0), _until(node.gone_at, end))
    return costs


def is_paid_by_node(pool: GPUPool) -> bool:
    """Whether whole nodes are made and paid."""
    return pool.spec.cost.per_node_hour_usd is not None and pool.spec.capacity.type is CapacityType.ELASTIC


def replica_seconds(pods: Iterable[EnginePod], *, end: float) -> float:
    """The time that all replicas together held GPUs."""
    return sum(_until(pod.gone_at, end) - pod.placed for pod in pods if pod.placed is not None)


def _until(gone_at: float | None, end: float) -> float:
    return end if gone_at is None else min(gone_at, end)
