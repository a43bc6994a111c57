"""The sizes of a trace as demands: one of all of it, and one for each part of it in the same cells."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.check import demand_of_trace, demands_of_trace
from medley_planner.engine import Trace

LONGEST = 4096


def trace() -> Trace:
    draw = np.random.default_rng(7)
    arrivals = np.sort(draw.uniform(0.0, 600.0, 400))
    return Trace.of(arrivals, draw.integers(1, 3000, 400), draw.integers(1, 500, 400))


def test_parts_have_the_cells_of_the_whole_and_add_up_to_it() -> None:
    edges = (0.0, 100.0, 350.0, 600.0)
    parts = demands_of_trace(trace(), edges, max_model_len=LONGEST)
    whole = demand_of_trace(trace(), 400 / 600.0, max_model_len=LONGEST)
    assert all(part.buckets == whole.buckets for part in parts)
    for bucket in range(len(whole.buckets)):
        requests = sum(
            part.bucket_rate_rps(bucket) * (end - start)
            for part, start, end in zip(parts, edges, edges[1:], strict=False)
        )
        assert requests == pytest.approx(whole.bucket_rate_rps(bucket) * 600.0)


def test_a_part_without_requests_has_no_rate_and_the_sizes_of_the_whole() -> None:
    empty, whole = demands_of_trace(trace(), (-50.0, 0.0, 600.0), max_model_len=LONGEST)
    assert empty.rate_rps == 0.0
    assert whole.rate_rps == pytest.approx(400 / 600.0)
    assert empty.shares == whole.shares
