"""List, watch, and list again: what a reflector does when the API server answers, ends, forgets, refuses or is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.fleet.reflector import GRACE_SECONDS, FollowedKind, Reflector
from medley_operator.kube.client import Page, WatchEvent, WatchType
from medley_operator.kube.errors import EXPIRED, Forbidden, KubeError, NotFound, Unavailable
from medley_operator.kube.resources import DEPLOYMENTS, Resource

GONE = Unavailable("cannot watch deployments.apps: too old resource version", reason=EXPIRED)
Watched = list[WatchEvent | KubeError]


def thing(name: str, version: int, value: str = "v") -> Manifest:
    metadata = {"name": name, "namespace": "n", "resourceVersion": str(version)}
    return {"kind": "Deployment", "metadata": metadata, "v": value}


def event(type_: str, name: str, version: int, value: str = "v") -> WatchEvent:
    return WatchEvent(WatchType(type_), thing(name, version, value))


@dataclass
class Script:
    """Answers of lists and watches in turn; after the last, the server says nothing any more and it is `over`."""

    lists: list[list[Page] | KubeError] = field(default_factory=list)
    watches: list[Watched] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: float = 100.0
    watch_seconds: float = 300.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def _silence(self) -> None:
        self.over.set()
        await asyncio.Event().wait()

    async def pages(
        self, resource: Resource, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
    ) -> AsyncGenerator[Page, None]:
        self.asked.append(f"list {label_selector}{field_selector}")
        if not self.lists:
            await self._silence()
        answer = self.lists.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        for page in answer:
            yield page

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        namespace: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        self.asked.append(f"watch {resource_version} {label_selector}{field_selector}")
        if not self.watches:
            await self._silence()
        for each in self.watches.pop(0):
            if isinstance(each, KubeError):
                raise each
            yield each
        self.now += self.watch_seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class Told:
    changes: list[tuple[str, Any, Any]] = field(default_factory=list)

    def __call__(self, kind: str, key: ObjectKey, old: Any, new: Any) -> None:
        assert kind == key.kind == "Deployment"
        self.changes.append((key.name, old, new))


@asynccontextmanager
async def reflecting(script: Script, told: Told) -> AsyncIterator[Reflector[str]]:
    """A reflector that has come to the end of the script."""
    kind = FollowedKind(DEPLOYMENTS, lambda manifest: str(manifest["v"]), label_selector="l", field_selector="f")
    reflector = Reflector(script, kind, changed=told, clock=lambda: script.now, sleep=script.sleep, jitter=lambda: 1.0)
    task = asyncio.create_task(reflector.run())
    async with asyncio.timeout(5.0):
        await script.over.wait()
    yield reflector
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def pages(*items: Manifest, version: int) -> list[Page]:
    return [Page([item], str(version)) for item in items] or [Page([], str(version))]


def names(reflector: Reflector[str]) -> list[str]:
    return [key.name for key in sorted(reflector.store.values)]


async def test_watches_go_on_from_the_last_version_and_bookmark() -> None:
    bookmark = WatchEvent(WatchType.BOOKMARK, {"kind": "Deployment", "metadata": {"resourceVersion": "70"}})
    script = Script([pages(thing("a", 1), thing("b", 2), version=50)], [[event("ADDED", "c", 60), bookmark]])
    told = Told()
    async with reflecting(script, told) as reflector:
        assert script.asked == ["list lf", "watch 50 lf", "watch 70 lf"]
        assert names(reflector) == ["a", "b", "c"]
        assert (reflector.error, reflector.synced, script.slept) == (None, True, [])
        assert reflector.age_seconds == script.watch_seconds
    assert told.changes == [("a", None, "v"), ("b", None, "v"), ("", None, None), ("c", None, "v")]


async def test_a_forgotten_version_is_listed_anew_at_once_and_what_went_meanwhile_is_gone() -> None:
    """Ghosts after a watch gap: objects deleted while the history was compacted."""
    script = Script(
        [pages(thing("a", 1), thing("b", 2), version=50), pages(thing("b", 2), version=90)],
        [[event("MODIFIED", "a", 60, "w")], [GONE]],
    )
    told = Told()
    async with reflecting(script, told) as reflector:
        assert names(reflector) == ["b"]
        assert script.slept == []
    assert told.changes[-1] == ("a", "w", None)


async def test_a_list_whose_later_page_expires_begins_again_and_leaves_nothing_of_the_first() -> None:
    class Torn(Script):
        async def pages(
            self, resource: Resource, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
        ) -> AsyncGenerator[Page, None]:
            async for page in super().pages(resource):
                yield page
            if len(self.asked) == 1:
                raise GONE

    script = Torn([pages(thing("old", 1), version=10), pages(thing("new", 12), version=20)])
    async with reflecting(script, Told()) as reflector:
        assert names(reflector) == ["new"]
        assert reflector.error is None


async def test_what_breaks_is_listed_again_after_longer_and_longer() -> None:
    away = Unavailable("cannot watch: cut off")
    script = Script([pages(version=10 * n) for n in range(1, 5)], [[away], [away], [away]], watch_seconds=0.0)
    async with reflecting(script, Told()) as reflector:
        assert script.slept == [1.0, 2.0, 4.0]
        assert reflector.error is None


async def test_watches_that_end_at_once_do_not_spin() -> None:
    script = Script([pages(version=10), pages(version=20)], [[]], watch_seconds=0.0)
    async with reflecting(script, Told()):
        assert script.asked == ["list lf", "watch 10 lf", "list lf", "watch 20 lf"]
        assert script.slept == [1.0]


async def test_a_kind_that_goes_is_empty_and_stays_so_while_the_server_is_away() -> None:
    absent = NotFound("no deployments")
    script = Script([pages(thing("a", 1), version=10), absent, Unavailable("away")], [[absent]])
    told = Told()
    async with reflecting(script, told) as reflector:
        assert names(reflector) == []
        assert told.changes[-2:] == [("a", "v", None), ("", None, None)]
        assert reflector.error is absent


async def test_a_kind_that_comes_later_is_told() -> None:
    script = Script([NotFound("no deployments"), pages(thing("a", 11), version=20)])
    told = Told()
    async with reflecting(script, told) as reflector:
        assert reflector.error is None
    assert told.changes == [("", None, None), ("a", None, "v"), ("", None, None)]


async def test_a_right_that_is_taken_away_counts_at_once_and_what_was_seen_stays() -> None:
    denied = Forbidden("cannot list deployments.apps: no right")
    script = Script([pages(thing("a", 1), version=10), denied, denied], [[denied]])
    told = Told()
    async with reflecting(script, told) as reflector:
        assert names(reflector) == ["a"]
        assert told.changes[-1] == ("", None, None)
        assert reflector.error is denied


async def test_a_server_that_is_away_for_a_moment_is_no_reason_to_doubt_what_was_listed() -> None:
    away = Unavailable("cannot list: away")
    script = Script([pages(thing("a", 1), version=10), away], [[away]])
    async with reflecting(script, Told()) as reflector:
        assert reflector.error is None
        script.now += GRACE_SECONDS
        assert reflector.error is away
        assert names(reflector) == ["a"]


async def test_before_the_first_list_there_is_an_error() -> None:
    reflector = Reflector(Script(), FollowedKind(DEPLOYMENTS, str), changed=Told())
    assert reflector.error is not None
    assert (reflector.synced, reflector.age_seconds) == (False, None)


async def test_one_line_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    denied, absent = Forbidden("cannot list: no right"), NotFound("cannot list: no such kind")
    script = Script([denied, denied, absent, absent, pages(version=10)])
    with caplog.at_level("INFO"):
        async with reflecting(script, Told()):
            pass
    told = [(record.levelname, record.__dict__.get("reason")) for record in caplog.records]
    assert told == [("WARNING", "Forbidden"), ("INFO", "NotFound"), ("INFO", None)]


async def test_a_fault_of_ours_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Script):
        async def pages(
            self, resource: Resource, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
        ) -> AsyncGenerator[Page, None]:
            if not self.asked:
                self.asked.append("broken")
                raise ValueError("no such thing")
            async for page in super().pages(resource):
                yield page

    async with reflecting(Broken([pages(thing("a", 1), version=10)]), Told()) as reflector:
        assert names(reflector) == ["a"]
    assert any(record.msg == "a reflector failed" for record in caplog.records)
