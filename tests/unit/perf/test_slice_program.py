"""What the slice program says when it cannot say the optimum."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.generator import eight_pools, small_service
from tests.perf.baselines.slice_ilp import solve_slices


def test_a_run_that_ran_out_of_time_is_not_called_proven() -> None:
    """CBC has not proven this program after thirty times as long."""
    answer = solve_slices(eight_pools(12).services[0], slice_factor=8, limit_cpu_seconds=0.5)
    assert not answer.proven
    assert answer.solver_cpu_seconds < answer.cpu_seconds < 10.0


def test_a_size_that_no_variant_can_serve_is_named() -> None:
    (service,) = small_service(1).services
    blind = tuple(replace(one, capacity_rps=(0.0, *one.capacity_rps[1:])) for one in service.variants)
    with pytest.raises(ValueError, match="small-1: bucket 0 can be served by no variant"):
        solve_slices(replace(service, variants=blind), slice_factor=1, limit_cpu_seconds=1.0)
