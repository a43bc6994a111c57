"""The slice program in its counted form: the same optimum as in the paper's own form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.slices import slice_fleet
from tests.generator import small_service
from tests.perf.baselines.slice_ilp import cost_of, solve_slices


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("slice_factor", [1, 4])
def test_it_costs_what_the_paper_s_form_costs(seed: int, slice_factor: int) -> None:
    (service,) = small_service(seed).services
    service = replace(service, utilisation_limit=1.0)
    most = {variant.name: 1000 for variant in service.variants}
    counted = slice_fleet(service, most=most, slice_factor=slice_factor)
    paper = solve_slices(service, slice_factor=slice_factor, limit_cpu_seconds=10.0)
    assert counted is not None
    assert paper.proven
    assert cost_of(service, counted) == pytest.approx(paper.cost_per_hour, rel=1e-4)


def test_headroom_takes_more_replicas() -> None:
    (service,) = small_service(2).services
    service = replace(service, demand=replace(service.demand, rate_rps=100.0))
    most = {variant.name: 1000 for variant in service.variants}
    full, half = (slice_fleet(replace(service, utilisation_limit=limit), most=most) for limit in (1.0, 0.5))
    assert full is not None
    assert half is not None
    assert cost_of(service, half) > cost_of(service, full)


def test_too_few_replicas_have_no_solution() -> None:
    (service,) = small_service(2).services
    assert slice_fleet(service, most={variant.name: 0 for variant in service.variants}) is None
