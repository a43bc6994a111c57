"""Problems small enough to try every fleet of, drawn with a seed, by the feature that they are to exercise.

Money is in whole cents, spot shares in quarters and budgets off the cent, so that no limit is met only by a rounding.
Pure: equal arguments give the equal problem.
"""

from __future__ import annotations

import random
from dataclasses import replace
from enum import StrEnum

from medley_planner.model import (
    Bucket,
    Demand,
    NodePrice,
    Pool,
    PowerBudget,
    Priority,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)


class Feature(StrEnum):
    """The options of a problem beyond a demand, prices and capacities."""

    PLAIN = "plain"
    REPLICA_LIMITS = "replica limits"
    STOCK = "stock"
    STAFFING = "staffing"
    N_PLUS_ONE = "n+1"
    SPOT = "spot"
    ZONES = "zones"
    BUDGET = "budget"
    POWER = "power"
    PACKING = "packing"
    NODES = "nodes"
    SWITCHING = "switching"
    PRIORITIES = "priorities"
    """Two services that need not have the same, on pools that are mostly too small for both."""


_SIZES = (1, 1, 2, 4)

CASES: tuple[Feature | None, ...] = (*Feature, None)
"""What tests are parametrised by; None is a mix of features."""


def features_of(case: Feature | None, *, seed: int) -> frozenset[Feature]:
    """The one feature, or else two to four of them."""
    if case is not None:
        return frozenset({case})
    draw = random.Random(f"mix {seed}")  # noqa: S311 - instances, not secrets
    return frozenset(draw.sample(list(Feature), draw.randint(2, 4)))


def small_problem(features: frozenset[Feature], routing: RoutingMode, *, seed: int) -> Problem:
    """One service, or two where they may share something, the second by any routing; up to three variants each, but
    two where the router sees sizes or where there are two services: more would take too long to try."""
    draw = random.Random(f"{sorted(features)} {routing} {seed}")  # noqa: S311 - instances, not secrets
    shared = features & {Feature.STOCK, Feature.POWER, Feature.PACKING, Feature.NODES}
    services = 2 if Feature.PRIORITIES in features or (shared and draw.random() < 0.5) else 1
    sized = routing in (RoutingMode.PER_BUCKET, RoutingMode.INFERENCE_POOL)
    most = 2 if sized or services == 2 else 3
    pools = tuple(_pool(draw, index, features) for index in range(2 if most == 2 else draw.choice((2, 3))))
    modes = (routing, draw.choice(list(RoutingMode)))
    made = tuple(_service(draw, f"s{index}", modes[index], pools, most, features) for index in range(services))
    domains: tuple[PowerBudget, ...] = ()
    if Feature.POWER in features:
        row = float(draw.randint(2, 14) * 500)
        domains = (
            PowerBudget("hall", float(draw.randint(4, 20) * 500)),
            PowerBudget("row", row, parent="hall"),
        )
        pools = tuple(replace(pool, power_domain=draw.choice(("hall", "row", "row", None))) for pool in pools)
    horizon = draw.choice((600.0, 1800.0, 3600.0)) if Feature.SWITCHING in features else 3600.0
    made = tuple(replace(service, stay_seconds=horizon) for service in made)
    return Problem(made, pools, domains)


def _pool(draw: random.Random, index: int, features: frozenset[Feature]) -> Pool:
    pool = Pool(f"p{index}")
    if Feature.STOCK in features and draw.random() < 0.8:
        pool = replace(pool, stock_gpus=draw.randint(0, 10))
    if Feature.PRIORITIES in features:
        pool = replace(pool, stock_gpus=draw.randint(1, 7))
    if Feature.PACKING in features and draw.random() < 0.8:
        pool = replace(pool, node_gpus=tuple(draw.choice((1, 2, 3, 4, 5, 8)) for _ in range(draw.randint(0, 4))))
    if Feature.NODES in features and draw.random() < 0.7:
        gpus = draw.choice((2, 4, 8))
        price = NodePrice(gpus, gpus * draw.randint(50, 400) / 100, draw.choice((None, None, 1, 2, 4)))
        pool = replace(pool, node_price=price, node_gpus=None)
    if Feature.SPOT in features:
        pool = replace(pool, spot=draw.random() < 0.5)
    if Feature.ZONES in features:
        pool = replace(pool, zones=draw.choice((("a",), ("b",), ("a", "b"), ("c",), ())))
    return pool


def _service(
    draw: random.Random,
    name: str,
    routing: RoutingMode,
    pools: tuple[Pool, ...],
    most_variants: int,
    features: frozenset[Feature],
) -> Service:
    buckets = draw.randint(1, 4)
    weights = [draw.randint(1, 10) for _ in range(buckets)]
    # Some of the same prompt size, for a router that sees that much.
    prompts = [100.0 * draw.randint(1, 3) for _ in range(buckets)]
    demand = Demand(
        rate_rps=0.0 if draw.random() < 0.03 else round(draw.uniform(0.1, 7.0), 4),
        buckets=tuple(Bucket(prompt, 50.0 * (index + 1)) for index, prompt in enumerate(prompts)),
        shares=tuple(weight / sum(weights) for weight in weights),
        size_source=SizeSource.STATIC,
    )
    count = draw.randint(1, most_variants)
    # Which variants may wait for requests that do not come is not for a brute force to say.
    gaps = 0.06 if demand.rate_rps > 0 else 0.0
    variants = tuple(_variant(draw, f"v{index}", draw.choice(pools), buckets, features, gaps) for index in range(count))
    limited = Feature.REPLICA_LIMITS in features
    service = Service(
        name=name,
        demand=demand,
        variants=variants,
        routing=routing,
        min_replicas=draw.choice((0, 0, 1, 4)) if limited else 0,
        max_replicas=draw.choice((None, None, 6)) if limited else None,
        utilisation_limit=draw.choice((1.0, 0.9)),
    )
    return _with_wishes(draw, service, features)


def _variant(
    draw: random.Random, name: str, pool: Pool, buckets: int, features: frozenset[Feature], gaps: float
) -> Variant:
    limited = Feature.REPLICA_LIMITS in features
    gpus = draw.choice(_SIZES) if Feature.PACKING in features or Feature.NODES in features else draw.choice((1, 1, 2))
    cost = draw.randint(50, 900) / 100
    if pool.node_price is not None:
        gpus = min(gpus, pool.node_price.gpus)
        cost = pool.node_price.cost_per_hour * gpus / pool.node_price.gpus
    # More GPUs carry more, else only the small ones would ever be used.
    scale = gpus if Feature.PACKING in features or Feature.NODES in features else 1
    return Variant(
        name=name,
        pool=pool.name,
        gpu="G",
        gpus_per_replica=gpus,
        cost_per_hour=cost,
        capacity_rps=tuple(
            0.0 if draw.random() < gaps else round(scale * draw.uniform(0.4, 5.0), 3) for _ in range(buckets)
        ),
        provenance=Provenance.GIVEN,
        min_replicas=draw.choice((0, 0, 0, 0, 1, 2)) if limited else 0,
        max_replicas=draw.choice((None, None, 0, 2, 4)) if limited else None,
        watts=float(draw.randint(1, 8) * 250) if Feature.POWER in features else 0.0,
        startup_seconds=float(draw.randint(1, 20) * 60) if Feature.SWITCHING in features else 0.0,
        current_replicas=draw.choice((0, 0, 1, 2, 5)) if Feature.SWITCHING in features else 0,
    )


def _with_wishes(draw: random.Random, service: Service, features: frozenset[Feature]) -> Service:
    if Feature.STAFFING in features:
        service = replace(service, staffing_beta=draw.choice((0.2, 0.5, 1.0)))
    if Feature.N_PLUS_ONE in features:
        service = replace(service, n_plus_one=draw.random() < 0.85)
    if Feature.SPOT in features:
        service = replace(
            service,
            spot_max_share=draw.choice((0.0, 0.25, 0.5, 0.75, 1.0)),
            on_demand_min_replicas=draw.choice((0, 0, 1, 2)),
        )
    if Feature.ZONES in features:
        service = replace(service, zone_spread=draw.random() < 0.85)
    if Feature.PRIORITIES in features:
        service = replace(service, priority=draw.choice(list(Priority)))
    if Feature.BUDGET in features:
        service = replace(service, max_cost_per_hour=draw.randint(100, 3000) / 100 + 0.005)
    return service
