"""The content of each pool: Ready nodes, stock, zones, GPUs by node, and what plans may use of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from medley_operator.api.v1alpha1 import CapacityType, GPUPool, Provisioning
from medley_operator.domain.cluster.children import ReplicaSizes
from medley_operator.domain.cluster.pool_checks import POOL_CHECKS
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.views import NodeView
from medley_planner.model import NodePrice, Pool
from medley_planner.refusal import first_refusal

ZONE_LABEL = "topology.kubernetes.io/zone"


def pool_state(pool: GPUPool, nodes: Iterable[NodeView], *, unreadable: str = "") -> PoolState:
    """Stock of one pool.

    With `capacity.nodes`: nodes x GPUs per node. Fixed without it: what the nodes that match and take pods can
    allocate. Elastic without it: no limit. `unreadable`: why nodes cannot be listed; the stock is then what the pool
    declares, or else what was last seen, be it by an operator before this one.
    """
    selector, capacity = pool.spec.node_selector, pool.spec.capacity
    matching = [node for node in nodes if node.usable and _matches(selector, node.labels)]
    node_gpus: tuple[int, ...] | None
    if capacity.nodes is not None:
        node_gpus = (capacity.gpus_per_node,) * capacity.nodes
    elif capacity.type is CapacityType.ELASTIC:
        node_gpus = None
    elif unreadable and not matching:
        whole, rest = divmod(pool.status.stock_gpus or 0, capacity.gpus_per_node)
        node_gpus = (capacity.gpus_per_node,) * whole + ((rest,) if rest else ())
    else:
        node_gpus = tuple(node.allocatable.get(pool.spec.resource_name, 0) for node in matching)
    gpu = find_gpu(pool.spec.gpu)
    return PoolState(
        pool=pool,
        gpu=gpu.name if gpu is not None else None,
        ready_nodes=(pool.status.ready_nodes or 0) if unreadable and not matching else len(matching),
        stock_gpus=None if node_gpus is None else sum(node_gpus),
        node_gpus=node_gpus,
        zones=_zones(pool, matching),
        refusal=first_refusal(POOL_CHECKS, pool),
        unreadable=unreadable,
    )


def _matches(selector: Mapping[str, str], node_labels: Mapping[str, str]) -> bool:
    return all(node_labels.get(key) == value for key, value in selector.items())


def _zones(pool: GPUPool, nodes: Iterable[NodeView]) -> tuple[str, ...]:
    """Those that the spec names, else the one that the selector asks for, else those of the Ready nodes."""
    named = pool.spec.zones or [pool.spec.node_selector.get(ZONE_LABEL, "")]
    if not any(named):
        named = [node.labels.get(ZONE_LABEL, "") for node in nodes]
    return tuple(sorted({zone for zone in named if zone}))


def planner_pools(
    states: Iterable[PoolState], *, taken: Mapping[str, ReplicaSizes], degrees: Mapping[str, Collection[int]]
) -> tuple[Pool, ...]:
    """The pools as the planner sees them: what the replicas in `taken` (not planned this round) leave.

    `degrees` are the GPUs per replica of the variants in each pool. Whether replicas pack onto nodes can be planned
    only where these divide each other; where they do not, nodes are ignored, and each variant alone is bounded by what
    the nodes hold.
    """
    return tuple(
        _planner_pool(state, taken.get(state.pool.metadata.name, {}), degrees=degrees.get(state.pool.metadata.name, ()))
        for state in states
    )


def _planner_pool(state: PoolState, taken: ReplicaSizes, *, degrees: Collection[int]) -> Pool:
    spec = state.pool.spec
    node_gpus, node_price = state.node_gpus, None
    if spec.cost.per_node_hour is not None and node_gpus is not None:
        # A node that lacks a GPU is not what the price is for.
        node_gpus = tuple(spec.capacity.gpus_per_node for gpus in node_gpus if gpus >= spec.capacity.gpus_per_node)
    free = None if node_gpus is None else free_gpus(node_gpus, taken)
    if spec.cost.per_node_hour_usd is not None:
        node_price = NodePrice(
            gpus=spec.capacity.gpus_per_node,
            cost_per_hour=spec.cost.per_node_hour_usd,
            # One that others use in part can still be planned with; the stock says for how many GPUs.
            max_nodes=None if free is None else sum(1 for gpus in free if gpus > 0),
        )
    return Pool(
        name=state.pool.metadata.name,
        stock_gpus=None if free is None else sum(free),
        node_gpus=free if node_price is None and _divide_each_other(degrees) else None,
        node_price=node_price,
        spot=spec.provisioning is Provisioning.SPOT,
        zones=state.zones,
        power_domain=state.pool.metadata.name
        if spec.power is not None and spec.power.budget_watts is not None
        else None,
    )


def free_gpus(node_gpus: Sequence[int], taken: ReplicaSizes) -> tuple[int, ...]:
    """GPUs left on each node, in the order given, when the replicas in `taken` are packed as tightly as can be.

    Which node a pod runs on is not known here, so the tightest packing is taken: the largest replicas first, each on
    the fullest node that holds it. A plan needs room to exist, as does the plan for the pods it moves; taking the
    worst scatter instead would call places for large replicas lost that are in use, and move what runs there. GPUs of
    replicas that no single node holds any more come off the fullest nodes, so that the sum is right.
    """
    free = list(node_gpus)
    homeless = 0
    for size in sorted((size for size in taken if size > 0), reverse=True):
        for placed in range(taken[size]):
            fitting = [node for node, gpus in enumerate(free) if gpus >= size]
            if not fitting:
                # Nor does any other replica of that size: `count` may be a billion.
                homeless += size * (taken[size] - placed)
                break
            free[min(fitting, key=lambda node: (free[node], node))] -= size
    for node in sorted(range(len(free)), key=lambda node: (free[node], node)):
        gone = min(free[node], homeless)
        free[node] -= gone
        homeless -= gone
    return tuple(free)


def _divide_each_other(degrees: Collection[int]) -> bool:
    return all(larger % smaller == 0 for smaller, larger in pairwise(sorted(set(degrees))))
