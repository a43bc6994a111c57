"""Problems small enough to plan by hand: one size of request, whole requests per second, round prices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_planner.model import (
    Bucket,
    Demand,
    Plan,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.optimize import plan, verify

SIZES = (Bucket(100, 50), Bucket(1000, 200))


def about(value: float) -> Any:
    """The number within the dust of sums; typed as anything, so that it may stand inside of tuples."""
    return pytest.approx(value)


def variant(
    name: str, cost: float, *capacity: float, pool: str = "", gpus: int = 1, most: int | None = None
) -> Variant:
    return Variant(name, pool or name, name, gpus, cost, capacity, Provenance.GIVEN, max_replicas=most)


def service(
    *variants: Variant,
    rate: float,
    shares: tuple[float, ...] = (1.0,),
    routing: RoutingMode = RoutingMode.HTTP_ROUTE,
    name: str = "chat",
) -> Service:
    return Service(name, Demand(rate, SIZES[: len(shares)], shares, SizeSource.STATIC), variants, routing)


def problem(*services: Service, **stock: int) -> Problem:
    pools = dict.fromkeys(entry.pool for one in services for entry in one.variants)
    return Problem(services, tuple(Pool(name, stock.get(name)) for name in pools))


def unpriced(made: Plan) -> Plan:
    """The plan without its own prices of limits, so that they are found by planning again."""
    return replace(made, limits=())


def planned(asked: Problem) -> Plan:
    made = plan(asked)
    assert verify(asked, made) == ()
    return made
