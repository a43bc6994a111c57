"""Faults as they happen in a world: pools run out, Prometheus falls silent, pods and nodes go, prices change.

Apart: the world holds faults as values, and here they act on it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medley_operator.api.v1alpha1 import GPUPool, PoolCost
from medley_operator.replay.faults import FaultKind, WorldFault
from medley_planner.units import decimal

if TYPE_CHECKING:
    from medley_operator.replay.world import World

NOTICE_SECONDS = 120.0
"""Between the provider's notice and the end of a spot node."""


def schedule(fault: WorldFault, world: World) -> None:
    """Notes the fault for its time. A pool whose price changes is given to `world.on_pool`."""
    agenda = world.agenda
    end = fault.at_seconds + fault.lasts_seconds
    if fault.kind is FaultKind.OUT_OF_STOCK:
        agenda.at(fault.at_seconds, lambda: world.cluster.out_of_stock(fault.pool, True))
        agenda.at(end, lambda: world.cluster.out_of_stock(fault.pool, False))
    elif fault.kind is FaultKind.PROMETHEUS:
        agenda.at(fault.at_seconds, lambda: _answers(world, False))
        agenda.at(end, lambda: _answers(world, True))
    elif fault.kind is FaultKind.CRASH:
        agenda.at(fault.at_seconds, lambda: _crash(world, fault))
    elif fault.kind is FaultKind.RECLAIM:
        agenda.at(fault.at_seconds, lambda: _reclaim(world, fault))
    else:
        world.prices[fault.pool] = world.prices[fault.pool].changed(fault.at_seconds, fault.amount)
        agenda.at(fault.at_seconds, lambda: world.on_pool(_priced(_pool(world, fault.pool), fault.amount)))


def _answers(world: World, answers: bool) -> None:
    world.prometheus_answers = answers


def _crash(world: World, fault: WorldFault) -> None:
    ready = [pod for pod in world.cluster.pods.values() if pod.workload.pool == fault.pool and pod.ready]
    for pod in ready[: math.ceil(fault.amount * len(ready))]:
        world.cluster.terminate(pod, within_seconds=0.0)
        world.cluster.replace(pod)


def _reclaim(world: World, fault: WorldFault) -> None:
    cluster = world.cluster
    held = sorted({pod.node for pod in cluster.pods.values() if pod.workload.pool == fault.pool and pod.node})
    for name in held[: math.ceil(fault.amount * len(held))]:
        cluster.nodes.cordon(name)
        for pod in [each for each in cluster.pods.values() if each.node == name and not each.terminating]:
            cluster.terminate(pod, within_seconds=NOTICE_SECONDS)
            cluster.replace(pod)
        world.agenda.after(NOTICE_SECONDS, lambda name=name: cluster.lose_node(name))  # type: ignore[misc]


def _pool(world: World, name: str) -> GPUPool:
    return next(pool for pool in world.scenario.own.pools if pool.metadata.name == name)


def _priced(pool: GPUPool, per_gpu: float) -> GPUPool:
    """The pool as its owner writes it anew."""
    by_node = pool.spec.cost.per_node_hour is not None
    dollars = decimal(per_gpu * (pool.spec.capacity.gpus_per_node if by_node else 1), digits=4)
    cost = PoolCost(per_node_hour=dollars) if by_node else PoolCost(per_hour=dollars)
    metadata = pool.metadata.model_copy(update={"generation": pool.metadata.generation + 1})
    return pool.model_copy(update={"metadata": metadata, "spec": pool.spec.model_copy(update={"cost": cost})})
