"""The load generator: rates and sizes as asked for, the same for the same seed."""

from __future__ import annotations

import statistics
from itertools import pairwise
from random import Random

import pytest

from e2e.fleet.load import Arrivals, Workload


def drawn(workload: Workload, *, seed: int = 1, seconds: float = 1000) -> list[tuple[float, int, int]]:
    arrivals = Arrivals(workload, random=Random(seed), start=0)  # noqa: S311
    return [(r.arrival, r.prompt_tokens, r.generation_tokens) for r in arrivals.until(seconds)]


def test_rate_means_and_variation_are_as_asked_for() -> None:
    found = drawn(Workload(20, 800, 150, prompt_cv=1.0, generation_cv=0.5))
    gaps = [after[0] - before[0] for before, after in pairwise(found)]
    assert len(found) == pytest.approx(20_000, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.05)  # as Poisson arrivals have
    for column, mean, variation in ((1, 800, 1.0), (2, 150, 0.5)):
        sizes = [entry[column] for entry in found]
        assert statistics.mean(sizes) == pytest.approx(mean, rel=0.03)
        assert statistics.stdev(sizes) / statistics.mean(sizes) == pytest.approx(variation, rel=0.1)


def test_the_seed_decides() -> None:
    load = Workload(20, 800, 150)
    assert drawn(load) == drawn(load)
    assert drawn(load) != drawn(load, seed=2)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rate_rps", -1), ("rate_rps", float("nan")), ("prompt_tokens_mean", 0), ("generation_cv", -0.1)],
)
def test_impossible_loads_are_refused_by_field(field: str, value: float) -> None:
    values = {"rate_rps": 1.0, "prompt_tokens_mean": 10.0, "generation_tokens_mean": 10.0, field: value}
    with pytest.raises(ValueError, match=field):
        Workload(**values)
