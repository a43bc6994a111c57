"""What requests attained and which sizes they have, as gauges, against figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from medley_operator.domain.report.load_gauges import SEEN_GAUGES, SeenService, seen_gauges, together
from medley_operator.domain.values.candidates import DemandChoice, Disposition, LoadSource, ServiceCandidate
from medley_operator.domain.values.margins import Buckets, LatencyCounts
from medley_operator.domain.values.snapshot import MetricsReason
from medley_planner.model import Bucket, Demand, SizeSource
from tests.unit.operator import factories as make

TTFT: Buckets = ((0.5, 60.0), (1.0, 90.0), (2.0, 100.0), (math.inf, 100.0))
TPOT: Buckets = ((0.025, 80.0), (0.05, 98.0), (0.1, 100.0), (math.inf, 100.0))


def seen(
    *latencies: LatencyCounts, sizes: tuple[tuple[float, float, float], ...] = (), rate_rps: float = 10.0
) -> dict[tuple[str, ...], float | None]:
    """Values by (name without medley_service_, labels after the service's); `sizes`: prompt, generation, share."""
    slo = {"ttft": "1s", "tpot": "50ms", "percentile": 90}
    buckets = tuple(Bucket(prompt_tokens=prompt, generation_tokens=generation) for prompt, generation, _ in sizes)
    demand = Demand(rate_rps, buckets, tuple(share for _, _, share in sizes), SizeSource.STATIC)
    choice = DemandChoice(demand, LoadSource.STATIC, False, False, MetricsReason.STATIC, "") if sizes else None
    candidate = ServiceCandidate(make.service(spec={"slo": slo}), Disposition.PLANNED, choice=choice)
    service = SeenService(candidate, {f"v{at}": counts for at, counts in enumerate(latencies)})
    return {(each.name.removeprefix("medley_service_"), *each.labels[2:]): each.value for each in seen_gauges(service)}


def test_targets_stand_without_any_request() -> None:
    found = seen()
    assert found == {
        ("ttft_target_seconds",): 1.0,
        ("tpot_target_seconds",): 0.05,
        ("target_ratio",): 0.9,
    }


def test_the_target_s_share_of_requests_is_shown() -> None:
    found = seen(LatencyCounts(TTFT, TPOT))
    assert found["ttft_seconds",] == 1.0
    # 90 of 100: ten of the eighteen between 25 and 50 ms.
    assert found["tpot_seconds",] == pytest.approx(0.025 + 0.025 * 10 / 18)
    assert found["attained_ratio",] == 0.9


def test_variants_count_by_their_requests() -> None:
    slow = LatencyCounts(tuple((edge, 300.0 * (edge > 1.0)) for edge, _ in TTFT), TPOT)
    found = seen(LatencyCounts(TTFT, TPOT), slow)
    # 90 of 100, and none of 300.
    assert found["attained_ratio",] == 90 / 400
    assert found["ttft_seconds",] == pytest.approx(1.0 + (0.9 * 400 - 90) / 310)


def test_histograms_with_other_edges_have_no_common_quantile() -> None:
    assert together([TTFT, TPOT]) == ()
    assert together([(), TTFT]) == TTFT
    found = seen(LatencyCounts(TTFT, TPOT), LatencyCounts(TPOT, TPOT))
    assert ("ttft_seconds",) not in found
    assert ("tpot_seconds",) in found
    assert ("attained_ratio",) in found


def test_sizes_are_rates_by_class() -> None:
    sizes = ((100, 64, 0.5), (256, 10, 0.2), (257, 65, 0.295), (90000, 5000, 0.005))
    found = {key[1:]: value for key, value in seen(sizes=sizes).items() if key[0] == "size_request_rate"}
    assert found == {("256", "64"): pytest.approx(7.0), ("1024", "256"): pytest.approx(2.95)}


def test_without_load_there_are_no_sizes() -> None:
    assert not [key for key in seen(sizes=((100, 64, 1.0),), rate_rps=0.0) if key[0] == "size_request_rate"]


def test_every_gauge_has_the_service_s_labels() -> None:
    assert {family.labels[:2] for family in SEEN_GAUGES} == {("namespace", "service")}
