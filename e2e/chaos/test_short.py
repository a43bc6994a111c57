"""The short form of the fault suite: two steps, four ends of the operator, two answers, one partition."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.chaos.cases import SHORT_CASES
from e2e.chaos.run import Case, Reference, play, play_faultless
from e2e.chaos.scenario import SHORT
from e2e.chaos.world import World

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    logs = Path(tempfile.mkdtemp(prefix="medley-chaos-logs-"))
    with World.start(say=print) as running:
        yield running
        running.plane.gather_logs(logs)
        print(f"logs are in {logs}")


@pytest.fixture(scope="module")
def reference(world: World) -> Reference:
    """The run without faults, in which every invariant holds."""
    return play_faultless(world, SHORT)


@pytest.mark.parametrize("case", SHORT_CASES, ids=[case.name for case in SHORT_CASES])
def test_a_fault_changes_neither_the_end_nor_what_holds_on_the_way(
    world: World, reference: Reference, case: Case
) -> None:
    result = play(world, case, reference, namespace=f"short-{SHORT_CASES.index(case)}")
    print(f"{case.name}: converged in {result.seconds:.1f} s, {result.extra_writes} extra writes")
    assert result.wrong == []
    assert result.breaches == []
