"""Traces that were once misread: rate and requests are those that the trace's own publication gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medley_planner.cli.trace_file import read_requests

_CASES = Path(os.environ.get("MEDLEY_SHARED_CASES", Path(__file__).resolve().parents[2].parent / "shared" / "cases"))

pytestmark = pytest.mark.skipif(
    not (_CASES / "06-burstgpt").exists(), reason=f"{_CASES} is not there; set MEDLEY_SHARED_CASES to its folder"
)


@pytest.mark.parametrize(
    ("case", "rate_rps", "failed"),
    [
        ("01-bailian-seconds/trace.jsonl", 2.03, 0),
        ("06-burstgpt/burstgpt.csv", 0.0265, 1),
        ("06-burstgpt/renamed.csv", 0.0265, 1),
        ("06-burstgpt/renamed-without-fail.csv", 0.0265, 0),
        ("07-azure-2024/azure2023.csv", 0.464, 0),
        ("07-azure-2024/azure2024.csv", 3.31, 0),
        ("07-azure-2024/dst-end.csv", 2.5, 0),
    ],
)
def test_a_trace_has_its_rate(case: str, rate_rps: float, failed: int) -> None:
    found = read_requests(_CASES / case)
    rate = len(found.trace) / found.trace.arrival_seconds[-1]
    assert (rate, found.failed) == (pytest.approx(rate_rps, rel=0.01), failed)
