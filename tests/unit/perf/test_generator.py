"""The drawn fleets have what was asked for, and can serve all of their demand."""

from __future__ import annotations

import math

import pytest

from medley_planner.model import Service
from medley_planner.optimize import plan
from tests.generator import POOLS, SPOT_POOLS, Extras, changed, day, eight_pools, fleet, running, thirty_variants
from tests.generator.limits import replicas_alone

_ALL = Extras(tensor_parallel_degrees=3, spot=True, node_gpus=8, power_fraction=0.8, current=True)


@pytest.mark.parametrize("extras", [Extras(), _ALL])
def test_equal_arguments_give_equal_fleets(extras: Extras) -> None:
    assert fleet(7, seed=3, stock_fraction=0.7, extras=extras) == fleet(7, seed=3, stock_fraction=0.7, extras=extras)


def test_extras_leave_the_demand_as_it_is() -> None:
    plain, full = fleet(20, seed=3), fleet(20, seed=3, extras=_ALL)
    assert [service.demand for service in plain.services] == [service.demand for service in full.services]


def test_a_full_fleet_has_degrees_spot_nodes_power_and_replicas() -> None:
    problem = fleet(30, seed=1, stock_fraction=0.7, extras=_ALL)
    assert {pool.name for pool in problem.pools if pool.spot} == {"h100-spot", *SPOT_POOLS}
    assert len(problem.pools) == len(POOLS) + len(SPOT_POOLS)
    for pool in problem.pools:
        assert pool.node_gpus is not None
        assert sum(pool.node_gpus) == pool.stock_gpus
        assert set(pool.node_gpus[:-1]) <= {8}
    for service in problem.services:
        degrees = [variant.gpus_per_replica for variant in service.variants if variant.pool == "l4"]
        assert degrees == sorted(set(degrees))
        assert len(service.variants) > len(problem.pools)
        assert sum(variant.current_replicas for variant in service.variants) >= 1
        assert all(variant.startup_seconds == 300.0 and variant.watts > 0 for variant in service.variants)


@pytest.mark.parametrize("extras", [Extras(power_fraction=0.8), _ALL])
@pytest.mark.parametrize("seed", range(5))
def test_power_is_short_where_it_is_meant_to_be_and_nowhere_else(seed: int, extras: Extras) -> None:
    problem = fleet(30, seed=seed, stock_fraction=0.7, extras=extras)
    hall, *racks = problem.power_domains
    assert [rack.parent for rack in racks] == [hall.name, hall.name, None]
    assert 0 < hall.budget_watts < racks[0].budget_watts + racks[1].budget_watts
    # Without a shortage: pools on the third rack with enough for all services that may use them, at whichever degree.
    free = {
        pool.name
        for pool in problem.pools
        if pool.power_domain == racks[2].name
        and (pool.stock_gpus or 0) >= sum(_most_gpus(service, pool.name) for service in problem.services)
    }
    for service in problem.services:
        assert any(variant.pool in free and not variant.pool.endswith("-spot") for variant in service.variants)


def _most_gpus(service: Service, pool: str) -> int:
    """GPUs of the pool that serve all of the service, at the degree that takes most."""
    takes = (
        math.ceil(replicas_alone(service, variant)) * variant.gpus_per_replica
        for variant in service.variants
        if variant.pool == pool
    )
    return max(takes, default=0)


def test_a_plan_without_regard_to_power_would_draw_too_much() -> None:
    problem = fleet(10, seed=1, stock_fraction=0.7, extras=Extras(power_fraction=0.8))
    unlimited = fleet(10, seed=1, stock_fraction=0.7)
    short = {pool.name for pool in problem.pools if pool.power_domain in ("rack-0", "rack-1")}
    drawn = sum(
        variant.watts * planned.replicas
        for service, made in zip(problem.services, plan(unlimited).services, strict=True)
        for variant, planned in zip(service.variants, made.variants, strict=True)
        if variant.pool in short
    )
    assert drawn > problem.power_domains[0].budget_watts


def test_running_sets_what_the_plan_holds() -> None:
    problem = fleet(3, seed=2)
    made = plan(problem)
    after = running(changed(problem, seed=1), made)
    for service, planned in zip(after.services, made.services, strict=True):
        assert {variant.name: variant.current_replicas for variant in service.variants} == planned.replicas()


def test_a_day_has_its_curve_and_its_noise() -> None:
    problem = eight_pools(1)
    steps = [step.services[0].demand for step in day(problem, seed=1, steps=48, trough=0.5)]
    high = problem.services[0].demand.rate_rps
    assert len(steps) == 48
    assert steps[0].rate_rps == pytest.approx(0.5 * high, rel=0.05)
    assert steps[24].rate_rps == pytest.approx(high, rel=0.05)
    for before, after in zip(problem.services[0].demand.shares, steps[24].shares, strict=True):
        assert 0.85 <= after / before <= 1.15
    assert steps[3].shares != steps[4].shares


def test_single_services_have_the_size_that_their_name_says() -> None:
    for problem, variants in ((eight_pools(2), 8), (thirty_variants(2), 30)):
        (service,) = problem.services
        assert len(service.variants) == variants
        assert len(service.demand.shares) == 60
        assert all(share > 0 for share in service.demand.shares)
