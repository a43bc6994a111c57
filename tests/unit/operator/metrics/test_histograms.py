"""Adding histograms of pods whose engines have different edges."""

from __future__ import annotations

import math

import pytest

from medley_operator.metrics.errors import InvalidMetricsError
from medley_operator.metrics.histograms import merge

SHORT = {10.0: 4.0, 20.0: 8.0, math.inf: 10.0}
"""An engine of at most some 30 tokens: two requests lie above its last edge."""
LONG = {10.0: 1.0, 20.0: 1.0, 50.0: 5.0, 100.0: 6.0, math.inf: 6.0}


def test_equal_edges_add_up() -> None:
    merged = merge([SHORT, SHORT], total_tokens=200, series="s")
    assert merged.buckets == ((10.0, 8.0), (20.0, 16.0), (math.inf, 20.0))
    assert merged.total_tokens == 200


def test_shorter_edges_count_whole_above_their_last() -> None:
    merged = merge([SHORT, LONG], total_tokens=1, series="s")
    assert merged.buckets == ((10.0, 5.0), (20.0, 9.0), (50.0, 15.0), (100.0, 16.0), (math.inf, 16.0))


def test_an_edge_within_a_coarser_bucket_is_read_off_the_line() -> None:
    merged = merge([{40.0: 8.0, math.inf: 8.0}, {10.0: 0.0, 40.0: 2.0, math.inf: 2.0}], total_tokens=1, series="s")
    assert merged.buckets[0] == (10.0, 2.0)


def test_float_noise_is_evened_out() -> None:
    merged = merge([{10.0: 3.0, 20.0: 3.0 - 1e-9, math.inf: 3.0}], total_tokens=1, series="s")
    assert merged.buckets[1] == (20.0, 3.0)


def test_decrease_names_the_edge_and_the_way_out() -> None:
    with pytest.raises(InvalidMetricsError, match=r'the series decreases from 4 to 2 at le="20".*pod-template-hash'):
        merge([{10.0: 4.0, 20.0: 2.0, math.inf: 5.0}], total_tokens=1, series="the series")
