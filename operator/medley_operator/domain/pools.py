"""What each pool holds: Ready nodes, stock, and GPUs by node. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from medley_operator.api.v1alpha1 import CapacityType, GPUPool
from medley_operator.domain.catalogue import find_gpu
from medley_operator.domain.contexts import PoolState
from medley_operator.domain.snapshot import NodeView
from medley_planner.model import Pool


def pool_state(pool: GPUPool, nodes: Iterable[NodeView]) -> PoolState:
    """Stock of one pool.

    With `capacity.nodes`: nodes x GPUs per node. Fixed without it: what the Ready nodes that match can allocate.
    Elastic without it: no limit.
    """
    selector, capacity = pool.spec.node_selector, pool.spec.capacity
    matching = [node for node in nodes if _matches(selector, node.labels)]
    node_gpus: tuple[int, ...] | None
    if capacity.nodes is not None:
        node_gpus = (capacity.gpus_per_node,) * capacity.nodes
    elif capacity.type is CapacityType.ELASTIC:
        node_gpus = None
    else:
        node_gpus = tuple(node.allocatable.get(pool.spec.resource_name, 0) for node in matching)
    gpu = find_gpu(pool.spec.gpu)
    return PoolState(
        pool=pool,
        gpu=gpu.name if gpu is not None else None,
        ready_nodes=len(matching),
        stock_gpus=None if node_gpus is None else sum(node_gpus),
        node_gpus=node_gpus,
    )


def _matches(selector: Mapping[str, str], node_labels: Mapping[str, str]) -> bool:
    return all(node_labels.get(key) == value for key, value in selector.items())


def planner_pools(states: Iterable[PoolState], *, taken_gpus: Mapping[str, int]) -> tuple[Pool, ...]:
    """The pools as the planner sees them: stock less the GPUs of services that are not planned this round."""
    return tuple(
        Pool(
            name=state.pool.metadata.name,
            stock_gpus=None
            if state.stock_gpus is None
            else max(state.stock_gpus - taken_gpus.get(state.pool.metadata.name, 0), 0),
        )
        for state in states
    )
