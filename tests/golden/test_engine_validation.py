"""The simulator against a real engine: vLLM 0.19, Llama-3.1-8B on an RTX PRO 6000, 300 requests; nothing is fitted."""

from __future__ import annotations

import pytest

from tests.perf.engine_validation import DATA, validate

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there; set MEDLEY_SHARED_DATA to its folder")


def test_mean_latencies_of_a_measured_run_are_met() -> None:
    compared = validate()
    assert compared.requests == 300
    # Steps take 4 % longer than simulated, and the queue, which is long in this run, 10 %.
    assert compared.tpot_error == pytest.approx(0.0, abs=0.05)
    assert compared.ttft_error == pytest.approx(0.0, abs=0.12)
