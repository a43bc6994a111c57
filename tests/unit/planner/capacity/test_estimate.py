"""An estimate as a whole: memory, rate, watts and the band of its error."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.capacity.estimate import estimate
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape
from tests.unit.planner.capacity.test_latency import ASKED, LLAMA


def test_band_memory_and_watts() -> None:
    answer = estimate(replace(ASKED, tpot_target_seconds=0.03))
    assert answer.band == 0.15
    assert answer.fit.kv_tokens * LLAMA.kv_bytes_per_token() / 1e9 == pytest.approx(answer.free_gb, rel=0.001)
    assert 0.12 * 700 < answer.watts < 700
    assert answer.max_rate_rps is not None
    assert answer.max_rate_rps > 4
    assert estimate(replace(ASKED, layout=Layout(gpu("B200")))).band == 0.15
    assert estimate(replace(ASKED, layout=Layout(gpu("MI300X")))).band == 0.40
    assert estimate(replace(ASKED, layout=Layout(gpu("L40S"), tensor_parallel=2))).band == 0.26
    assert estimate(replace(ASKED, shape=bundled_shape("openai/gpt-oss-20b"), layout=Layout(gpu("B200")))).band == 0.20
