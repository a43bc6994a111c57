"""Each pool with its stock, and as the planner sees it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from medley_operator.api.v1alpha1 import GPUPool, PriceStatus, Provisioning
from medley_operator.domain.cluster.ledger import ZONE_LABEL
from medley_operator.domain.cluster.places import Places
from medley_operator.domain.cluster.pool_checks import pool_refusal
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.stock import PoolStock
from medley_planner.catalog import Catalogue
from medley_planner.model import NodePrice, Pool


def pool_state(
    pool: GPUPool, stock: PoolStock, unreadable: str, catalogue: Catalogue, price: PriceStatus | None = None
) -> PoolState:
    """A pool with its stock in the ledger. `unreadable`: why nodes cannot be listed, "" where they can. `price`: as its
    status is to show it."""
    return PoolState(
        pool=pool,
        gpu=find_gpu(pool.spec.gpu, catalogue),
        stock=stock,
        zones=_zones(pool, stock),
        refusal=pool_refusal(pool, catalogue),
        unreadable=unreadable,
        price=price,
    )


def _zones(pool: GPUPool, stock: PoolStock) -> tuple[str, ...]:
    """Those that the spec names, else the one that the selector asks for, else those of the Ready nodes."""
    named = pool.spec.zones or [pool.spec.node_selector.get(ZONE_LABEL, "")]
    return tuple(sorted({zone for zone in named if zone})) or stock.zones


def planner_pool(state: PoolState, places: Places | None, *, degrees: Collection[int]) -> Pool:
    """The pool as the planner sees it. `places` None: no limit.

    `degrees` are the GPUs per replica of the variants there. Whether replicas pack onto nodes can be planned only
    where these divide each other; where they do not, nodes are ignored, and each variant alone is bounded by what the
    nodes hold.
    """
    spec = state.pool.spec
    fed_by = state.feed.domain if state.feed is not None else None
    node_price = None
    if spec.cost.per_node_hour_usd is not None:
        node_price = NodePrice(
            gpus=spec.capacity.gpus_per_node,
            cost_per_hour=spec.cost.per_node_hour_usd,
            # One that others use in part can still be planned with; the stock says for how many GPUs.
            max_nodes=None if places is None else places.nodes,
        )
    packs = places is not None and node_price is None and _divide_each_other(degrees)
    return Pool(
        name=state.pool.metadata.name,
        stock_gpus=None if places is None else sum(places.gpus),
        node_gpus=places.gpus if places is not None and packs else None,
        node_price=node_price,
        spot=spec.provisioning is Provisioning.SPOT,
        zones=state.zones,
        power_domain=(state.budget_name or state.name) if state.has_budget else fed_by,
    )


def _divide_each_other(degrees: Collection[int]) -> bool:
    return all(larger % smaller == 0 for smaller, larger in pairwise(sorted(set(degrees))))
