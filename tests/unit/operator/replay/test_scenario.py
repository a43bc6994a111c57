"""The load that a replay begins with."""

from __future__ import annotations

import pytest

from medley_operator.replay.operator_loop import OperatorLoop
from medley_operator.replay.world import World
from tests.unit.operator.replay.worlds import LLAMA, scenario

EVENT = {"start": "2026-01-05T00:00:00Z", "end": "2026-01-05T01:00:00Z", "factor": "4"}


@pytest.mark.parametrize(("schedule", "rate"), [([], 8.0), ([EVENT], 2.0)])
def test_the_first_load_is_described_without_its_event_and_planned_with_it(
    schedule: list[dict[str, str]], rate: float
) -> None:
    world = World(scenario("constant:8x10m", workload={"window": "1m", "schedule": schedule}))
    static = world.services[LLAMA].spec.workload.static
    assert static is not None
    assert static.rate_rps == pytest.approx(rate, rel=0.05)
    loop = OperatorLoop(world, {})
    loop.begin()
    load = loop.objects.own.services[0].status.load
    assert load is not None
    assert load.rate_rps == pytest.approx(8.0, rel=0.05)
    assert (load.schedule is not None) == bool(schedule)
    if load.schedule is not None:
        assert (load.schedule.event, load.schedule.until) == ("schedule[0]", "2026-01-05T01:00:00Z")
