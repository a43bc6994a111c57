"""The hit rate that is planned with: never more than measured, capped, and nothing on little evidence."""

from __future__ import annotations

import pytest

from medley_planner.workload.held_tokens import Moments
from medley_planner.workload.prefix import MAX_HIT_RATE, sure_hit_rate

ALIKE = Moments(1000.0, 1000.0**2)
SPREAD = Moments(1000.0, 5 * 1000.0**2)


@pytest.mark.parametrize(
    ("hits", "queries", "requests", "prompt", "rate"),
    [
        (400.0, 1000.0, 1e6, ALIKE, 0.35),
        (400.0, 1000.0, 1000.0, ALIKE, 0.35),
        (400.0, 1000.0, 1000.0, SPREAD, 0.30),
        (400.0, 1000.0, 199.0, ALIKE, 0.0),
        (1000.0, 1000.0, 1e6, ALIKE, MAX_HIT_RATE),
        (1200.0, 1000.0, 1e6, ALIKE, MAX_HIT_RATE),
        (0.0, 1000.0, 1e6, ALIKE, 0.0),
        (0.0, 0.0, 1e6, ALIKE, 0.0),
        (20.0, 1000.0, 200.0, SPREAD, 0.0),
    ],
)
def test_sure_hit_rate(hits: float, queries: float, requests: float, prompt: Moments, rate: float) -> None:
    assert sure_hit_rate(hits=hits, queries=queries, requests=requests, prompt=prompt) == pytest.approx(rate)
