"""The loop itself: what it does in which order, that it never ends, and what it remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from medley_operator.domain.conclude import Conclusion
from medley_operator.domain.rollout.intent import FleetIntent
from medley_operator.domain.values.candidates import Disposition, Prepared, ServiceCandidate
from medley_operator.domain.values.decision import Decision
from medley_operator.domain.values.memories import FleetMemory, ServiceMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, Snapshot
from medley_operator.fleet.debounce import Batch, Debounce
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.loop import FleetLoop, Parts
from medley_operator.fleet.observe import Observed
from medley_operator.fleet.publication import CALM, Meanwhile, Published
from medley_operator.fleet.table_queue import Wishes
from medley_operator.kube.errors import Unavailable
from medley_operator.kube.resources import LLM_SERVICES
from medley_operator.metrics.exporter import Exporter, RoundOutcome
from medley_planner.capacity import GridRatios, TableGroup
from medley_planner.check import Subject
from medley_planner.fleet_plan import PlanFailure, PlanOrFailure
from medley_planner.model import Plan, PlanStatus, Problem
from tests.unit.operator.fleet.objects import service, snapshot
from tests.unit.planner.capacity.tables import group, key

PLAN = Plan(PlanStatus.OPTIMAL, (), 12.0, 11.4, 0.05, 0.01)
MEMORY = FleetMemory({ServiceKey("demo", "chat"): ServiceMemory(uid="uid-chat")})
EVENT = Batch(reasons={"Node": 1}, first_event_at=100.0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Time passes only when nothing else has to happen."""
        await asyncio.sleep(0)
        if not event.is_set():
            self.now += seconds


@dataclass
class World:
    """Every part of a round, each of which can be made to fail."""

    problem: Problem | None = field(default_factory=lambda: Problem((), ()))
    outcome: PlanOrFailure = PLAN
    failing: dict[str, Exception] = field(default_factory=dict)
    troubles: int = 0
    steps: list[str] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)
    decided: list[PlanOrFailure | None] = field(default_factory=list)
    available: list[Any] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    memory: FleetMemory = MEMORY

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.failing:
            raise self.failing[name]

    async def observe(self) -> Observed:
        self.rounds.append(self.clock.now)
        self._step("observe")
        return Observed(snapshot(service()), frozenset({LLM_SERVICES}), metrics_failed=False)

    async def learn(self, seen: Snapshot) -> None:
        self._step("learn")

    def prepare(self, seen: Snapshot, memory: FleetMemory) -> Prepared:
        self._step("prepare")
        return Prepared(problem=self.problem, services=(), pools=())

    async def solve(
        self, problem: Problem, *, deadline_seconds: float, subjects: Mapping[str, Subject]
    ) -> PlanOrFailure:
        self._step("solve")
        self.clock.now += 0.5
        return self.outcome

    def conclude(
        self, seen: Snapshot, prepared: Prepared, outcome: PlanOrFailure | None, memory: FleetMemory, *, now: str
    ) -> Conclusion:
        self._step("conclude")
        self.decided.append(outcome)
        return Conclusion(FleetIntent(()), (), (), self.memory)

    def adopt(self, intent: FleetIntent) -> None:
        self._step("adopt")

    async def publish(
        self, view: ActuatorView, decision: Decision, *, now: str, meanwhile: Meanwhile = CALM
    ) -> Published:
        self._step("publish")
        return Published(self.troubles)

    def loop(self) -> tuple[FleetLoop, Parts]:
        parts = Parts(
            observer=self,
            prepare=self.prepare,
            solver=self,
            conclude=self.conclude,
            publisher=self,
            actuator=self,
            exporter=Exporter(),
            heartbeat=Heartbeat(resync_seconds=30.0, clock=self.clock),
            on_available=self.available.append,
        )
        debounce = Debounce(idle_seconds=0.25, max_seconds=1.0, resync_seconds=30.0, started_at=self.clock.now)
        loop = FleetLoop(parts, debounce=debounce, deadline_seconds=10.0, clock=self.clock, wait=self.clock.wait)
        return loop, parts


def value(parts: Parts, name: str, **labels: str) -> float | None:
    return parts.exporter.registry.get_sample_value(name, labels)


async def rounds(loop: FleetLoop, parts: Parts, count: int) -> None:
    """Runs the loop until that many rounds have ended in all."""
    task = asyncio.create_task(loop.run())
    async with asyncio.timeout(5.0):
        while sum(value(parts, "medley_rounds_total", outcome=outcome.value) or 0 for outcome in RoundOutcome) < count:
            # Not 0: a loop that never sleeps starves the threads that a round computes in.
            await asyncio.sleep(0.001)
            assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_round_goes_through_all_steps_and_remembers() -> None:
    world = World()
    loop, parts = world.loop()
    world.clock.now = 100.4
    assert await loop.round(EVENT) is RoundOutcome.PLANNED
    assert world.steps == ["observe", "prepare", "solve", "conclude", "adopt", "publish", "learn"]
    assert world.available == [frozenset({LLM_SERVICES})]
    assert loop.memory is world.memory
    assert value(parts, "medley_rounds_total", outcome="planned") == 1
    assert value(parts, "medley_plan_gap_ratio") == 0.05
    assert value(parts, "medley_plan_solve_seconds_sum") == pytest.approx(0.5)
    assert value(parts, "medley_event_to_plan_start_seconds_sum") == pytest.approx(0.4)


async def test_without_a_problem_the_solver_is_not_asked() -> None:
    world = World(problem=None)
    loop, _ = world.loop()
    assert await loop.round(EVENT) is RoundOutcome.PLANNED
    assert "solve" not in world.steps
    assert world.decided == [None]


class AtHand:
    """Tables: `come` says whether the missing tables of a round are there."""

    def __init__(self, come: bool) -> None:
        self.known: Mapping[TableGroup, tuple[GridRatios, ...]] = {}
        self.come = come
        self.seen: list[Mapping[TableGroup, tuple[GridRatios, ...]]] = []

    async def want(self, missing: Wishes, used: Collection[TableGroup] = ()) -> bool:
        if self.come:
            self.known = {group(): ()}
        return self.come

    def prepare(self, seen: Snapshot, memory: FleetMemory) -> Prepared:
        assert seen.simulates
        self.seen.append(seen.capacity_tables)
        missed = () if self.known else (key(),)
        candidate = ServiceCandidate(service=service(), disposition=Disposition.LEAVING, missing_tables=missed)
        return Prepared(problem=None, services=(candidate,), pools=())


@pytest.mark.parametrize("come", [True, False])
async def test_tables_at_hand_count_in_the_same_round_and_others_are_not_waited_for(come: bool) -> None:
    tables = AtHand(come)
    world = World()
    _, parts = world.loop()
    parts = replace(parts, prepare=tables.prepare, tables=tables)
    debounce = Debounce(idle_seconds=0.25, max_seconds=1.0, resync_seconds=30.0, started_at=world.clock.now)
    loop = FleetLoop(parts, debounce=debounce, deadline_seconds=10.0, clock=world.clock)
    assert await loop.round(EVENT) is RoundOutcome.PLANNED
    assert tables.seen == ([{}, {group(): ()}] if come else [{}])
    assert world.steps == ["observe", "conclude", "adopt", "publish", "learn"]
    assert value(parts, "medley_capacity_tables_missing") == (0 if come else 1)


async def test_statuses_that_cannot_be_written_do_not_undo_the_plan() -> None:
    world = World(failing={"publish": RuntimeError("broken")})
    loop, parts = world.loop()
    assert await loop.round(EVENT) is RoundOutcome.FAILED
    assert loop.memory is world.memory
    assert value(parts, "medley_errors_total", component="apply") == 1


async def test_a_plan_failure_is_decided_upon_and_counted() -> None:
    failure = PlanFailure("SolverTimeout", "late")
    world = World(outcome=failure)
    loop, parts = world.loop()
    assert await loop.round(EVENT) is RoundOutcome.HELD
    assert world.decided == [failure]
    assert value(parts, "medley_errors_total", component="plan") == 1
    assert value(parts, "medley_rounds_total", outcome="held") == 1


@pytest.mark.parametrize(
    ("step", "component"),
    [("observe", "observe"), ("prepare", "plan"), ("solve", "plan"), ("conclude", "plan")],
)
async def test_any_exception_is_a_failed_round_and_memory_stays(step: str, component: str) -> None:
    world = World(failing={step: RuntimeError("broken")})
    loop, parts = world.loop()
    before = loop.memory
    assert await loop.round(EVENT) is RoundOutcome.FAILED
    assert loop.memory is before
    assert value(parts, "medley_errors_total", component=component) == 1
    assert parts.heartbeat.healthy().ok
    assert not parts.heartbeat.ready().ok
    assert "broken" in parts.heartbeat.ready().message
    world.failing.clear()
    assert await loop.round(EVENT) is RoundOutcome.PLANNED
    assert parts.heartbeat.ready().ok


async def test_failed_rounds_are_repeated_with_growing_delays() -> None:
    world = World(failing={"observe": Unavailable("cannot list nodes: no answer")})
    loop, parts = world.loop()
    await rounds(loop, parts, 7)
    gaps = [after - before for before, after in zip(world.rounds, world.rounds[1:], strict=False)]
    assert gaps[:6] == pytest.approx([1.0, 2.0, 4.0, 8.0, 16.0, 30.0])


async def test_troubles_of_single_writes_are_tried_again_too() -> None:
    world = World(troubles=2)
    loop, parts = world.loop()
    await rounds(loop, parts, 3)
    assert world.rounds[1] - world.rounds[0] == pytest.approx(1.5)
    assert world.rounds[2] - world.rounds[1] == pytest.approx(2.5)


async def test_a_calm_loop_rounds_at_the_resync() -> None:
    world = World()
    loop, parts = world.loop()
    await rounds(loop, parts, 3)
    assert [after - before for before, after in zip(world.rounds, world.rounds[1:], strict=False)][:2] == [30.0, 30.0]


async def test_an_event_starts_a_round_after_the_debounce() -> None:
    world = World()
    loop, parts = world.loop()
    world.clock.now = 100.0
    await loop.round(loop._debounce.take(100.0))
    loop.mark_dirty("Deployment", at=101.0)
    world.clock.now = 101.0
    await rounds(loop, parts, 2)
    assert world.rounds[1] == pytest.approx(101.25)
    assert value(parts, "medley_event_to_plan_start_seconds_sum") == pytest.approx(0.25)
