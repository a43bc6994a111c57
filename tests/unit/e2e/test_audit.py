"""The audit of versions: a fault, no fault and no answer are told apart."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.audit import judged
from medley_planner.exit_status import ExitStatus

WELL = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNREACHED = {"name": "absl-py", "skip_reason": "Dependency not found on PyPI and could not be audited: absl-py (2.5.1)"}
BAD = {"name": "aiohttp", "version": "3.0", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["3.1"]}]}


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ([WELL], ExitStatus.OK, "1 of 1 versions of requirements-runtime.lock were checked, 0 faults are known"),
        ([WELL, BAD, UNREACHED], ExitStatus.FAILED, "aiohttp 3.0: CVE-2026-1, mended in 3.1"),
        ([UNREACHED] * 5, ExitStatus.NOT_ALL, "0 of 5 versions"),
        ([UNREACHED] * 5, ExitStatus.NOT_ALL, "and 2 more"),
        ([UNREACHED], ExitStatus.NOT_ALL, "https://pypi.org"),
        ([], ExitStatus.NOT_ALL, "0 of 0"),
    ],
)
def test_a_fault_and_no_answer_are_told_apart(answers: list[dict[str, Any]], status: ExitStatus, said: str) -> None:
    found, text = judged(answers)
    assert found == status
    assert said in text
