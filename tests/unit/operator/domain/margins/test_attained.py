"""The share within both targets, bounded from two histograms, against requests whose latencies are known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.domain.margins.attained import evidence, hardly_kept, quantile_seconds, surely_kept
from medley_operator.domain.values.margins import NO_EVIDENCE, Buckets, Evidence, LatencyCounts

EDGES = (0.1, 0.5, 1.0, 2.5, 5.0, math.inf)
SECONDS = st.floats(0.01, 8.0)


def histogram(values: list[float]) -> Buckets:
    return tuple((edge, float(sum(value <= edge for value in values))) for edge in EDGES)


@given(
    requests=st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=60),
    ttft=st.floats(0.05, 6.0),
    tpot=st.floats(0.05, 6.0),
)
def test_what_was_surely_kept_was_kept(requests: list[tuple[float, float]], ttft: float, tpot: float) -> None:
    counts = LatencyCounts(*(histogram([each[side] for each in requests]) for side in (0, 1)))
    seen = evidence(counts, ttft_seconds=ttft, tpot_seconds=tpot)
    kept = sum(first <= ttft and later <= tpot for first, later in requests)
    assert seen.requests == len(requests)
    assert seen.least_kept <= kept + 1e-9
    assert seen.least_kept <= seen.likely_kept + 1e-9 <= len(requests) + 1e-6


@given(
    requests=st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=60),
    ttft=st.sampled_from(EDGES[:-1]),
    tpot=st.sampled_from(EDGES[:-1]),
)
def test_with_targets_on_edges_both_bounds_hold(requests: list[tuple[float, float]], ttft: float, tpot: float) -> None:
    counts = LatencyCounts(*(histogram([each[side] for each in requests]) for side in (0, 1)))
    seen = evidence(counts, ttft_seconds=ttft, tpot_seconds=tpot)
    kept = sum(first <= ttft and later <= tpot for first, later in requests)
    assert seen.least_kept - 1e-9 <= kept <= seen.likely_kept + 1e-9


def test_a_target_between_edges_is_read_with_them() -> None:
    ttft = ((1.0, 80.0), (2.0, 100.0), (math.inf, 100.0))
    seen = evidence(LatencyCounts(ttft, ((0.1, 100.0), (math.inf, 100.0))), ttft_seconds=1.5, tpot_seconds=0.1)
    assert (seen.least_kept, seen.likely_kept) == pytest.approx((80.0, 90.0))


@pytest.mark.parametrize(
    "ttft",
    [(), ((1.0, 0.0), (math.inf, 0.0)), ((1.0, 5.0), (math.inf, 3.0)), ((1.0, math.nan), (math.inf, 3.0))],
)
def test_a_histogram_that_makes_no_sense_is_no_evidence(ttft: Buckets) -> None:
    assert evidence(LatencyCounts(ttft, ()), ttft_seconds=1.0, tpot_seconds=0.1) == NO_EVIDENCE


@given(share=st.floats(0.0, 1.0), requests=st.floats(4.0, 1e6))
def test_confidence_bounds_hold_the_share_and_narrow_with_requests(share: float, requests: float) -> None:
    seen = Evidence(requests, share * requests, share * requests)
    more = Evidence(100.0 * requests, 100.0 * share * requests, 100.0 * share * requests)
    assert surely_kept(seen) - 1e-9 <= share <= hardly_kept(seen) + 1e-9
    assert hardly_kept(more) - surely_kept(more) <= hardly_kept(seen) - surely_kept(seen) + 1e-9


def test_nothing_seen_says_nothing() -> None:
    assert (surely_kept(NO_EVIDENCE), hardly_kept(NO_EVIDENCE)) == (0.0, 1.0)


def test_quantiles_lie_evenly_between_edges() -> None:
    buckets = ((1.0, 50.0), (2.0, 100.0), (math.inf, 100.0))
    assert quantile_seconds(buckets, 0.75) == pytest.approx(1.5)
    assert quantile_seconds(((1.0, 50.0), (math.inf, 100.0)), 0.9) == 1.0
    assert quantile_seconds((), 0.9) is None
