"""The fence of leadership and the gate of the mode: what is sent, what is cut off, what is kept back."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from medley_operator.domain.values.labels import PICKER_CONFIG
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.client import KubeClient
from medley_operator.kube.errors import NotLeader, Throttled, Withheld
from medley_operator.kube.guards import Fenced, Gated, Unopposed
from medley_operator.kube.limiter import RateLimited
from medley_operator.metrics.exporter import Exporter
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import child, service_manifest

KEY = ObjectKey("Deployment", "demo", "chat-l4")
POD = ObjectKey("Pod", "demo", "chat-l4-1")
EVENT = {"reason": "PlanChanged", "regarding": {"name": "chat"}, "metadata": {"namespace": "demo"}}
READS = {"list", "get"}
WRITES: dict[str, Callable[[KubeClient], Awaitable[object]]] = {
    "apply": lambda client: client.apply(child("Deployment", "chat-l4")),
    "apply_status": lambda client: client.apply_status(service_manifest() | {"status": {}}),
    "delete": lambda client: client.delete(KEY, uid="uid"),
    "annotate": lambda client: client.annotate(POD, {"a": None}, uid="uid"),
    "create_event": lambda client: client.create_event(EVENT),
}


@dataclass
class Held:
    left: float

    def seconds_left(self) -> float:
        return self.left


class Slow(FakeKubeClient):
    """Answers a write when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def apply(self, manifest: Manifest, *, field_manager: str = "", force: bool = True) -> Manifest:
        await self.go_on.wait()
        return await super().apply(manifest)


def test_every_verb_that_changes_something_is_tried_here() -> None:
    verbs = {name for name, _ in inspect.getmembers(KubeClient, inspect.isfunction) if not name.startswith("_")}
    assert verbs - READS == set(WRITES)


@pytest.mark.parametrize("verb", WRITES)
async def test_nothing_is_sent_without_the_lease(verb: str) -> None:
    inner = FakeKubeClient()
    with pytest.raises(NotLeader, match="does not hold the Lease") as caught:
        await WRITES[verb](Fenced(inner, Held(0.0)))
    assert caught.value.reason == "NotLeader"
    assert not caught.value.retryable
    assert inner.calls == []


async def test_reads_pass_the_fence() -> None:
    fenced = Fenced(FakeKubeClient(), Held(0.0))
    assert await fenced.get(KEY) is None


@pytest.mark.parametrize("leadership", [Held(10.0), Unopposed()])
async def test_a_leader_writes(leadership: Held | Unopposed) -> None:
    inner = FakeKubeClient()
    await Fenced(inner, leadership).apply(child("Deployment", "chat-l4"))
    assert inner.writes() == [("apply", "Deployment chat-l4")]


async def test_a_write_under_way_is_cut_off_when_the_lease_runs_out() -> None:
    inner, held = Slow(), Held(0.1)
    writing = asyncio.ensure_future(Fenced(inner, held).apply(child("Deployment", "chat-l4")))
    await asyncio.sleep(0.01)
    held.left = 0.0
    with pytest.raises(NotLeader, match="cut off"):
        await writing
    assert inner.writes() == []


async def test_a_write_under_way_goes_on_while_the_lease_is_renewed() -> None:
    inner = Slow()
    writing = asyncio.ensure_future(Fenced(inner, Held(0.2)).apply(child("Deployment", "chat-l4")))
    await asyncio.sleep(0.5)
    assert not writing.done()
    inner.go_on.set()
    await writing
    assert inner.writes() == [("apply", "Deployment chat-l4")]


async def test_the_fence_is_asked_again_after_a_wait_for_the_limiter() -> None:
    held = Held(10.0)
    inner = FakeKubeClient(failing={("apply", "Deployment chat-l4"): Throttled("busy", retry_after_seconds=5.0)})

    async def sleep(seconds: float) -> None:
        held.left = 0.0
        times.append(seconds)

    times: list[float] = []
    client = RateLimited(Fenced(inner, held), qps=20.0, burst=50, clock=lambda: 5.0 * len(times), sleep=sleep)
    with pytest.raises(NotLeader):
        await client.apply(child("Deployment", "chat-l4"))
    assert len(inner.writes()) == 1


@pytest.mark.parametrize("mode", ["Advisory", "Paused"])
async def test_a_mode_that_only_advises_keeps_children_back_and_lets_the_rest_pass(mode: str) -> None:
    inner, exporter = FakeKubeClient(), Exporter()
    inner.put(service_manifest())
    gated = Gated(inner, mode=mode, counter=exporter)
    for kind in ("Deployment", "Service", "HTTPRoute"):
        with pytest.raises(Withheld, match=f"--mode is {mode}; set --mode to Auto"):
            await gated.apply(child(kind, "chat"))
    with pytest.raises(Withheld):
        await gated.delete(KEY, uid="uid")
    with pytest.raises(Withheld):
        await gated.annotate(POD, {"a": None}, uid="uid")
    picker = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "demo", "name": PICKER_CONFIG}}
    with pytest.raises(Withheld):
        await gated.apply(picker)
    assert inner.calls == []
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "medley", "name": "memory"}}
    await gated.apply(config_map)
    await gated.apply_status(service_manifest() | {"status": {}})
    await gated.create_event(EVENT)
    assert [verb for verb, _ in inner.writes()] == ["apply", "status", "event"]
    assert exporter.registry.get_sample_value("medley_withheld_writes_total", {"kind": "Deployment"}) == 2


def test_without_leader_election_writes_never_end() -> None:
    assert Unopposed().seconds_left() == math.inf
