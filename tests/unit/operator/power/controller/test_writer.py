"""Writes beside the rounds: caps first, none twice under way, what is not begun replaced, what failed later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from medley_operator.domain.power.controller import PowerDecision
from medley_operator.domain.power.limits import CapWrite
from medley_operator.domain.power.report import NoticeKind
from medley_operator.domain.power.tell import Notice
from medley_operator.domain.values.decision import PodNote, StatusWrite
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.errors import Unavailable
from medley_operator.power.controller.writer import PowerWriter
from tests.unit.operator.fleet.fake_kube import FakeKubeClient

DOMAIN = ObjectKey("PowerDomain", "", "row")


class Counts:
    def __init__(self) -> None:
        self.wrote_verbs: list[str] = []
        self.failures: list[str] = []

    def wrote(self, *, kind: str, verb: str) -> None:
        self.wrote_verbs.append(f"{verb} {kind}")

    def failed(self, component: str) -> None:
        self.failures.append(component)


def cap(node: str, revision: int = 1, *, renewal: bool = False) -> CapWrite:
    manifest: Manifest = {
        "apiVersion": "medley.dev/v1alpha1",
        "kind": "NodePowerCap",
        "metadata": {"name": node},
        "spec": {"revision": revision, "lease": {"renewTime": "2027-01-15T08:00:00Z"}},
    }
    return CapWrite(node, manifest, renewal=renewal)


def played(
    steps: Callable[[PowerWriter, FakeKubeClient], Awaitable[None]], clock: Callable[[], float] = lambda: 0.0
) -> tuple[FakeKubeClient, Counts]:
    client, counts = FakeKubeClient(), Counts()
    client.put({"apiVersion": "medley.dev/v1alpha1", "kind": "PowerDomain", "metadata": {"name": "row"}})

    async def play() -> None:
        writer = PowerWriter(client, counts, "one", lambda: "2027-01-15T08:00:00.000000Z", clock)
        writer.start()
        await steps(writer, client)
        await turns()
        await writer.close()

    asyncio.run(play())
    return client, counts


async def turns(count: int = 200) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_caps_go_before_renewals_statuses_and_events() -> None:
    notice = Notice(NoticeKind.LEVEL_RAISED, DOMAIN, "uid-1", "hot", {})

    async def steps(writer: PowerWriter, _: FakeKubeClient) -> None:
        writer.want(
            PowerDecision(
                caps=(cap("b", renewal=True), cap("a")),
                statuses=(StatusWrite(DOMAIN, "uid-1", {"level": 1}),),
                notices=(notice,),
            )
        )

    client, counts = played(steps)
    assert counts.wrote_verbs == ["apply NodePowerCap", "renew NodePowerCap", "status PowerDomain", "event Event"]
    assert client.events[0]["reason"] == "LevelRaised"


def test_what_is_under_way_is_not_sent_again_and_what_waits_is_replaced() -> None:
    class Slow(FakeKubeClient):
        gate = asyncio.Event()

        async def apply(self, manifest: Manifest, *, field_manager: str = "", force: bool = True) -> Manifest:
            await self.gate.wait()
            return await super().apply(manifest, field_manager=field_manager, force=force)

    client, counts = Slow(), Counts()

    async def play() -> None:
        writer = PowerWriter(client, counts, "one", lambda: "t", lambda: 0.0)
        writer.start()
        for revision in (1, 1, 2, 3):
            writer.want(PowerDecision(caps=(cap("a", revision),)))
            await turns(20)
        client.gate.set()
        await turns()
        await writer.close()

    asyncio.run(play())
    assert len(client.writes()) == 2
    assert client.objects[ObjectKey("NodePowerCap", "", "a")]["spec"]["revision"] == 3


def test_a_write_that_failed_waits_and_holds_up_no_other() -> None:
    now = [0.0]

    async def steps(writer: PowerWriter, client: FakeKubeClient) -> None:
        client.failing["apply", "NodePowerCap a"] = Unavailable("no")
        for seconds in (0.0, 0.5, 1.5, 2.0, 4.0):
            now[0] = seconds
            writer.want(PowerDecision(caps=(cap("a"), cap("b", int(seconds * 10)))))
            await turns()

    client, counts = played(steps, lambda: now[0])
    assert [name for verb, name in client.calls if verb == "apply"].count("NodePowerCap a") == 3
    assert counts.failures == ["apply"] * 3
    assert counts.wrote_verbs == ["apply NodePowerCap"] * 5


def test_a_pod_is_annotated_once_and_one_that_is_gone_is_no_failure() -> None:
    pod = ObjectKey("Pod", "team", "a")
    notes = tuple(PodNote(ObjectKey("Pod", "team", name), "uid-1", {"limit": "250"}, "held") for name in ("a", "gone"))

    async def steps(writer: PowerWriter, client: FakeKubeClient) -> None:
        client.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "team", "uid": "uid-1"}})
        writer.want(PowerDecision(notes=notes))
        await turns()

    client, counts = played(steps)
    assert client.objects[pod]["metadata"]["annotations"] == {"limit": "250"}
    assert counts.wrote_verbs == ["annotate Pod"]
    assert counts.failures == []
