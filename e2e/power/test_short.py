"""The short form of the cases of power: both thresholds, and a meter that jumps. `make e2e-power` plays all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.power.cases import SHORT, Case
from e2e.power.world import PowerWorld
from medley_planner.power import CHANGE_SECONDS
from tests.nvml.registers import NoCompilerError

pytestmark = pytest.mark.e2e

PATIENCE = 10.0
"""How fast it is depends on the machine, which other tests share here. `make e2e-power` holds all to the goals."""


@pytest.fixture(scope="module")
def world() -> Iterator[PowerWorld]:
    logs = Path(tempfile.mkdtemp(prefix="medley-power-logs-"))
    try:
        with PowerWorld.start(patience=PATIENCE) as running:
            yield running
            running.plane.gather_logs(logs)
            print(f"logs are in {logs}")
    except NoCompilerError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("case", SHORT, ids=[case.name for case in SHORT])
def test_power_is_held(world: PowerWorld, case: Case) -> None:
    world.calm()
    print(f"{case.name}: {'; '.join(case.play(world))}")
    assert world.watch.hasty(CHANGE_SECONDS) == []
