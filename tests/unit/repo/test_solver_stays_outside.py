"""The operator's process never loads the solver: it crashes or stalls in a separate process."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["medley_operator.app", "medley_operator.domain.prepare"])
def test_the_operator_loads_no_solver(module: str) -> None:
    unwanted = ("ortools", "medley_planner.optimize", "medley_planner.planning")
    code = f"import sys, {module}; sys.exit(str([m for m in {unwanted!r} if m in sys.modules]).strip('[]') or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
