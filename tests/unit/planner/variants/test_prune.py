"""What is left out is not needed: the cheapest fleet costs the same without it, against every fleet one by one."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, replace
from typing import Any

import pytest

from medley_planner.model import Bucket, Demand, Pool, Problem, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.optimize import plan
from medley_planner.variants import prune


def variant(
    name: str, gpus: int, capacity: tuple[float, ...], *, cost: float | None = None, pool: str = "a", watts: float = 0.0
) -> Variant:
    price = float(gpus) if cost is None else cost
    return Variant(name, pool, "L4", gpus, price, capacity, Provenance.GIVEN, watts=watts)


def service(*variants: Variant, rate: float = 4.0, routing: RoutingMode = RoutingMode.HTTP_ROUTE) -> Service:
    buckets = len(variants[0].capacity_rps)
    demand = Demand(
        rate,
        tuple(Bucket(100.0 * (index + 1), 50.0) for index in range(buckets)),
        (1 / buckets,) * buckets,
        SizeSource.STATIC,
    )
    return Service("s", demand, variants, routing)


def reasons(given_service: Service, *keep: str) -> dict[str, str]:
    return {part.variant: part.reason for part in prune(given_service, keep=keep).dropped}


def test_a_replica_that_does_more_for_no_more_dominates() -> None:
    found = prune(service(variant("tp2", 2, (3.0, 2.0)), variant("tp2-fp8", 2, (4.5, 2.0))), keep=())
    assert [part.name for part in found.variants] == ["tp2-fp8"]
    (dropped,) = found.dropped
    assert (dropped.variant, dropped.pool, dropped.reason) == ("tp2", "a", "Dominated")
    assert dropped.message == (
        "tp2-fp8 takes 2 GPUs at $2.00/h against 2 at $2.00/h, and serves 1.00 to 1.50 times its rate of each size"
    )


def test_copies_dominate_a_larger_one() -> None:
    found = prune(service(variant("tp1", 1, (3.0, 1.0)), variant("tp4", 4, (12.0, 4.0))), keep=())
    assert [part.name for part in found.variants] == ["tp1"]
    assert found.dropped[0].message == (
        "4 replicas of tp1 take 4 GPUs at $4.00/h against 4 at $4.00/h, and serve 1.00 times its rate of each size"
    )


@pytest.mark.parametrize(
    "better",
    [
        variant("b", 2, (3.0, 1.9)),
        variant("b", 2, (4.0, 4.0), cost=2.1),
        variant("b", 2, (4.0, 4.0), pool="other"),
        variant("b", 3, (4.0, 4.0), cost=2.0),
        variant("b", 2, (4.0, 4.0), watts=700.0),
        replace(variant("b", 2, (4.0, 4.0)), max_replicas=9),
        replace(variant("b", 2, (4.0, 4.0)), startup_seconds=900.0),
    ],
    ids=["a size worse", "dearer", "another pool", "more GPUs", "more watts", "limited", "slower to start"],
)
def test_what_is_not_better_in_everything_dominates_nothing(better: Variant) -> None:
    assert "a" not in reasons(service(variant("a", 2, (3.0, 2.0)), better))


def test_of_equal_ones_the_first_by_name_stays() -> None:
    assert reasons(service(variant("b", 1, (1.0,)), variant("a", 1, (1.0,)), variant("c", 1, (1.0,)))) == {
        "b": "Dominated",
        "c": "Dominated",
    }


def test_who_dominates_is_told_by_one_that_stays() -> None:
    found = prune(service(*(variant(f"v{n}", 1, (float(n + 1),)) for n in range(4))), keep=())
    assert [part.name for part in found.variants] == ["v3"]
    assert all(part.message.startswith("v3 takes") for part in found.dropped)


def test_what_runs_or_has_a_minimum_stays() -> None:
    rows = [variant("a", 1, (1.0,)), replace(variant("b", 1, (1.0,)), min_replicas=1), variant("c", 1, (2.0,))]
    assert reasons(service(*rows), "a") == {}


def test_what_serves_nothing_goes_unless_nothing_serves() -> None:
    rows = [variant("a", 1, (0.0, 0.0)), variant("b", 2, (1.0, 0.0)), variant("c", 4, (0.0, 0.0), pool="p")]
    assert reasons(service(*rows)) == {"a": "CannotServe", "c": "CannotServe"}
    assert reasons(service(*rows), "a") == {"c": "CannotServe"}
    assert reasons(service(rows[0], rows[2])) == {}


def test_sizes_that_no_one_asks_for_do_not_count() -> None:
    rows = service(variant("a", 1, (1.0, 9.0)), variant("b", 1, (2.0, 1.0)))
    only_first = replace(rows, demand=replace(rows.demand, shares=(1.0, 0.0)))
    assert reasons(only_first) == {"a": "Dominated"}
    assert reasons(replace(only_first, demand=replace(only_first.demand, rate_rps=0.0))) == {}


@pytest.mark.parametrize(
    "asks",
    [
        {"routing": RoutingMode.SERVICE},
        {"zone_spread": True},
        {"n_plus_one": True},
        {"spot_max_share": 0.5},
        {"max_replicas": 5},
    ],
    ids=str,
)
def test_by_copies_only_where_their_number_breaks_nothing(asks: dict[str, object]) -> None:
    rows = service(variant("tp1", 1, (3.0,)), variant("tp4", 4, (12.0,)), variant("tp4-fp8", 4, (13.0,)), rate=12.0)
    assert reasons(rows) == {"tp4": "Dominated"}
    assert reasons(replace(rows, max_replicas=8)) == {"tp4": "Dominated"}
    # One for one is right whatever is asked.
    assert reasons(replace(rows, **asks)) == {"tp4": "Dominated"}  # type: ignore[arg-type]
    alone = replace(rows, variants=rows.variants[:2])
    assert reasons(replace(alone, max_replicas=8)) == {"tp4": "Dominated"}
    assert reasons(replace(alone, **asks)) == {}  # type: ignore[arg-type]


def test_staffing_counts_where_the_router_sees_sizes() -> None:
    """More capacity for one size makes the other size's share of the safety margin larger: b is no better for it."""
    rows = [variant("a", 1, (1.0, 0.01)), variant("b", 1, (1.0, 1.0))]
    sized = replace(service(*rows, routing=RoutingMode.PER_BUCKET), staffing_beta=1.0)
    assert reasons(sized) == {}
    assert reasons(replace(sized, staffing_beta=0.0)) == {"a": "Dominated"}
    assert reasons(replace(sized, routing=RoutingMode.HTTP_ROUTE)) == {"a": "Dominated"}


@dataclass(frozen=True)
class Asked:
    """Pool "spot" is of spot GPUs in one zone, pool "firm" of others in another."""

    service: Service
    stock: int


def drawn(seed: int) -> Asked:
    """A few variants that scale with their GPUs or nearly so, and at most two of the wishes that pruning minds."""
    rng = random.Random(seed)  # noqa: S311 - a seeded generator is wanted
    buckets = rng.choice([1, 2])
    rows = tuple(
        Variant(
            name=f"v{index}",
            pool=rng.choice(["spot", "firm", "firm"]),
            gpu="g",
            gpus_per_replica=(size := rng.choice([1, 1, 2, 4])),
            cost_per_hour=size * rng.choice([1.0, 1.0, 1.2]),
            capacity_rps=tuple(size * rng.choice([0.0, 0.8, 1.0, 1.0, 1.0, 1.2]) for _ in range(buckets)),
            provenance=Provenance.GIVEN,
            min_replicas=rng.choice([0] * 7 + [1]),
            max_replicas=rng.choice([None, None, None, 1]),
        )
        for index in range(rng.choice([2, 3, 3]))
    )
    made = replace(
        service(*rows, rate=rng.choice([0.0, 0.4, 0.9, 1.0, 1.7, 2.0, 2.6, 3.0, 4.0])),
        routing=rng.choice([RoutingMode.HTTP_ROUTE, RoutingMode.SERVICE]),
        staffing_beta=rng.choice([0.0, 0.0, 0.5]),
    )
    wishes: tuple[dict[str, Any], ...] = (
        {},
        {"n_plus_one": True},
        {"zone_spread": True},
        {"spot_max_share": 0.5},
        {"max_replicas": rng.choice([1, 2, 3, 9])},
        {"min_replicas": 2},
        {"on_demand_min_replicas": 1},
    )
    asks = rng.choice(wishes) | rng.choice(wishes[:1] + wishes[4:5])
    return Asked(replace(made, **asks), stock=rng.choice([4, 6]))


def cheapest(case: Asked, variants: tuple[Variant, ...]) -> float:
    """Cost of the cheapest fleet that serves all, of every fleet there is; inf where there is none."""
    best = math.inf
    for fleet in itertools.product(*(range(case.stock // part.gpus_per_replica + 1) for part in variants)):
        cost = sum(count * part.cost_per_hour for count, part in zip(fleet, variants, strict=True))
        if cost < best and _allowed(case, variants, fleet) and _serves(case.service, variants, fleet):
            best = cost
    return best


def _allowed(case: Asked, variants: tuple[Variant, ...], fleet: tuple[int, ...]) -> bool:
    asks, total = case.service, sum(fleet)
    pairs = list(zip(fleet, variants, strict=True))
    by_pool = {pool: sum(count for count, part in pairs if part.pool == pool) for pool in ("spot", "firm")}
    gpus = {
        pool: sum(count * part.gpus_per_replica for count, part in pairs if part.pool == pool)
        for pool in ("spot", "firm")
    }
    return (
        max(gpus.values()) <= case.stock
        and asks.min_replicas <= total <= (99 if asks.max_replicas is None else asks.max_replicas)
        and all(part.min_replicas <= count for count, part in pairs)
        and all(part.max_replicas is None or count <= part.max_replicas for count, part in pairs)
        and by_pool["spot"] <= asks.spot_max_share * total
        and by_pool["firm"] >= asks.on_demand_min_replicas
        and (not asks.zone_spread or total < 2 or min(by_pool.values()) > 0)
    )


def _serves(asks: Service, variants: tuple[Variant, ...], fleet: tuple[int, ...]) -> bool:
    if asks.demand.rate_rps == 0:
        return True
    work = []
    for part in variants:
        each = [
            asks.demand.bucket_rate_rps(bucket) / capacity if capacity else math.inf
            for bucket, capacity in enumerate(part.capacity_rps)
        ]
        total = sum(each)
        work.append(total + asks.staffing_beta * math.sqrt(total))
    # What cannot serve all gets no requests: it may stand there for a minimum only.
    used = [index for index, count in enumerate(fleet) if count and math.isfinite(work[index])]
    if not used:
        return False
    if asks.routing is RoutingMode.SERVICE:
        if len(used) < sum(1 for count in fleet if count):
            return False
        return sum(fleet) - asks.n_plus_one >= max(work[index] for index in used) - 1e-9
    served = sum(fleet[index] / work[index] for index in used)
    spare = max(1 / work[index] for index in used) if asks.n_plus_one else 0.0
    return served - spare >= 1 - 1e-9


def test_the_cheapest_of_all_fleets_needs_none_that_is_left_out() -> None:
    dropped = 0
    for seed in range(1600):
        case = drawn(seed)
        found = prune(case.service, keep=())
        assert len(found.variants) + len(found.dropped) == len(case.service.variants)
        # A variant that serves nothing does not replace a minimum, however cheap it is.
        able = tuple(part for part in case.service.variants if any(part.capacity_rps) or part.min_replicas)
        best = cheapest(case, able or case.service.variants)
        assert cheapest(case, found.variants) <= best + 1e-9, f"seed {seed}: {case}"
        dropped += math.isfinite(best) and any(part.reason == "Dominated" for part in found.dropped)
    assert dropped > 200


def test_plans_that_see_sizes_cost_no_more_without_them() -> None:
    for seed in range(30):
        case = drawn(seed)
        whole = Service("s", case.service.demand, case.service.variants, RoutingMode.PER_BUCKET)
        pools = tuple(Pool(name, case.stock) for name in ("spot", "firm"))
        before = plan(Problem((whole,), pools))
        after = plan(Problem((replace(whole, variants=prune(whole, keep=()).variants),), pools))
        unmet = [sum(part.rate_rps for part in made.services[0].unserved) for made in (before, after)]
        assert unmet[1] <= unmet[0] + 1e-6, f"seed {seed}"
        if unmet[0] < 1e-6:
            assert after.cost_per_hour <= before.cost_per_hour + 1e-4, f"seed {seed}"
