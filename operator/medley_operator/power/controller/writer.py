"""Carries decisions of the controller of power out, beside its rounds: caps first, then renewals, statuses and Events.

A round hands in all that it wants to be written; what is not under way by the next one is replaced by what that one
wants. So a slow API server never delays the policy, and nothing outdated waits in a queue. A write that failed waits
longer each time; the rounds repeat it while it is wanted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from medley_operator.domain.power.controller import PowerDecision
from medley_operator.domain.power.report import WARNINGS
from medley_operator.domain.power.tell import Notice
from medley_operator.domain.values.decision import EventNote, EventType, PodNote
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.fleet.backoff import delay_seconds
from medley_operator.fleet.manifests import event_manifest, status_manifest
from medley_operator.kube.client import KubeClient, WriteCounter
from medley_operator.kube.errors import Conflict, KubeError, NotFound

WORKERS = 16
FIELD_MANAGER = "medley-power"
STATUS_FIELD_MANAGER = "medley-power-status"
MOST_EVENTS = 200
"""Events that wait; older ones are dropped when more come, since a status says the same."""

log = logging.getLogger(__name__)
Send = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A write that is wanted. `content` is compared, so that none is sent twice while it is under way."""

    verb: str
    content: object
    send: Send


@dataclass(slots=True)
class PowerWriter:
    """`start`, then `want` in each round; `close` at the end. `clock` is monotonic; `timestamp` is RFC 3339."""

    client: KubeClient
    counter: WriteCounter
    instance: str
    timestamp: Callable[[], str]
    clock: Callable[[], float]
    _waiting: dict[tuple[str, ObjectKey], _Wanted] = field(default_factory=dict, init=False)
    _events: deque[Notice] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS), init=False)
    _under_way: dict[tuple[str, ObjectKey], object] = field(default_factory=dict, init=False)
    _failures: dict[tuple[str, ObjectKey], tuple[int, float]] = field(default_factory=dict, init=False)
    """How often in a row a write failed, and when it may be tried again."""
    _work: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list, init=False)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(), name=f"writer {index}") for index in range(WORKERS)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def want(self, decision: PowerDecision) -> None:
        """All that is to be written now; what was wanted before and is not begun is forgotten, but for Events."""
        wanted: dict[tuple[str, ObjectKey], _Wanted] = {}
        for cap in sorted(decision.caps, key=lambda each: each.renewal):
            verb = "renew" if cap.renewal else "apply"
            wanted["apply", key_of(cap.manifest)] = _Wanted(verb, _limits(cap.manifest), self._applying(cap.manifest))
        for status in decision.statuses:
            manifest = status_manifest(status)
            wanted["status", status.key] = _Wanted("status", status.status, self._reporting(manifest))
        for note in decision.notes:
            wanted["annotate", note.key] = _Wanted("annotate", note.annotations, self._annotating(note))
        for delete in decision.deletes:
            wanted["delete", delete.key] = _Wanted("delete", delete.uid, self._deleting(delete.key, delete.uid))
        now = self.clock()
        self._failures = {slot: known for slot, known in self._failures.items() if slot in wanted}
        self._waiting = {
            slot: each
            for slot, each in wanted.items()
            if self._failures.get(slot, (0, now))[1] <= now and self._under_way.get(slot) != each.content
        }
        self._events.extend(decision.notices)
        if self._waiting or self._events:
            self._work.set()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            slot = next((each for each in self._waiting if each not in self._under_way), None)
            if slot is not None:
                await self._write(slot, self._waiting.pop(slot))
            elif self._events and not self._waiting:
                await self._post(self._events.popleft())
            else:
                # Where all that waits is under way to the same objects, the end of these writes wakes a worker.
                self._work.clear()

    async def _write(self, slot: tuple[str, ObjectKey], wanted: _Wanted) -> None:
        _, key = slot
        self._under_way[slot] = wanted.content
        try:
            await wanted.send()
        except (NotFound, Conflict):
            log.debug("gone before it was written", extra={"object": str(key), "verb": wanted.verb})
        except KubeError as error:
            failures = self._failures.get(slot, (0, 0.0))[0] + 1
            self._failures[slot] = (failures, self.clock() + delay_seconds(failures))
            self.counter.failed(wanted.verb)
            facts = {"object": str(key), "verb": wanted.verb, "reason": error.reason, "error": error.message}
            log.warning("write failed", extra=facts)
        else:
            self._failures.pop(slot, None)
            self.counter.wrote(kind=key.kind, verb=wanted.verb)
            if wanted.verb == "apply":
                log.info("caps written", extra={"node": key.name})
        finally:
            del self._under_way[slot]
            self._work.set()

    async def _post(self, notice: Notice) -> None:
        warns = notice.kind in WARNINGS
        kind = EventType.WARNING if warns else EventType.NORMAL
        note = EventNote(notice.about, notice.uid, kind, notice.kind.value, notice.message)
        log.log(
            logging.WARNING if warns else logging.INFO,
            notice.message,
            extra={"reason": notice.kind.value, "facts": dict(notice.facts)},
        )
        try:
            await self.client.create_event(event_manifest(note, timestamp=self.timestamp(), instance=self.instance))
        except KubeError as error:
            self.counter.failed("event")
            log.warning("event not posted", extra={"reason": error.reason, "error": error.message})
        else:
            self.counter.wrote(kind="Event", verb="event")

    def _applying(self, manifest: Manifest) -> Send:
        return lambda: self.client.apply(manifest, field_manager=FIELD_MANAGER)

    def _reporting(self, manifest: Manifest) -> Send:
        return lambda: self.client.apply_status(manifest, field_manager=STATUS_FIELD_MANAGER)

    def _annotating(self, note: PodNote) -> Send:
        return lambda: self.client.annotate(note.key, note.annotations, uid=note.uid)

    def _deleting(self, key: ObjectKey, uid: str) -> Send:
        return lambda: self.client.delete(key, uid=uid)


def _limits(manifest: Manifest) -> object:
    """The spec without the time of the lease: two renewals of one node are not under way at once."""
    return {name: value for name, value in manifest["spec"].items() if name != "lease"}
