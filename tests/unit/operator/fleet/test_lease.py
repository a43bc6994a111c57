"""Replicas and their Lease on a server in memory, with a clock of the test: one leads, the others follow."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.fleet.election import Election, LeaseTimes
from medley_operator.fleet.lease import Elector, LeaseLostError, boot_seconds
from medley_operator.kube.errors import Conflict, Forbidden, KubeError, NotFound, Unavailable


@dataclass
class Server:
    """One Lease with compare-and-swap; `error` is raised instead of an answer, or after writing where `late`."""

    lease: Manifest | None = None
    error: KubeError | None = None
    late: bool = False
    hangs: bool = False
    writes: list[str] = field(default_factory=list)
    version: int = 0

    async def get(self, key: ObjectKey) -> Manifest | None:
        await self._answer()
        return copy.deepcopy(self.lease)

    async def create_lease(self, manifest: Manifest) -> Manifest:
        if self.lease is not None:
            raise Conflict("it is there already")
        return await self._store(manifest)

    async def replace_lease(self, manifest: Manifest) -> Manifest:
        if not self.late:
            await self._answer()
        if self.lease is None:
            raise NotFound("gone")
        if self.lease["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        return await self._store(manifest)

    async def _store(self, manifest: Manifest) -> Manifest:
        if not self.late:
            await self._answer()
        self.version += 1
        metadata = manifest["metadata"] | {"resourceVersion": str(self.version)}
        self.lease = copy.deepcopy(manifest | {"metadata": metadata})
        self.writes.append(manifest["spec"]["holderIdentity"])
        if self.late:
            await self._answer()
        return copy.deepcopy(self.lease)

    async def _answer(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec


@dataclass
class Replica:
    """One elector with a clock that moves when it sleeps; `at` runs at these times, once each."""

    server: Server
    identity: str
    now: float = 0.0
    times: LeaseTimes = field(default_factory=LeaseTimes)
    at: dict[float, Callable[[], None]] = field(default_factory=dict)
    follows: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.elector = Elector(
            Election(self.identity, self.times),
            client=self.server,
            namespace="medley",
            name="medley-operator",
            timestamp=lambda: f"at {self.now}",
            on_follow=lambda holder, error: self.follows.append((holder, error)),
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        for time in [time for time in sorted(self.at) if time <= self.now]:
            self.at.pop(time)()
        await asyncio.sleep(0)


async def passed(replica: Replica, until: float) -> None:
    for _ in range(10000):
        if replica.now >= until:
            return
        await asyncio.sleep(0)
    raise AssertionError("the replica does not go on")


async def test_the_first_replica_leads_and_the_second_takes_over_15_s_after_the_last_renewal() -> None:
    server = Server()
    first, second = Replica(server, "a"), Replica(server, "b")
    await first.elector.acquire()
    assert first.elector.seconds_left() == 10.0
    await second.elector.acquire()
    assert 15.0 < second.now <= 17.0 + 1e-9
    assert server.spec["leaseTransitions"] == 1
    assert {holder for holder, _ in second.follows} == {"a"}


async def test_a_leader_that_renews_keeps_its_followers_waiting() -> None:
    server = Server()
    leader, follower = Replica(server, "a"), Replica(server, "b")
    await leader.elector.acquire()
    # Follower and leader share the time: each look of the follower lets the leader renew.
    keeping = asyncio.create_task(leader.elector.keep())
    waiting = asyncio.create_task(follower.elector.acquire())
    await passed(follower, 100.0)
    assert not waiting.done()
    assert not keeping.done()
    assert set(server.writes) == {"a"}
    for task in (keeping, waiting):
        task.cancel()
    await asyncio.gather(keeping, waiting, return_exceptions=True)


async def test_a_released_lease_is_taken_within_one_look() -> None:
    server = Server()
    first, second = Replica(server, "a"), Replica(server, "b")
    await first.elector.acquire()
    waiting = asyncio.create_task(second.elector.acquire())
    await passed(second, 4.0)
    await first.elector.release()
    assert first.elector.seconds_left() == 0.0
    released_at = second.now
    await waiting
    assert second.now - released_at <= 2.0
    assert server.writes == ["a", "", "b"]


async def test_a_leader_that_cannot_renew_stops_after_10_s_and_says_why() -> None:
    server = Server()
    leader = Replica(server, "a")
    await leader.elector.acquire()
    server.error = Unavailable("cannot replace Lease: no connection")
    with pytest.raises(LeaseLostError, match="no connection"):
        await leader.elector.keep()
    assert leader.now == pytest.approx(10.0)
    assert server.writes == ["a"]


async def test_a_request_that_hangs_has_a_deadline() -> None:
    server = Server()
    leader = Replica(server, "a", times=LeaseTimes(2, 0.2, 0.05))
    await leader.elector.acquire()
    server.hangs = True

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        leader.now += 0.1

    leader.elector._sleep = sleep
    async with asyncio.timeout(5.0):
        with pytest.raises(LeaseLostError, match="did not answer within"):
            await leader.elector.keep()


async def test_a_leader_that_was_stopped_writes_nothing_when_it_goes_on() -> None:
    server = Server()
    leader, other = Replica(server, "a"), Replica(server, "b")
    await leader.elector.acquire()
    await other.elector.acquire()
    written = list(server.writes)

    async def stopped(seconds: float) -> None:
        leader.now += 20.0

    leader.elector._sleep = stopped
    with pytest.raises(LeaseLostError, match="not renewed in time"):
        await leader.elector.keep()
    await leader.elector.release()
    assert server.writes == written


async def test_a_leader_that_finds_another_one_in_its_place_stops_at_once() -> None:
    server = Server()
    leader = Replica(server, "a")
    await leader.elector.acquire()
    server.version += 1
    server.lease = {"metadata": {"resourceVersion": str(server.version)}, "spec": {"holderIdentity": "b"}}
    with pytest.raises(LeaseLostError, match="b has it"):
        await leader.elector.keep()
    assert leader.now == 2.0
    assert server.spec["holderIdentity"] == "b"


async def test_a_renewal_whose_answer_is_lost_costs_a_look_and_not_the_lease() -> None:
    server = Server()
    leader = Replica(server, "a")
    await leader.elector.acquire()
    server.error, server.late = Unavailable("answer lost"), True

    def well() -> None:
        server.error, server.late = None, False

    def end() -> None:
        server.error = Forbidden("enough")

    leader.at = {4.0: well, 30.0: end}
    with pytest.raises(LeaseLostError, match="enough"):
        await leader.elector.keep()
    assert leader.now > 30.0
    assert set(server.writes) == {"a"}


async def test_a_lease_that_was_deleted_or_labelled_by_others_is_kept() -> None:
    server = Server()
    leader = Replica(server, "a")
    await leader.elector.acquire()

    def delete() -> None:
        server.lease = None

    def label() -> None:
        assert server.lease is not None
        server.version += 1
        server.lease["metadata"] |= {"resourceVersion": str(server.version), "labels": {"a": "b"}}

    def end() -> None:
        server.error = Forbidden("enough")

    leader.at = {4.0: delete, 8.0: label, 20.0: end}
    with pytest.raises(LeaseLostError, match="enough"):
        await leader.elector.keep()
    assert leader.now > 20.0
    assert server.lease is not None
    assert server.lease["metadata"]["labels"] == {"a": "b"}


async def test_who_may_not_read_the_lease_says_so_and_waits() -> None:
    server = Server(error=Forbidden("leases is forbidden"))
    replica = Replica(server, "a")

    def grant() -> None:
        server.error = None

    replica.at = {6.0: grant}
    await replica.elector.acquire()
    assert replica.follows == [("", "leases is forbidden")] * 3


async def test_a_release_that_meets_a_late_renewal_of_ours_is_repeated() -> None:
    server = Server()
    leader = Replica(server, "a")
    await leader.elector.acquire()
    assert server.lease is not None
    server.version += 1
    server.lease["metadata"]["resourceVersion"] = str(server.version)
    await leader.elector.release()
    assert server.spec["holderIdentity"] == ""


async def test_a_release_never_takes_the_lease_from_another() -> None:
    server = Server()
    leader = Replica(server, "a")
    await leader.elector.acquire()
    server.version += 1
    server.lease = {"metadata": {"resourceVersion": str(server.version)}, "spec": {"holderIdentity": "b"}}
    await leader.elector.release()
    assert server.spec["holderIdentity"] == "b"


async def test_a_release_that_fails_is_only_late() -> None:
    server = Server()
    leader = Replica(server, "a")
    await leader.elector.acquire()
    server.error = Unavailable("away")
    await leader.elector.release()
    assert leader.elector.seconds_left() == 0.0
    assert server.spec["holderIdentity"] == "a"


def test_the_clock_never_goes_back() -> None:
    before = boot_seconds()
    assert boot_seconds() >= before
