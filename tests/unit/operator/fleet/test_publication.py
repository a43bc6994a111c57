"""What is written first, what is left to the next pass where others change a child, and how soon that pass comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from medley_operator.domain.engine.startup_protection import PROTECTION
from medley_operator.domain.values.decision import Apply, Decision, EventNote, EventType, PodNote, StatusWrite
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Snapshot
from medley_operator.fleet.publication import FEWEST, MOST_BRIEF, Meanwhile
from medley_operator.fleet.publish import Publisher
from medley_operator.fleet.write_backoff import WriteBackoff
from medley_operator.kube.errors import Invalid
from medley_operator.kube.limiter import RateLimited
from medley_operator.metrics.exporter import Exporter
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import NOW, child, service, service_manifest, snapshot

MANY = 100
PUT_BACK = ObjectKey("Deployment", "demo", "s7-l4")
ALARMED = Meanwhile(disturbed=lambda: True)


def fleet(client: FakeKubeClient, *, count: int = MANY, calm: bool = False) -> tuple[Snapshot, Decision]:
    """Services that each need a write of a Deployment, of a pod, and of a status with its Event."""
    names = [f"s{number}" for number in range(count)]
    deployments = [child("Deployment", f"{name}-l4", owner=name, owner_uid=f"uid-{name}") for name in names]
    for name, deployment in zip(names, deployments, strict=True):
        client.put(service_manifest(name, uid=f"uid-{name}"))
        client.put(deployment)
        client.put({"kind": "Pod", "metadata": {"name": f"{name}-1", "namespace": "demo", "uid": f"uid-{name}-1"}})
    keys = {name: ObjectKey("LLMService", "demo", name) for name in names}
    none = dict.fromkeys(PROTECTION)
    decision = Decision(
        applies=tuple(
            Apply(ServiceKey("demo", name), deployment, calm=calm)
            for name, deployment in zip(names, deployments, strict=True)
        ),
        pod_notes=tuple(PodNote(ObjectKey("Pod", "demo", f"{n}-1"), f"uid-{n}-1", none, "Ready") for n in names),
        statuses=tuple(StatusWrite(keys[name], f"uid-{name}", {"mix": "l4:1/1"}) for name in names),
        events=tuple(EventNote(keys[name], f"uid-{name}", EventType.NORMAL, "ScaledUp", "told") for name in names),
    )
    found = [client.objects[key_of(each)] for each in deployments]
    return snapshot(*(service(name, uid=f"uid-{name}") for name in names), children=found), decision


def publisher(client: FakeKubeClient) -> Publisher:
    return Publisher(client=client, counter=Exporter(), instance="test", timestamp=lambda: NOW)


def count(client: FakeKubeClient, verb: str) -> int:
    return [each for each, _ in client.writes()].count(verb)


async def test_what_others_changed_goes_out_first_and_what_changes_nothing_that_runs_last() -> None:
    client = FakeKubeClient()
    seen, calm = fleet(client, count=20, calm=True)
    needed = [replace(each, calm=False) if each.service.name == "s12" else each for each in calm.applies]
    decision = Decision(applies=tuple(needed))
    await publisher(client).publish(seen, decision, now=NOW, meanwhile=Meanwhile(first={PUT_BACK}))
    names = [name for verb, name in client.writes() if verb == "apply"]
    assert names[:3] == ["Deployment s7-l4", "Deployment s12-l4", "Deployment s0-l4"]


async def test_a_change_by_others_leaves_all_but_a_few_writes_to_the_next_pass() -> None:
    client = FakeKubeClient()
    seen, decision = fleet(client)
    done = await publisher(client).publish(seen, decision, now=NOW, meanwhile=ALARMED)
    assert [count(client, verb) for verb in ("apply", "annotate", "status")] == [FEWEST, 0, 0]
    assert (done.troubles, len(done.unwritten), len(done.unasked)) == (0, MANY - FEWEST, MANY)


async def test_changes_without_end_keep_neither_pods_nor_statuses_from_being_written() -> None:
    client = FakeKubeClient()
    seen, decision = fleet(client)
    one = publisher(client)
    for _ in range(2 * (MOST_BRIEF + 1)):
        await one.publish(seen, decision, now=NOW, meanwhile=ALARMED)
    assert [count(client, verb) for verb in ("annotate", "status")] == [2 * FEWEST] * 2
    # Told with the status of what was written, and of nothing that was not.
    assert [each["regarding"]["name"] for each in client.events] == [*("s0", "s1", "s2", "s3")] * 2


async def test_what_others_had_changed_before_is_put_back_though_they_change_more() -> None:
    client = FakeKubeClient()
    seen, decision = fleet(client)
    first = {key_of(each.manifest) for each in decision.applies[-20:]}
    began = set[ObjectKey]()
    meanwhile = replace(ALARMED, first=first, began=began.add)
    done = await publisher(client).publish(seen, decision, now=NOW, meanwhile=meanwhile)
    assert count(client, "apply") == 20
    assert began == first
    assert len(done.unwritten) == MANY - 20


async def test_pods_of_new_services_are_left_out_too_and_nothing_is_taken_for_gone() -> None:
    client = FakeKubeClient()
    seen, decision = fleet(client)
    new = replace(seen, children={})
    await publisher(client).publish(new, decision, now=NOW, meanwhile=ALARMED)
    assert [verb for verb, _ in client.calls].count("get") >= FEWEST
    assert count(client, "apply") == FEWEST
    await publisher(client).publish(new, decision, now=NOW)
    assert count(client, "apply") == FEWEST + MANY


async def test_a_child_that_was_refused_keeps_its_condition_while_others_go_first() -> None:
    client = FakeKubeClient()
    seen, decision = fleet(client)
    client.failing["apply", "Deployment s99-l4"] = Invalid("quota exceeded")
    one = publisher(client)
    await one.publish(seen, decision, now=NOW)
    refused = [each for each in decision.applies if each.service.name == "s99"]
    statuses = tuple(each for each in decision.statuses if each.key.name == "s99")
    again = replace(decision, applies=(*decision.applies[:9], *refused), statuses=statuses, events=(), pod_notes=())
    await one.publish(seen, again, now=NOW, meanwhile=ALARMED)
    told = client.objects[ObjectKey("LLMService", "demo", "s99")]["status"]["conditions"]
    assert [each["reason"] for each in told] == ["ApplyFailed"]


class Timed(FakeKubeClient):
    """Notes when each write came in, by the clock of the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[tuple[str, str], float] = {}

    def _call(self, verb: str, name: str) -> None:
        super()._call(verb, name)
        self.at[verb, name] = asyncio.get_running_loop().time()


class GivenTime(asyncio.SelectorEventLoop):
    """An event loop whose clock goes on only when nothing is left to do, and then at once to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


async def _put_back(at_seconds: float) -> float:
    """Seconds until a child goes out that others change at that time, while a fleet is written at 20 a second."""
    clock = asyncio.get_running_loop().time
    client = Timed()
    limited = RateLimited(client, qps=20.0, burst=50, clock=clock)
    one = replace(publisher(client), client=limited, backoff=WriteBackoff(clock=clock))
    seen, decision = fleet(client, count=300)

    def happened() -> bool:
        return clock() >= at_seconds

    await one.publish(seen, decision, now=NOW, meanwhile=Meanwhile(happened, happened))
    assert clock() >= at_seconds, "all was written before: choose an earlier time"
    mine: Manifest = next(each.manifest for each in decision.applies if key_of(each.manifest) == PUT_BACK)
    others = tuple(each for each in decision.applies if each.manifest is not mine)
    again = replace(decision, applies=(*others, Apply(ServiceKey("demo", "s7"), mine)))
    client.at.clear()
    await one.publish(seen, again, now=NOW, meanwhile=Meanwhile(first={PUT_BACK}))
    return client.at["apply", "Deployment s7-l4"] - at_seconds


@pytest.mark.parametrize("at_seconds", [0.01, 2.0, 12.4, 14.0, 26.0, 28.5, 35.0, 44.0])
def test_a_child_that_others_change_goes_out_within_the_bound_whatever_else_is_written(at_seconds: float) -> None:
    """300 children, then 300 pods, then 300 statuses with their Events are 58 s of writes. What others changed waited
    for their end: the longest of a hundred took 20.6 s."""
    with asyncio.Runner(loop_factory=GivenTime) as runner:
        # Those that are on their way at 20 a second, each perhaps a status with an Event, and its own; where what only
        # tells begins, half a second more, until a part of the burst is there again.
        assert runner.run(_put_back(at_seconds)) <= 1.0
