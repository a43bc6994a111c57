"""Figures in statuses that follow from a plan."""

from __future__ import annotations

from dataclasses import replace

from medley_operator.domain.report.status import fleet_lower_bound, service_lower_bound
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import planned


def test_the_bound_is_one_on_cost_with_starts_charged() -> None:
    """The planner's bound is on cost and switching cost together: what is shown beside a cost must not exceed it."""
    good = planned(make.snapshot(make.service()))
    service = replace(good.services[0], cost_per_hour=10.0, switching_cost_per_hour=0.5)
    fleet = replace(
        good, services=(service,), cost_per_hour=10.0, switching_cost_per_hour=0.5, lower_bound_per_hour=10.5
    )
    assert service_lower_bound(service, fleet) == 10.0
    assert fleet_lower_bound(fleet) == 10.0
    loose = replace(fleet, lower_bound_per_hour=10.25)
    assert service_lower_bound(service, loose) == fleet_lower_bound(loose) == 9.75
