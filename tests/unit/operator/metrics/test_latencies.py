"""Latency histograms of a service, by variant."""

from __future__ import annotations

import math

from medley_operator.metrics.by_service import SizeFigures
from medley_operator.metrics.latencies import latencies_by_variant
from tests.unit.operator.metrics.fake_prometheus import FakePrometheus, size_elements
from tests.unit.operator.metrics.test_observe import observe

FIRST = {"0.5": 60.0, "1.0": 90.0, "+Inf": 100.0}
LATER = {"0.05": 80.0, "+Inf": 100.0}


async def test_a_round_reads_them_by_variant() -> None:
    fake = FakePrometheus(ttft=size_elements(FIRST, 40.0), tpot=size_elements(LATER, 4.0))
    (found,) = (await observe(fake)).latencies.items()
    assert found[0] == "l4"
    assert found[1].ttft == ((0.5, 60.0), (1.0, 90.0), (math.inf, 100.0))
    assert found[1].tpot == ((0.05, 80.0), (math.inf, 100.0))


def test_replica_sets_of_a_variant_count_together_and_nonsense_counts_as_none() -> None:
    two = SizeFigures({("a", "1"): FIRST, ("a", "2"): FIRST}, {("a", "1"): 1.0, ("a", "2"): 1.0})
    broken = SizeFigures({("a", "1"): {"0.05": math.nan, "+Inf": 5.0}}, {("a", "1"): 1.0})
    found = latencies_by_variant(two, broken)["a"]
    assert found.ttft == ((0.5, 120.0), (1.0, 180.0), (math.inf, 200.0))
    assert found.tpot == ()
