"""Carries a decision out: writes children, statuses and Events to the cluster.

One other module writes, `fleet.calibration` its own ConfigMap (`tests/unit/repo/test_claims.py`).

Objects are written a few at a time, in an order that never leaves a route to nothing: Services, disruption budgets,
Deployments, routes, deletions, then statuses and Events. One failing object is counted, logged and turned into a
condition of its service; it stops nothing else. What has vanished meanwhile is passed over in silence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from medley_operator.domain.values.labels import CORE_SERVICE, DEPLOYMENT, DISRUPTION_BUDGET, HTTP_ROUTE, key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Apply, Decision, Delete, EventNote, ObjectKey, Snapshot, StatusWrite
from medley_operator.fleet.manifests import event_manifest, status_manifest
from medley_operator.fleet.ownership import check_owned
from medley_operator.fleet.report_write_failures import WriteFailure, report_write_failures
from medley_operator.kube.client import KubeClient, WriteCounter
from medley_operator.kube.errors import NAME_CONFLICT, NAMESPACE_TERMINATING, Conflict, KubeError, NotFound

CONCURRENCY = 8
APPLY_ORDER = (CORE_SERVICE, DISRUPTION_BUDGET, DEPLOYMENT, HTTP_ROUTE)

Item = TypeVar("Item")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Round:
    """The state of one publication so far."""

    snapshot: Snapshot
    uids: dict[ServiceKey, str]
    gone: set[ServiceKey] = field(default_factory=set)
    failures: dict[ServiceKey, list[WriteFailure]] = field(default_factory=dict)
    troubles: int = 0
    """Writes to try again, those without a condition included."""

    def failed_kinds(self, service: ServiceKey) -> set[str]:
        return {failure.key.kind for failure in self.failures.get(service, [])}


@dataclass(frozen=True, slots=True)
class Publisher:
    """`instance` is this process's name in Events."""

    client: KubeClient
    counter: WriteCounter
    instance: str
    timestamp: Callable[[], str]
    """The time as RFC 3339 in UTC with microseconds."""

    async def publish(self, snapshot: Snapshot, decision: Decision, *, now: str) -> int:
        """How many writes must be tried again; none of them raises. `now` is the time of changed conditions."""
        uids = {ServiceKey.of(each): each.metadata.uid for each in snapshot.services}
        this = Round(snapshot=snapshot, uids=uids)
        await self._find_gone(this, decision.applies)
        for kind in APPLY_ORDER:
            await _each(
                (each for each in decision.applies if each.manifest["kind"] == kind),
                lambda each: self._apply(this, each),
            )
        await _each(decision.deletes, lambda each: self._delete(this, each))
        reports = report_write_failures(snapshot, decision, this.failures, now=now)
        await _each(reports.statuses, lambda each: self._write_status(this, each))
        gone_uids = {this.uids.get(service) for service in this.gone}
        await _each((note for note in reports.events if note.uid not in gone_uids), self._post_event)
        return this.troubles

    async def _find_gone(self, this: Round, applies: Iterable[Apply]) -> None:
        """A service that was deleted while we planned must not get new objects: nobody would remove them."""
        creating = {each.service for each in applies if key_of(each.manifest) not in this.snapshot.children}

        async def look(service: ServiceKey) -> None:
            namespace, name = service
            try:
                found = await self.client.get(ObjectKey(kind="LLMService", namespace=namespace, name=name))
            except KubeError as error:
                # An unknown state is not a reason to create: the next round looks again.
                self._trouble(this, "apply", error)
                this.gone.add(service)
                return
            metadata = found["metadata"] if found else {}
            if metadata.get("uid") != this.uids.get(service) or metadata.get("deletionTimestamp"):
                this.gone.add(service)

        await _each(sorted(creating), look)

    async def _apply(self, this: Round, apply: Apply) -> None:
        key = key_of(apply.manifest)
        if apply.service in this.gone:
            return
        if key.kind == HTTP_ROUTE and CORE_SERVICE in this.failed_kinds(apply.service):
            return  # a route to a Service that is not there would lose requests
        try:
            known = await check_owned(self.client, this.snapshot, key, uid=this.uids.get(apply.service, ""))
            manifest = apply.manifest
            if known is not None:
                # The uid makes the write fail where the object was replaced since the look.
                manifest = manifest | {"metadata": manifest["metadata"] | {"uid": known}}
            await self.client.apply(manifest)
        except KubeError as error:
            self._failed(this, apply.service, key, error)
        else:
            self.counter.wrote(kind=key.kind, verb="apply")
            log.info("applied", extra={"object": str(key), "service": "/".join(apply.service)})

    async def _delete(self, this: Round, delete: Delete) -> None:
        # A Service stays while the route that may still point to it could not be changed.
        routed = this.failed_kinds(delete.service) & {HTTP_ROUTE, CORE_SERVICE}
        if delete.service in this.gone or (delete.key.kind == CORE_SERVICE and routed):
            return
        try:
            await self.client.delete(delete.key, uid=delete.uid)
        except (NotFound, Conflict):
            log.debug("gone before it was deleted", extra={"object": str(delete.key)})
        except KubeError as error:
            self._failed(this, delete.service, delete.key, error)
        else:
            self.counter.wrote(kind=delete.key.kind, verb="delete")
            log.info("deleted", extra={"object": str(delete.key), "service": "/".join(delete.service)})

    async def _write_status(self, this: Round, write: StatusWrite) -> None:
        try:
            await self.client.apply_status(status_manifest(write))
        except (NotFound, Conflict):
            log.debug("gone before its status was written", extra={"object": str(write.key)})
        except KubeError as error:
            self._trouble(this, "status", error)
        else:
            self.counter.wrote(kind=write.key.kind, verb="status")

    async def _post_event(self, note: EventNote) -> None:
        try:
            await self.client.create_event(event_manifest(note, timestamp=self.timestamp(), instance=self.instance))
        except KubeError as error:
            # An Event is posted once or not at all: repeating a late one would mislead.
            self.counter.failed("event")
            log.warning("event not posted", extra={"reason": error.reason, "error": error.message})
        else:
            self.counter.wrote(kind="Event", verb="event")

    def _failed(self, this: Round, service: ServiceKey, key: ObjectKey, error: KubeError) -> None:
        """A child was not written. Stale knowledge is cured by the next look and no condition for the user."""
        if error.reason == NAMESPACE_TERMINATING:
            this.gone.add(service)
            return
        self._trouble(this, "apply", error)
        if not isinstance(error, Conflict) or error.reason == NAME_CONFLICT:
            failure = WriteFailure(key=key, reason=error.reason, message=error.message)
            this.failures.setdefault(service, []).append(failure)

    def _trouble(self, this: Round, component: str, error: KubeError) -> None:
        this.troubles += 1
        self.counter.failed(component)
        log.warning("write failed", extra={"component": component, "reason": error.reason, "error": error.message})


async def _each(items: Iterable[Item], action: Callable[[Item], Awaitable[None]]) -> None:
    """Run `action` on all items, at most `CONCURRENCY` at a time."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(item: Item) -> None:
        async with gate:
            await action(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))
