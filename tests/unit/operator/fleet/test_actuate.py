"""The actuator's loop: when it looks, that it never ends, and that it does not run wild."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from medley_operator.domain.passes import Steps
from medley_operator.domain.rollout.intent import FleetIntent
from medley_operator.domain.rollout.step_memory import Marking, ServiceSteps
from medley_operator.domain.values.decision import Apply, Decision
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView
from medley_operator.fleet import actuate
from medley_operator.fleet.actuate import MOST_STEPS, Actuator
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.publication import CALM, Meanwhile, Published
from medley_operator.kube.errors import Unavailable
from medley_operator.metrics.exporter import Exporter
from tests.unit.operator.fleet.objects import child, snapshot

EMPTY = snapshot()
CHILD = child("Deployment", "chat-l4")
WRITES = Decision(applies=(Apply(ServiceKey("demo", "chat"), CHILD),))


@dataclass
class World:
    """Looks and writes as they are told to; `decisions` of the passes, the last one for ever."""

    decisions: list[Decision] = field(default_factory=lambda: [Decision()])
    failing: list[Exception] = field(default_factory=list)
    troubles: int = 0
    unwritten: frozenset[ServiceKey] = frozenset()
    passes: int = 0
    published: list[Decision] = field(default_factory=list)
    meanwhile: Meanwhile = CALM

    def look(self) -> ActuatorView:
        self.passes += 1
        if self.failing:
            raise self.failing.pop(0)
        return EMPTY

    def decide(self, intent: FleetIntent, view: ActuatorView, steps: Steps, *, now: str) -> tuple[Decision, Steps]:
        return self.decisions.pop(0) if len(self.decisions) > 1 else self.decisions[0], steps

    async def publish(
        self, view: ActuatorView, decision: Decision, *, now: str, meanwhile: Meanwhile = CALM
    ) -> Published:
        self.published.append(decision)
        self.meanwhile = meanwhile
        return Published(self.troubles, self.unwritten)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(actuate, "act", made.decide)
    monkeypatch.setattr(actuate, "IDLE_SECONDS", 0.0)
    return made


def actuator(world: World, exporter: Exporter | None = None) -> Actuator:
    heartbeat = Heartbeat(resync_seconds=30.0, clock=lambda: 0.0)
    return Actuator(viewer=world, publisher=world, exporter=exporter or Exporter(), heartbeat=heartbeat)


async def running(one: Actuator, seconds: float) -> None:
    task = asyncio.create_task(one.run())
    await asyncio.sleep(seconds)
    assert not task.done()
    task.cancel()


async def test_nothing_is_done_before_the_first_intent(world: World) -> None:
    one = actuator(world)
    one.mark()
    await running(one, 0.05)
    assert (world.passes, world.published) == (0, [])


async def test_an_intent_and_each_event_start_a_pass_and_silence_does_not(world: World) -> None:
    one = actuator(world)
    one.adopt(FleetIntent(()))
    await running(one, 0.1)
    assert world.passes == 1
    one.mark()
    await running(one, 0.1)
    assert world.passes == 2


async def test_what_was_written_makes_the_next_step_possible_at_once(world: World) -> None:
    world.decisions = [WRITES, WRITES, Decision()]
    one = actuator(world)
    one.adopt(FleetIntent(()))
    await running(one, 0.2)
    assert world.passes == 3


async def test_an_event_during_the_writes_of_a_pass_makes_them_hurry(world: World) -> None:
    one = actuator(world)
    one.adopt(FleetIntent(()))
    await one.one_pass()
    assert not world.meanwhile.hurries()
    one.mark()
    assert world.meanwhile.hurries()


async def test_a_child_that_others_changed_is_first_in_the_next_pass_and_cuts_the_one_that_writes(world: World) -> None:
    one = actuator(world)
    one.adopt(FleetIntent(()))
    await one.one_pass()
    during = world.meanwhile
    assert not during.disturbed()
    one.disturb(key_of(CHILD))
    assert during.disturbed()
    await one.one_pass()
    assert world.meanwhile.first == {key_of(CHILD)}
    assert not world.meanwhile.disturbed()
    await one.one_pass()
    assert world.meanwhile.first == set()


async def test_a_child_that_others_changed_is_not_forgotten_where_a_pass_fails(world: World) -> None:
    world.failing = [Unavailable("no answer")]
    one = actuator(world)
    one.adopt(FleetIntent(()))
    one.disturb(key_of(CHILD))
    await one.one_pass()
    await one.one_pass()
    assert world.meanwhile.first == {key_of(CHILD)}


async def test_what_the_pass_writes_itself_disturbs_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch may bring a write before its answer."""
    world.decisions = [WRITES]
    one = actuator(world)
    publish = world.publish

    async def seen_at_once(view: ActuatorView, decision: Decision, *, now: str, meanwhile: Meanwhile) -> Published:
        meanwhile.began(key_of(CHILD))
        one.disturb(key_of(CHILD))
        assert not meanwhile.disturbed()
        return await publish(view, decision, now=now, meanwhile=meanwhile)

    monkeypatch.setattr(world, "publish", seen_at_once)
    one.adopt(FleetIntent(()))
    await one.one_pass()
    assert world.published == [WRITES]
    one.disturb(key_of(CHILD))
    assert world.meanwhile.disturbed()


async def test_a_step_that_waits_for_time_is_looked_at_again_then(world: World) -> None:
    world.decisions = [replace(Decision(), wait_seconds=0.05), Decision()]
    one = actuator(world)
    one.adopt(FleetIntent(()))
    await running(one, 0.3)
    assert world.passes == 2


async def test_passes_that_never_stop_writing_are_slowed_down(world: World) -> None:
    world.decisions = [WRITES]
    one = actuator(world)
    one.adopt(FleetIntent(()))
    await running(one, 0.5)
    assert world.passes == MOST_STEPS + 1


@pytest.mark.parametrize("error", [Unavailable("no answer"), RuntimeError("broken")])
async def test_a_failed_pass_is_counted_and_tried_again_later(world: World, error: Exception) -> None:
    world.failing = [error]
    exporter = Exporter()
    one = actuator(world, exporter)
    one.adopt(FleetIntent(()))
    await running(one, 0.2)
    assert world.passes == 1
    assert exporter.registry.get_sample_value("medley_errors_total", {"component": "act"}) == 1
    await running(one, 0.05)
    one.mark()
    await running(one, 0.1)
    assert world.published


async def test_the_time_from_event_to_write_is_measured(world: World) -> None:
    world.decisions = [WRITES, Decision()]
    exporter = Exporter()
    one = actuator(world, exporter)
    one.adopt(FleetIntent(()))
    await running(one, 0.1)
    assert exporter.registry.get_sample_value("medley_event_to_write_seconds_count") == 1


def test_steps_of_services_that_were_not_written_are_as_before() -> None:
    """After an outage growth stopped for ten minutes: writes that failed counted as changed back by others."""
    chat, other = ServiceKey("demo", "chat"), ServiceKey("demo", "other")
    before = Steps({chat: ServiceSteps(shrunk_at={"l4": 1.0})})
    after = Steps({chat: ServiceSteps(shrunk_at={"l4": 2.0}), other: ServiceSteps(shrunk_at={"l4": 3.0})})
    kept = after.but_for({chat, other}, before)
    assert kept.services == {chat: before.services[chat], other: ServiceSteps()}
    assert after.but_for((), before) is after


def test_pods_that_were_not_asked_are_asked_again() -> None:
    chat = ServiceKey("demo", "chat")
    marking = {"l4": Marking(0.0, frozenset({"a", "b"}))}
    asked = {uid: ("0-2048", 1.0) for uid in ("a", "b")}
    steps = Steps({chat: ServiceSteps(ranged=asked, marking=marking)}, released={"a": 1.0, "b": 1.0})
    after = steps.but_for((), Steps(), frozenset({"b"}))
    of_chat = after.services[chat]
    assert [set(after.released), set(of_chat.ranged), set(of_chat.marking["l4"].asked)] == [{"a"}] * 3


async def test_a_pass_remembers_nothing_of_what_was_not_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = ServiceKey("demo", "chat")
    seen: list[Steps] = []

    def decide(intent: FleetIntent, view: ActuatorView, steps: Steps, *, now: str) -> tuple[Decision, Steps]:
        seen.append(steps)
        return Decision(), Steps({chat: ServiceSteps(weights={"l4": len(seen)})})

    monkeypatch.setattr(actuate, "act", decide)
    one = actuator(world)
    one.adopt(FleetIntent(()))
    world.unwritten = frozenset({chat})
    await one.one_pass()
    world.unwritten = frozenset()
    await one.one_pass()
    await one.one_pass()
    assert [steps.services.get(chat, ServiceSteps()).weights for steps in seen] == [None, None, {"l4": 2}]
