"""The prices of found pools: as the user gives them, else by the metrics of Karpenter or OpenCost, else by a
price list. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.cli.advise.pools import Discovery, FoundPool
from medley_operator.domain.cluster.prices import GpuPrice, PriceMetrics, market_price

OPTION = "--price"


def prices_of_found(discovery: Discovery, given: Mapping[str, float], metrics: PriceMetrics) -> Mapping[str, GpuPrice]:
    """Prices by pool; pools without one are not in it. `given`: US dollars per GPU and hour, by pool name or GPU type
    in small letters."""
    found = {pool.name: _price(pool, given, metrics) for pool in discovery.pools}
    return {name: price for name, price in found.items() if price is not None}


def missing_of_pools(discovery: Discovery, prices: Mapping[str, GpuPrice]) -> list[str]:
    """Why pools cannot be planned with, in words."""
    unpriced = [
        f"price of pool {pool.name} ({pool.title}): neither Karpenter nor OpenCost nor a price list says it; "
        f"give it with --price {pool.title}=USD"
        for pool in discovery.pools
        if pool.name not in prices
    ]
    unknown = [
        f"GPU {pool.product} of {len(pool.nodes)} nodes: the catalogue lacks it, so it is not planned with"
        for pool in discovery.pools
        if not pool.gpu
    ]
    return unpriced + unknown


def _price(pool: FoundPool, given: Mapping[str, float], metrics: PriceMetrics) -> GpuPrice | None:
    for name in (pool.name, pool.title, pool.product):
        if name.casefold() in given:
            return GpuPrice(given[name.casefold()], OPTION)
    return market_price(
        pool.nodes,
        pool.selector,
        resource=pool.resource,
        gpus_per_node=pool.gpus_per_node,
        spot=pool.spot,
        metrics=metrics,
    )
