"""The processes of power start fast and stay small: they load no arrays, no solver and no kopf, and few modules."""

from __future__ import annotations

import subprocess
import sys

import pytest

UNWANTED = ("numpy", "ortools", "kopf", "medley_planner.optimize", "medley_planner.variants", "medley_planner.workload")
# The command first, whose settings are refused: it loads what reads the command line.
CODE = """
import sys
from medley_operator.cli.main import main
assert main(sys.argv[2:]) == 2
__import__(sys.argv[1])
print(*sys.modules)
"""


@pytest.mark.parametrize(
    ("module", "command", "most"),
    [
        ("medley_operator.power.controller.app", ("power", "controller"), 190),
        ("medley_operator.power.agent.run", ("agent",), 160),
    ],
)
def test_a_process_of_power_loads_little(module: str, command: tuple[str, ...], most: int) -> None:
    words = [sys.executable, "-c", CODE, module, *command]
    loaded = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert module in loaded
    assert [name for name in UNWANTED if name in loaded] == []
    own = [name for name in loaded if name.partition(".")[0] in ("medley_operator", "medley_planner")]
    assert len(own) <= most, sorted(own)
