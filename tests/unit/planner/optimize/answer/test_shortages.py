"""What a plan says of the demand that it leaves out."""

from __future__ import annotations

import pytest

from medley_planner.model import Pool, Priority, Problem
from medley_planner.optimize import plan
from tests.unit.planner.optimize.small import service, variant


def test_a_few_services_are_proven_to_leave_out_the_least() -> None:
    gpu = variant("gpu", 1.0, 1.0)
    services = (
        service(3.0, gpu, name="high", priority=Priority.HIGH),
        service(3.0, gpu, name="low", priority=Priority.LOW),
    )
    found = plan(Problem(services, (Pool("gpu", stock_gpus=4),)))
    (one,) = found.shortages
    assert one.priority is Priority.LOW
    assert one.unserved_rps == one.least_rps == pytest.approx(2.0)


def test_many_services_say_how_little_any_plan_could_leave_out() -> None:
    """Ten services of 1.5 req/s on 12 GPUs of 1 req/s: two serve all of theirs, eight lack a third."""
    gpu = variant("gpu", 1.0, 1.0)
    services = tuple(service(1.5, gpu, name=f"s{index}") for index in range(10))
    found = plan(Problem(services, (Pool("gpu", stock_gpus=12),)))
    (one,) = found.shortages
    assert one.unserved_rps == pytest.approx(4.0, rel=1e-6)
    assert one.least_rps == pytest.approx(3.0, abs=1e-2)


def test_nothing_is_said_where_all_is_served() -> None:
    assert plan(Problem((service(1.0, variant("gpu", 1.0, 1.0)),), (Pool("gpu"),))).shortages == ()
