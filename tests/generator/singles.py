"""One service alone: on eight pools, with thirty variants, with few sizes, and small ones with a drawn table.

All see the sizes of their requests (`PerBucket`) by default, without headroom: what the published slice program plans,
so that costs can be compared with it. Prices are list prices per GPU and hour.
"""

from __future__ import annotations

import math
import random

from medley_planner.model import Bucket, Demand, Pool, Problem, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.workload import standard_buckets
from tests.generator.catalogue import grid_capacity_rps
from tests.generator.sizes import grid_shares, normalised

EIGHT_PRICES = {"L4": 0.805, "A10G": 1.006, "L40S": 1.861, "A100-40": 2.745, "A100-80": 3.431, "H100": 6.88,
                "H200": 7.912, "MI300X": 6.0}  # fmt: skip
TEN_PRICES = EIGHT_PRICES | {"B200": 12.0, "RTX-PRO-6000": 3.0}
_MODEL = "hf://meta-llama/Llama-3.1-8B-Instruct"
_TTFT_SECONDS = 2.0
_TPOT_SECONDS = (0.04, 0.1)
_RATES_RPS = (0.5, 120.0)
_FEW_SIZES = 5


def eight_pools(seed: int, routing: RoutingMode = RoutingMode.PER_BUCKET) -> Problem:
    """One GPU type a pool, every bucket of the standard grid of 60 filled; tight and loose targets in turn."""
    return _on_grid(seed, EIGHT_PRICES, (1,), routing)


def thirty_variants(seed: int, routing: RoutingMode = RoutingMode.PER_BUCKET) -> Problem:
    """Ten pools with three tensor-parallel degrees each, every bucket filled."""
    return _on_grid(seed, TEN_PRICES, (1, 2, 4), routing)


def few_sizes(seed: int, routing: RoutingMode = RoutingMode.PER_BUCKET) -> Problem:
    """The eight pools with one to five buckets, as if requests were gathered to a few typical sizes."""
    draw = random.Random(f"few sizes {seed}")  # noqa: S311 - instances, not secrets
    kept = draw.sample(range(len(standard_buckets())), draw.randint(1, _FEW_SIZES))
    weights = [draw.uniform(0.2, 1.0) if bucket in kept else 0.0 for bucket in range(len(standard_buckets()))]
    return _problem(draw, seed, EIGHT_PRICES, (1,), routing, normalised(weights))


def small_service(seed: int, routing: RoutingMode = RoutingMode.PER_BUCKET) -> Problem:
    """Two to four types and one to six sizes with a drawn table; the first type can serve all of them."""
    draw = random.Random(f"small {seed}")  # noqa: S311 - instances, not secrets
    types, sizes = draw.randint(2, 4), draw.randint(1, 6)
    slow = [draw.uniform(0.3, 2.0) for _ in range(sizes)]
    variants = []
    for index in range(types):
        fast = draw.uniform(0.5, 8.0)
        row = tuple(
            0.0 if index and draw.random() < 0.15 else round(fast / size * draw.uniform(0.6, 1.4), 4) for size in slow
        )
        price = round(fast * draw.uniform(0.5, 1.5), 2)
        variants.append(Variant(f"v{index}", f"p{index}", f"g{index}", 1, price, row, Provenance.GIVEN))
    demand = Demand(
        math.exp(draw.uniform(math.log(0.2), math.log(20.0))),
        tuple(Bucket(100.0 * (index + 1), 100.0) for index in range(sizes)),
        normalised([draw.uniform(0.1, 1.0) for _ in range(sizes)]),
        SizeSource.STATIC,
    )
    return Problem(
        (Service(f"small-{seed}", demand, tuple(variants), routing),), tuple(Pool(one.pool) for one in variants)
    )


def _on_grid(seed: int, prices: dict[str, float], degrees: tuple[int, ...], routing: RoutingMode) -> Problem:
    draw = random.Random(f"grid {seed}")  # noqa: S311 - instances, not secrets
    return _problem(draw, seed, prices, degrees, routing, grid_shares(draw))


def _problem(
    draw: random.Random,
    seed: int,
    prices: dict[str, float],
    degrees: tuple[int, ...],
    routing: RoutingMode,
    shares: tuple[float, ...],
) -> Problem:
    low, high = _RATES_RPS
    rate = math.exp(draw.uniform(math.log(low), math.log(high)))
    tpot_seconds = _TPOT_SECONDS[seed % len(_TPOT_SECONDS)]
    variants = tuple(
        Variant(
            name=f"{name}-tp{degree}",
            pool=name,
            gpu=name,
            gpus_per_replica=degree,
            cost_per_hour=round(price * degree, 6),
            capacity_rps=grid_capacity_rps(_MODEL, name, degree, _TTFT_SECONDS, tpot_seconds),
            provenance=Provenance.ESTIMATED,
        )
        for name, price in prices.items()
        for degree in degrees
    )
    demand = Demand(rate, standard_buckets(), shares, SizeSource.STATIC)
    return Problem((Service(f"s{seed}", demand, variants, routing),), tuple(Pool(name) for name in prices))
