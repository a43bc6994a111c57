"""Work that runs only while this replica leads, and who this replica is."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from medley_operator.fleet.lease import Elector, LeaseLostError
from medley_operator.leading import instance_name, lead, make_elector
from medley_operator.settings import Settings


class Steps(Elector):
    """Leads when `won` is set, until `lost` is."""

    def __init__(self) -> None:
        self.won = asyncio.Event()
        self.lost = asyncio.Event()

    async def acquire(self) -> None:
        await self.won.wait()

    async def keep(self) -> None:
        await self.lost.wait()
        raise LeaseLostError("another has it")


class Work:
    def __init__(self) -> None:
        self.log: list[str] = []

    async def run(self) -> None:
        self.log.append("works")
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append("ended")

    def begun(self) -> None:
        self.log.append("leads")


async def soon() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_follower_does_no_work_and_a_leader_that_loses_stops_it() -> None:
    steps, work = Steps(), Work()
    leading = asyncio.create_task(lead(steps, work.run, begun=work.begun))
    await soon()
    assert work.log == []
    steps.won.set()
    await soon()
    assert work.log == ["leads", "works"]
    steps.lost.set()
    with pytest.raises(LeaseLostError):
        await leading
    assert work.log == ["leads", "works", "ended"]


async def test_without_leader_election_the_work_begins_at_once_and_ends_with_its_task() -> None:
    work = Work()
    leading = asyncio.create_task(lead(None, work.run, begun=work.begun))
    await soon()
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
    assert work.log == ["leads", "works", "ended"]


async def test_work_that_fails_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="a fault of ours"):
        await lead(None, fail, begun=lambda: None)


async def test_replicas_of_one_pod_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTNAME", "medley-0")
    assert instance_name() == "medley-0"
    settings = Settings(leader_election=True, namespace="medley")
    async with AsyncExitStack() as stack:
        made = [await make_elector(settings, stack, on_follow=lambda *_: None) for _ in range(2)]
        identities = {each._election.identity for each in made if each is not None}
        assert await make_elector(Settings(), stack, on_follow=lambda *_: None) is None
    assert len(identities) == 2
    assert all(each.startswith("medley-0_") for each in identities)
