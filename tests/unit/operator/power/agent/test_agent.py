"""The agent beside an API server in memory: what it follows, what it writes, and what leaves its orders in force."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from medley_operator.api.v1alpha1.power import NodePowerCap
from medley_operator.domain.values.labels import STATUS_FIELD_MANAGER
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.kube.client import Page, WatchEvent, WatchType
from medley_operator.kube.errors import Forbidden
from medley_operator.kube.resources import NODE_POWER_CAPS, Resource
from medley_operator.power.agent.agent import NodeAgent
from medley_operator.power.agent.exporter import AgentExporter
from medley_operator.power.agent.kubelet import PodDevices, PodsOfGpus
from medley_operator.power.agent.orders import Moment
from medley_operator.power.agent.turns import GpuTurns
from tests.fake_gpus import FakeBoard, FakeGpus
from tests.unit.operator.power.agent.caps import UNIX, node_power_cap

BEGAN = time.monotonic()


def moment() -> Moment:
    return Moment(UNIX + time.monotonic() - BEGAN, time.monotonic())


class Server:
    """One NodePowerCap and its watchers; statuses that are written; refuses them while `refuses`."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self.statuses: list[dict[str, Any]] = []
        self.uids: list[str] = []
        self.written, self.refused = asyncio.Event(), asyncio.Event()
        self.refuses = False
        self.hangs: asyncio.Event | None = None
        """No status is answered before it is set."""
        self.selector = ""
        self._version = 1

    async def pages(self, resource: Resource, **selectors: str) -> AsyncGenerator[Page, None]:
        assert resource is NODE_POWER_CAPS
        self.selector = selectors["field_selector"]
        yield Page([], "1")

    async def watch(self, resource: Resource, **_from: str) -> AsyncGenerator[WatchEvent, None]:
        while True:
            yield await self.events.get()

    def send(self, cap: NodePowerCap | Manifest, type_: WatchType = WatchType.MODIFIED) -> None:
        manifest = cap.model_dump(mode="json", by_alias=True) if isinstance(cap, NodePowerCap) else cap
        self._version += 1
        metadata = manifest["metadata"] | {"resourceVersion": str(self._version)}
        kind = {"apiVersion": NODE_POWER_CAPS.api_version, "kind": NODE_POWER_CAPS.kind}
        self.events.put_nowait(WatchEvent(type_, kind | manifest | {"metadata": metadata}))

    async def apply_status(
        self, manifest: Manifest, *, field_manager: str = STATUS_FIELD_MANAGER, force: bool = True
    ) -> Manifest:
        assert (manifest["metadata"]["name"], field_manager) == ("node-1", "medley-agent")
        self.uids.append(manifest["metadata"]["uid"])
        if self.hangs is not None:
            await self.hangs.wait()
        if self.refuses:
            self.refused.set()
            raise Forbidden("no right to write it")
        self.statuses.append(manifest["status"])
        self.written.set()
        return manifest


class Pods:
    """Says which pods are on the board."""

    def __init__(self) -> None:
        self.names = ["team/chat-0"]

    async def pods(self) -> tuple[PodDevices, ...]:
        return tuple(PodDevices(name, frozenset({"GPU-1"})) for name in self.names)


class World:
    """An agent on one board that runs."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.server = Server()
        self.kubelet = Pods()
        self.board = FakeBoard("GPU-1")
        gpus = FakeGpus([self.board], clock=time.monotonic)
        turns = GpuTurns(gpus, clock=time.monotonic, stack=stack)
        self.exporter = AgentExporter()
        self.agent = NodeAgent(
            "node-1",
            turns=turns,
            reader=self.server,
            client=self.server,
            exporter=self.exporter,
            pods=PodsOfGpus(self.kubelet, clock=time.monotonic),
            clock=moment,
        )

    async def first_status(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            await self.server.written.wait()
        return self.server.statuses[0]

    def shown(self, name: str, **labels: str) -> float | None:
        return self.exporter.registry.get_sample_value(f"medley_agent_{name}", labels)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        found = World(stack)
        running = asyncio.create_task(found.agent.run())
        yield found
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_orders_are_followed_and_the_status_is_written_once(world: World) -> None:
    world.server.send(node_power_cap(revision=3, duration=600), WatchType.ADDED)
    status = await world.first_status()
    assert world.server.selector == "metadata.name=node-1"
    assert (status["observedRevision"], status["state"], status["cappedGpus"]) == (3, "Enforcing", 1)
    assert (world.board.limit_watts, world.board.lock_mhz) == (300.0, 1110)
    assert status["gpus"][0]["pods"] == ["team/chat-0"]
    assert world.shown("gpu_enforced_watts", gpu="GPU-1") == 300.0
    assert world.shown("gpu_state", gpu="GPU-1", state="Ok") == 1.0
    assert (world.agent.ready().ok, world.agent.healthy().ok) == (True, True)
    world.server.send(node_power_cap(revision=3, duration=590, generation=2))
    await asyncio.sleep(0.3)
    assert len(world.server.statuses) == 1, "a renewal is no news"


async def test_what_goes_or_does_not_parse_leaves_the_orders(world: World) -> None:
    cap = node_power_cap(revision=1, duration=600)
    world.server.send(cap, WatchType.ADDED)
    await world.first_status()
    broken = cap.model_dump(mode="json", by_alias=True)
    broken["spec"]["newField"] = 1
    world.server.send(broken)
    world.server.send(cap, WatchType.DELETED)
    await asyncio.sleep(0.3)
    assert (world.board.limit_watts, world.board.lock_mhz) == (300.0, 1110)
    assert world.shown("failures_total", component="follow") == 1.0


async def test_a_status_that_is_refused_is_written_later_and_limits_hold_meanwhile(world: World) -> None:
    world.server.refuses = True
    world.server.send(node_power_cap(revision=1, duration=600), WatchType.ADDED)
    async with asyncio.timeout(20):
        await world.server.refused.wait()
    assert world.board.limit_watts == 300.0
    world.server.refuses = False
    assert (await world.first_status())["observedRevision"] == 1
    assert world.shown("failures_total", component="status") == 1.0


async def test_an_object_that_is_made_anew_gets_a_status_too(world: World) -> None:
    cap = node_power_cap(revision=1, duration=600)
    world.server.send(cap, WatchType.ADDED)
    await world.first_status()
    world.server.send(cap, WatchType.DELETED)
    world.server.written.clear()
    again = cap.model_copy(update={"metadata": cap.metadata.model_copy(update={"uid": "uid-2"})})
    world.server.send(again, WatchType.ADDED)
    await world.first_status()
    assert world.server.uids == ["uid-1", "uid-2"]


async def test_a_server_that_does_not_answer_a_status_holds_up_neither_orders_nor_the_end_of_the_lease(
    world: World,
) -> None:
    world.server.hangs = asyncio.Event()
    world.server.send(node_power_cap(revision=1, duration=600), WatchType.ADDED)
    await until(lambda: world.server.uids == ["uid-1"])
    # A lease that is over: the safe limits, which are not of the orders.
    world.server.send(node_power_cap(revision=2, duration=5, renewed=-60))
    await until(lambda: world.board.limit_watts == 200.0)
    assert world.server.statuses == []
    assert world.server.uids == ["uid-1"], "one status at a time"
    world.server.hangs.set()
    await until(lambda: bool(world.server.statuses) and world.server.statuses[-1]["state"] == "Safe")
    assert [status["observedRevision"] for status in world.server.statuses] == [1, 2]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - the agent tells nobody of what is waited for
            await asyncio.sleep(0.02)
