"""The price of work: classes, what cannot be compared, and that no reason contradicts the figures beside it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from medley_planner.explain import explain
from medley_planner.model import (
    Bucket,
    Demand,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.omitted import OmittedReason
from medley_planner.optimize import plan
from medley_planner.optimize.answer.work_cost import WorkCosts, exceeds, work_of_rates

_SIZES = (Bucket(100, 100), Bucket(1000, 200), Bucket(16000, 400))


def _variant(name: str, cost: float, *capacity: float) -> Variant:
    return Variant(name, name, name, 1, cost, capacity, Provenance.GIVEN)


def _service(*variants: Variant, rate: float = 10.0, routing: RoutingMode = RoutingMode.PER_BUCKET) -> Service:
    return Service("chat", Demand(rate, _SIZES, (0.5, 0.3, 0.2), SizeSource.STATIC), variants, routing)


def _costs(service: Service, used: list[int], classes: list[list[int]], rates: list[float]) -> WorkCosts:
    return WorkCosts(service, used, *work_of_rates(service, classes, rates))


def test_each_class_is_compared_with_the_cheapest_in_use() -> None:
    service = _service(
        _variant("a", 1.0, 5.0, 1.0, 0.0), _variant("b", 4.0, 4.0, 6.0, 2.0), _variant("c", 3.0, 6.0, 3.0, 0.0)
    )
    found = _costs(service, [0, 1], [[0], [1], [2]], [5.0, 3.0, 2.0])
    # c serves the first two classes: 5/6 + 3/3 replicas at $3; there a takes 1 replica, b half a one.
    other = found.of(2)
    assert other is not None
    assert (other.share, other.own_per_hour, other.cheapest_per_hour) == pytest.approx((0.8, 5.5, 3.0))
    assert found.rivals(2) == ("a", "b")
    assert other.dearer
    # What is in use costs as much as the cheapest in use, or more.
    used = found.of(1)
    assert used is not None
    assert used.ratio == pytest.approx((5.0 + 2.0 + 4.0) / (1.0 + 2.0 + 4.0))


def test_a_class_is_served_whole_or_not_at_all() -> None:
    service = _service(
        _variant("a", 1.0, 5.0, 1.0, 1.0), _variant("b", 1.0, 9.0, 9.0, 0.0), routing=RoutingMode.HTTP_ROUTE
    )
    assert _costs(service, [0], [[0, 1, 2]], [5.0, 3.0, 2.0]).of(1) is None


def test_without_use_or_load_there_is_nothing_to_compare() -> None:
    service = _service(_variant("a", 1.0, 5.0, 1.0, 1.0))
    assert _costs(service, [], [[0, 1, 2]], [5.0, 3.0, 2.0]).of(0) is None
    assert _costs(service, [0], [], [0.0, 0.0, 0.0]).of(0) is None
    assert _costs(service, [0], [[0, 1, 2]], [0.0, 0.0, 0.0]).of(0) is None


def test_dust_does_not_exceed() -> None:
    assert not exceeds(0.1 + 0.2, 0.3)
    assert exceeds(0.31, 0.3)


@pytest.mark.parametrize("routing", RoutingMode)
def test_no_reason_contradicts_its_figures(routing: RoutingMode) -> None:
    seen = set()
    for seed in range(12):
        draw = random.Random(seed)  # noqa: S311 - cases, not secrets
        variants = tuple(
            _variant(
                f"v{index}", draw.choice((1.0, 1.5, 3.0, 6.0)), *(draw.choice((2.0, 4.0, 9.0, 20.0)) for _ in _SIZES)
            )
            for index in range(5)
        )
        service = _service(*variants, rate=draw.choice((0.5, 3.0, 40.0)), routing=routing)
        asked = replace(service, staffing_beta=0.5 * (seed % 2))
        problem = Problem(
            (asked,),
            tuple(Pool(variant.pool) for variant in variants),
        )
        made = plan(problem)
        told = explain(problem, made, seconds=1.0).services[0]
        alone = {fleet.variant: fleet.cost_per_hour for fleet in told.singles}
        for one in told.unused:
            reason, ratio, cost = one.omitted.reason, one.price_ratio, alone[one.omitted.variant]
            seen.add(reason)
            if reason is OmittedReason.DEARER:
                assert ratio is not None
                assert ratio > 1
            if reason is OmittedReason.TOO_LARGE:
                assert ratio is not None
                assert ratio <= 1 + 1e-9
                assert cost is not None
                assert cost > made.cost_per_hour
    assert {OmittedReason.DEARER, OmittedReason.TOO_LARGE} <= seen
