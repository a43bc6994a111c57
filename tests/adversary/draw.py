"""Small problems of every kind: one service, or up to eight that share pools; all modes, rules, limits; scarce ones."""

from __future__ import annotations

import random

from medley_planner.model import (
    Bucket,
    Demand,
    NodePrice,
    Pool,
    PowerBudget,
    Priority,
    Problem,
    Provenance,
    Quota,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)

_POOLS = ("a", "b", "c", "d")
_ZONES = ((), ("x",), ("y",), ("x", "y"))


def drawn(seed: int) -> Problem:
    """Every other problem is one service; a third of all has pools that are mostly too small."""
    draw = random.Random(f"adversary {seed}")  # noqa: S311 - instances, not secrets
    scarce = draw.random() < 1 / 3
    rules = draw.random() < 0.6
    names = _POOLS[: draw.randint(1, len(_POOLS))]
    many = 1 if draw.random() < 0.5 else draw.randint(2, 8)
    prices = {name: draw.choice((0.6, 1.0, 1.7, 3.1)) for name in names}
    pools = tuple(_pool(draw, name, prices[name], scarce=scarce, rules=rules) for name in names)
    services = tuple(_service(draw, number, pools, prices, scarce=scarce, rules=rules) for number in range(many))
    domains = (PowerBudget("hall", draw.choice((2_000.0, 9_000.0))), PowerBudget("rack", 3_000.0, "hall"))
    powered = any(pool.power_domain for pool in pools)
    quotas = (Quota("team", draw.choice((None, 6)), draw.choice((None, 9.0))),)
    return Problem(services, pools, domains if powered else (), steady_within=0.0, quotas=quotas)


def _pool(draw: random.Random, name: str, gpu_price: float, *, scarce: bool, rules: bool) -> Pool:
    stock = draw.choice((0, 1, 2, 3, 5)) if scarce else draw.choice((4, 9, None, None))
    nodes = tuple(draw.choice((2, 4, 8)) for _ in range(draw.randint(1, 3))) if draw.random() < 0.2 else None
    price = None
    if nodes is None and rules and draw.random() < 0.15:
        price = NodePrice(4, 4 * gpu_price, draw.choice((None, 2)))
    return Pool(
        name,
        stock_gpus=stock if price is None else None,
        node_gpus=nodes,
        node_price=price,
        spot=rules and draw.random() < 0.3,
        zones=draw.choice(_ZONES) if rules else (),
        power_domain=draw.choice((None, "hall", "rack")) if draw.random() < 0.4 else None,
    )


def _service(
    draw: random.Random, number: int, pools: tuple[Pool, ...], prices: dict[str, float], *, scarce: bool, rules: bool
) -> Service:
    prompts = draw.choice(((100.0,), (100.0, 900.0), (100.0, 100.0, 900.0)))
    buckets = tuple(Bucket(prompt, 10.0 * index) for index, prompt in enumerate(prompts))
    weights = [draw.randint(1, 9) for _ in buckets]
    team = draw.random() < 0.2
    variants = tuple(
        _variant(draw, f"v{index}", pool, prices[pool.name], len(buckets), quota="team" if team else None, rules=rules)
        for index, pool in enumerate(draw.sample(pools, draw.randint(1, min(3, len(pools)))))
    )
    least = draw.choice((0, 0, 1, 2)) if rules else 0
    return Service(
        name=f"s{number}",
        demand=Demand(
            draw.choice((0.7, 4.0, 9.0, 16.0)),
            buckets,
            tuple(weight / sum(weights) for weight in weights),
            SizeSource.STATIC,
        ),
        variants=variants,
        routing=draw.choice(list(RoutingMode)),
        min_replicas=least,
        max_replicas=draw.choice((None, None, least + 3)) if rules else None,
        utilisation_limit=draw.choice((1.0, 0.8)),
        staffing_beta=draw.choice((0.0, 0.0, 0.4)),
        priority=draw.choice(list(Priority)) if scarce else Priority.NORMAL,
        max_cost_per_hour=draw.choice((None, None, 6.0)) if rules else None,
        spot_max_share=draw.choice((1.0, 0.5, 0.3, 0.0)) if rules else 1.0,
        on_demand_min_replicas=draw.choice((0, 0, 1)) if rules else 0,
        zone_spread=rules and draw.random() < 0.2,
        n_plus_one=rules and draw.random() < 0.25,
        stay_seconds=draw.choice((600.0, 3600.0)),
    )


def _variant(
    draw: random.Random, name: str, pool: Pool, price: float, buckets: int, *, quota: str | None, rules: bool
) -> Variant:
    gpus = draw.choice((1, 1, 2, 4))
    return Variant(
        name=name,
        pool=pool.name,
        gpu=pool.name,
        gpus_per_replica=gpus,
        cost_per_hour=price * gpus,
        capacity_rps=tuple(
            0.0 if draw.random() < 0.2 else draw.choice((3.0, 5.0, 8.3, 13.0)) * gpus**0.9 for _ in range(buckets)
        ),
        provenance=Provenance.GIVEN,
        min_replicas=int(rules and draw.random() < 0.1),
        max_replicas=draw.choice((None, None, 3)) if rules else None,
        watts=300.0 * gpus,
        startup_seconds=draw.choice((0.0, 300.0)),
        current_replicas=draw.choice((0, 0, 1, 3)),
        quota=quota,
    )
