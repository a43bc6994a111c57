"""What would change if: asked of the newest round in a process of its own, and answered as the operator would plan."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.fleet.what_if import MOST_SERVICES, QUESTIONS, REST_SECONDS, WhatIfAsker
from medley_operator.fleet.worker import PlanWorker
from medley_operator.pages.fleet import WhatIfAnswers
from medley_planner.fleet_plan import PlanFailure
from medley_planner.model import Plan
from medley_planner.planning import plan_fleet
from tests.unit.operator import factories as make

POOLS = [make.pool("l4", gpu="L4", price="0.805", nodes=8), make.pool("h100", gpu="H100", price="6.88", nodes=2)]
MEMORY = FleetMemory()


def snapshot(rate: str = "4") -> Snapshot:
    static = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": rate}}
    return make.snapshot(make.service(spec={"workload": static}), pools=POOLS)


def planned(seen: Snapshot, mode: ActingMode) -> Plan:
    prepared = prepare(seen, MEMORY, fleet_mode=mode)
    problem = prepared.problem or prepared.advice
    assert problem is not None
    found = plan_fleet(problem, prepared.subjects)
    assert isinstance(found, Plan)
    return found


class Asked:
    """An asker whose rests are counted, and what it told."""

    def __init__(self, mode: ActingMode = ActingMode.AUTO, *, target: str = QUESTIONS) -> None:
        self.told: list[WhatIfAnswers] = []
        self.rests: list[float] = []
        self.rested = asyncio.Event()
        self.worker = PlanWorker(memory_bytes=4 * 1024**3, target=target)
        self.prepare = partial(prepare, fleet_mode=mode)
        self.asker = WhatIfAsker(
            prepare=self.prepare, worker=self.worker, told=self.told.append, deadline_seconds=10.0, rest=self.rest
        )

    async def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.rested.set()

    async def after(self, seen: Snapshot, plan: Plan) -> WhatIfAnswers:
        """The answers after a round of this plan."""
        self.rested.clear()
        self.asker.planned(seen, self.prepare(seen, MEMORY), MEMORY, plan)
        running = asyncio.create_task(self.asker.run())
        await self.rested.wait()
        running.cancel()
        return self.told[-1]


@pytest.mark.parametrize("mode", [ActingMode.AUTO, ActingMode.ADVISORY])
async def test_answers_are_what_the_operator_would_plan(mode: ActingMode) -> None:
    seen = snapshot()
    asked = Asked(mode)
    found = await asked.after(seen, planned(seen, mode))
    assert found.why == ""
    assert found.cost_per_hour == planned(seen, mode).cost_per_hour
    costs = {each.question.words: each.cost_per_hour for each in found.answers}
    assert costs["requests x 2"] == pytest.approx(planned(snapshot("8"), mode).cost_per_hour)
    dearer = replace(seen, pools=tuple([make.pool("l4", gpu="L4", price="1.61", nodes=8), POOLS[1]]))
    assert costs["price of l4 x 2"] == pytest.approx(planned(dearer, mode).cost_per_hour)
    assert costs["latency targets x 2"] is not None
    assert costs["latency targets x 2"] <= found.cost_per_hour
    assert asked.rests == [REST_SECONDS]
    assert asked.worker.pid is None


async def test_many_services_are_not_asked_about() -> None:
    seen = snapshot()
    one = planned(seen, ActingMode.AUTO)
    many = replace(one, services=one.services * (MOST_SERVICES + 1))
    found = await Asked().after(seen, many)
    assert f"at most {MOST_SERVICES}" in found.why


async def test_a_process_that_fails_leaves_the_page_without_answers() -> None:
    seen = snapshot()
    found = await Asked(target="tests.unit.operator.fleet.planners:nowhere").after(seen, planned(seen, ActingMode.AUTO))
    assert all(each.cost_per_hour is None and each.why for each in found.answers)


async def test_a_round_without_a_plan_asks_nothing() -> None:
    asked = Asked()
    seen = snapshot()
    asked.asker.planned(seen, asked.prepare(seen, MEMORY), MEMORY, PlanFailure("SolverTimeout", "late"))
    running = asyncio.create_task(asked.asker.run())
    await asyncio.sleep(0)
    running.cancel()
    assert asked.told == []
