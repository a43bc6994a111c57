"""Carries a decision out: writes children, their pods' annotations, statuses and Events to the cluster.

Beside it `fleet.calibration` and `fleet.lease` write, one object each (`tests/unit/repo/test_claims.py`).

Children are written a few at a time: none of the writes of one decision rests on another, so that what others changed
comes first, and what changes nothing that runs last. Then come notes on pods, and statuses with their Events.
`fleet.publication` says what is left to the next pass where something happens meanwhile. One failing object is
counted, logged and turned into a condition of its service; it stops nothing else, and waits before it is tried again.
Children have a limited time, so that statuses are always written. What has vanished meanwhile is passed over in
silence, and in a namespace that is being deleted nothing is written but statuses.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TypeVar

from medley_operator.domain.cluster.owner import Owner
from medley_operator.domain.values.decision import Apply, Decision, Delete, EventNote, PodNote, StatusWrite
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, ObjectKey
from medley_operator.fleet.manifests import event_manifest, status_manifest
from medley_operator.fleet.ownership import check_owned
from medley_operator.fleet.publication import CALM, FEWEST_STATUSES, MOST_BRIEF, Meanwhile, Phase, Published, Round
from medley_operator.fleet.report_write_failures import WriteFailure, report_write_failures
from medley_operator.fleet.write_backoff import WriteBackoff
from medley_operator.kube.client import KubeClient, WriteCounter
from medley_operator.kube.errors import NAME_CONFLICT, NAMESPACE_TERMINATING, Conflict, KubeError, NotFound, Withheld

CONCURRENCY = 8
Item = TypeVar("Item")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publisher:
    """`instance` is this process's name in Events."""

    client: KubeClient
    counter: WriteCounter
    instance: str
    timestamp: Callable[[], str]
    """The time as RFC 3339 in UTC with microseconds."""
    backoff: WriteBackoff = field(default_factory=lambda: WriteBackoff(clock=time.monotonic))

    async def publish(
        self, view: ActuatorView, decision: Decision, *, now: str, meanwhile: Meanwhile = CALM
    ) -> Published:
        """Carries the decision out; no write that fails raises. `now` is the time of changed conditions. From when it
        hurries no more statuses are begun once the first few are and they had their part of the time. No Event of what
        was not written is posted."""
        decision = _outside(decision, view.ending)
        owners = {ServiceKey.of(each): Owner.of(each) for each in view.services}
        this = Round(view, owners, meanwhile, brief=self.backoff.cuts < MOST_BRIEF)
        self.backoff.begin_round(_wanted(view, decision))
        await self._find_gone(this, decision.applies)
        applies = sorted(
            decision.applies, key=lambda each: (self.backoff.failures(key_of(each.manifest)), *this.urgency(each))
        )
        await _each(applies, lambda each: self._apply(this, each))
        await _each(decision.deletes, lambda each: self._delete(this, each))
        await _each(decision.pod_notes, lambda each: self._annotate(this, each))
        reports = report_write_failures(view, decision, this.failures, unwritten=this.unwritten, now=now)
        self.backoff.begin_phase()
        statuses = sorted(reports.statuses, key=lambda each: self.backoff.failures(each.key))
        gone_uids = {this.owner(service).uid for service in this.gone}
        notes: dict[str, list[EventNote]] = {write.uid: [] for write in statuses}
        for note in reports.events:
            if note.uid not in gone_uids:
                notes.setdefault(note.uid, []).append(note)
        await _each(statuses, lambda each: self._report(this, each, notes.pop(each.uid, [])))
        await _each((note for told in notes.values() for note in told), self._post_event)
        self.backoff.cuts = self.backoff.cuts + 1 if this.cut and this.brief else 0
        return Published(this.troubles, frozenset(this.unwritten), frozenset(this.unasked))

    async def _find_gone(self, this: Round, applies: Iterable[Apply]) -> None:
        """A service that was deleted while we planned must not get new objects, since nobody would remove them, nor
        adopt orphans, since these would be removed with it."""
        known = this.view.children

        def is_new(each: Apply) -> bool:
            found = known.get(key_of(each.manifest))
            return found is None or not this.owner(each.service).controls(found)

        creating = {each.service for each in applies if is_new(each)}

        async def look(service: ServiceKey) -> None:
            namespace, name = service
            if not this.begins(Phase.LOOK):
                this.unseen.add(service)
                this.unwritten.add(service)
                return
            if self.backoff.over:
                this.troubles += 1
                this.unwritten.add(service)
                this.gone.add(service)
                return
            try:
                found = await self.client.get(ObjectKey(kind="LLMService", namespace=namespace, name=name))
            except KubeError as error:
                # An unknown state is not a reason to create: the next round looks again.
                self._trouble(this, "apply", error)
                this.gone.add(service)
                return
            metadata = found["metadata"] if found else {}
            if metadata.get("uid") != this.owner(service).uid or metadata.get("deletionTimestamp"):
                this.gone.add(service)

        await _each(sorted(creating), look)

    async def _apply(self, this: Round, apply: Apply) -> None:
        key = key_of(apply.manifest)
        if apply.service in this.gone or apply.service in this.unseen:
            return
        if not self._may_write(this, Phase.APPLY, apply.service, key):
            return
        try:
            known = await check_owned(self.client, this.view, key, owner=this.owner(apply.service))
            manifest = apply.manifest
            if known is not None:
                # The uid makes the write fail where the object was replaced since the look.
                manifest = manifest | {"metadata": manifest["metadata"] | {"uid": known}}
            await self.client.apply(manifest)
        except KubeError as error:
            self._failed(this, apply.service, key, error)
        else:
            self.backoff.succeeded(key)
            self.counter.wrote(kind=key.kind, verb="apply")
            log.info("applied", extra={"object": str(key), "service": "/".join(apply.service)})

    async def _delete(self, this: Round, delete: Delete) -> None:
        if delete.service in this.gone or not self._may_write(this, Phase.DELETE, delete.service, delete.key):
            return
        try:
            await self.client.delete(delete.key, uid=delete.uid)
        except (NotFound, Conflict):
            log.debug("gone before it was deleted", extra={"object": str(delete.key)})
        except KubeError as error:
            self._failed(this, delete.service, delete.key, error)
        else:
            self.backoff.succeeded(delete.key)
            self.counter.wrote(kind=delete.key.kind, verb="delete")
            log.info("deleted", extra={"object": str(delete.key), "service": "/".join(delete.service)})

    async def _annotate(self, this: Round, note: PodNote) -> None:
        """Where it fails the pod serves all the same: that is counted, and no condition of its service."""
        facts = {"object": str(note.key), "reason": note.why}
        if not this.begins(Phase.NOTE):
            this.unasked.add(note.uid)
            return
        if not self.backoff.may_write(note.key):
            this.troubles += 1
            return
        try:
            await self.client.annotate(note.key, note.annotations, uid=note.uid, labels=note.labels)
        except (NotFound, Conflict, Withheld):
            log.debug("pod is gone, or is left as it is", extra=facts)
        except KubeError as error:
            self._trouble(this, "apply", error)
            self.backoff.failed(WriteFailure.of(note.key, error), error)
        else:
            self.backoff.succeeded(note.key)
            self.counter.wrote(kind=note.key.kind, verb="annotate")
            log.info("pod patched", extra=facts)

    async def _report(self, this: Round, write: StatusWrite, notes: Iterable[EventNote]) -> None:
        """An Event is made from the status, so one whose status was not written would be posted again in each pass."""
        await self._write_status(this, write)
        if write.uid not in this.unreported:
            for note in notes:
                await self._post_event(note)

    async def _write_status(self, this: Round, write: StatusWrite) -> None:
        enough = this.begun[Phase.STATUS] >= FEWEST_STATUSES and not self.backoff.owed
        if (enough and this.meanwhile.hurries()) or not this.begins(Phase.STATUS):
            this.unreported.add(write.uid)
            return
        if not self.backoff.may_write(write.key):
            this.troubles += 1
            this.unreported.add(write.uid)
            return
        try:
            await self.client.apply_status(status_manifest(write))
        except (NotFound, Conflict, Withheld):
            log.debug("gone or kept before its status was written", extra={"object": str(write.key)})
        except KubeError as error:
            this.unreported.add(write.uid)
            self._trouble(this, "status", error)
            self.backoff.failed(WriteFailure.of(write.key, error), error)
        else:
            self.backoff.succeeded(write.key)
            self.counter.wrote(kind=write.key.kind, verb="status")

    async def _post_event(self, note: EventNote) -> None:
        if self.backoff.over:
            self.counter.failed("event")
            return
        try:
            await self.client.create_event(event_manifest(note, timestamp=self.timestamp(), instance=self.instance))
        except Withheld:
            return
        except KubeError as error:
            if error.reason == NAMESPACE_TERMINATING:
                return
            # An Event is posted once or not at all: repeating a late one would mislead.
            self.counter.failed("event")
            log.warning("event not posted", extra={"reason": error.reason, "error": error.message})
        else:
            self.counter.wrote(kind="Event", verb="event")

    def _may_write(self, this: Round, phase: Phase, service: ServiceKey, key: ObjectKey) -> bool:
        waits = not self.backoff.may_write(key)
        if not waits and this.begins(phase, key):
            return True
        this.troubles += waits
        this.unwritten.add(service)
        failure = self.backoff.last_failure(key)
        if failure is not None:
            this.failures.setdefault(service, []).append(failure)
        return False

    def _failed(self, this: Round, service: ServiceKey, key: ObjectKey, error: KubeError) -> None:
        """A child was not written. Stale knowledge is cured by the next look and no condition for the user."""
        this.unwritten.add(service)
        if error.reason == NAMESPACE_TERMINATING:
            this.gone.add(service)
            return
        failure = WriteFailure.of(key, error)
        if isinstance(error, Withheld):
            this.failures.setdefault(service, []).append(failure)
            return  # counted and logged where it was kept back; there is nothing to try again
        self._trouble(this, "apply", error)
        if not isinstance(error, Conflict) or error.reason == NAME_CONFLICT:
            self.backoff.failed(failure, error)
            this.failures.setdefault(service, []).append(failure)

    def _trouble(self, this: Round, component: str, error: KubeError) -> None:
        this.troubles += 1
        self.counter.failed(component)
        log.warning("write failed", extra={"component": component, "reason": error.reason, "error": error.message})


def _outside(decision: Decision, ending: AbstractSet[str]) -> Decision:
    """The decision without what it writes in namespaces that are being deleted, but for statuses."""
    if not ending:
        return decision
    return replace(
        decision,
        applies=tuple(each for each in decision.applies if each.service.namespace not in ending),
        deletes=tuple(each for each in decision.deletes if each.key.namespace not in ending),
        pod_notes=tuple(each for each in decision.pod_notes if each.key.namespace not in ending),
        events=tuple(each for each in decision.events if each.regarding.namespace not in ending),
    )


def _wanted(view: ActuatorView, decision: Decision) -> Iterator[ObjectKey]:
    """Everything that this round may write."""
    yield from (key_of(each.manifest) for each in decision.applies)
    yield from (each.key for each in decision.deletes)
    yield from (each.key for each in decision.pod_notes)
    yield from (each.key for each in decision.statuses)
    for service in view.services:
        yield ObjectKey(kind="LLMService", namespace=service.metadata.namespace, name=service.metadata.name)


async def _each(items: Iterable[Item], action: Callable[[Item], Awaitable[None]]) -> None:
    """Run `action` on all items, at most `CONCURRENCY` at a time."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(item: Item) -> None:
        async with gate:
            await action(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))
