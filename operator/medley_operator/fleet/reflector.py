"""Keeps one kind of the cluster in memory: LIST, then WATCH from there, for as long as the operator runs.

Each list replaces all that is known, so that nothing that went while nobody watched stays behind. Only what could not
be *listed* counts as an error of the kind: a watch that breaks is followed by a list.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.fleet.backoff import delay_seconds
from medley_operator.fleet.store import Listed, Store, StoreChange, version_of
from medley_operator.kube.client import KubeReader
from medley_operator.kube.errors import EXPIRED, KubeError, NotFound, Unavailable
from medley_operator.kube.resources import Resource

CALM_SECONDS = 5.0
"""A watch that held for this long ends a row of failures."""
GRACE_SECONDS = 15.0
"""A former list counts for this long after lists begin to fail in a way that passes by itself."""

Value = TypeVar("Value")
Changed = Callable[[str, ObjectKey, Any, Any], None]
"""Called with kind, key, old value and new value (None: not there), in the event loop's thread.

A key without a name stands for the kind: it can be listed from now on, or cannot any more.
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FollowedKind(Generic[Value]):
    """The part of a kind that is kept: objects that the selectors choose, and a value of each (None: leave it out)."""

    resource: Resource
    project: Callable[[Manifest], Value | None]
    label_selector: str = ""
    field_selector: str = ""
    namespace: str = ""
    """Where it is looked for; "": everywhere."""

    @property
    def selectors(self) -> dict[str, str]:
        """As `KubeReader` takes them."""
        return {
            "label_selector": self.label_selector,
            "field_selector": self.field_selector,
            "namespace": self.namespace,
        }


class Reflector(Generic[Value]):
    """Run `run` as a task and cancel it to stop. `clock` is monotonic, in seconds; `jitter` is a number in 0..1."""

    def __init__(
        self,
        reader: KubeReader,
        kind: FollowedKind[Value],
        *,
        changed: Changed,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._reader = reader
        self._kind = kind
        self._changed = changed
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._error: KubeError | None = None
        self._failing_since: float | None = None
        self._heard_at: float | None = None
        self._told = ""
        self._tried = asyncio.Event()
        self.store: Store[Value] = Store(kind.project)
        self.synced = False
        """Whether the kind was ever listed as a whole."""

    @property
    def error(self) -> KubeError | None:
        """Why the kind cannot be listed; None where what is known counts."""
        if self._error is None:
            return None if self.synced else Unavailable(f"cannot list {self._kind.resource}: not tried yet")
        if not self.synced or not self._error.retryable or self._failing_since is None:
            return self._error
        return self._error if self._clock() - self._failing_since > GRACE_SECONDS else None

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the API server last said anything about the kind, be it a bookmark; None: never."""
        return None if self._heard_at is None else self._clock() - self._heard_at

    async def tried(self) -> None:
        """Waits until a first list has come in or failed."""
        await self._tried.wait()

    async def run(self) -> None:
        """For ever: no failure ends it."""
        failures = 0
        while True:
            began = self._clock()
            error = await self._turn()
            failures = 1 if self._clock() - began > CALM_SECONDS and self._error is None else failures + 1
            self._tell(error, failures)
            # A version that is forgotten is nobody's fault: a list cures it.
            if error.reason != EXPIRED or failures > 1:
                await self._sleep(delay_seconds(failures) * (0.5 + 0.5 * self._jitter()))

    async def _turn(self) -> KubeError:
        """One list and the watches after it; returns what ended them."""
        try:
            await self._list()
            await self._follow()
        except KubeError as error:
            return error
        except Exception as error:
            log.exception("a reflector failed", extra={"kind": str(self._kind.resource)})
            return Unavailable(f"cannot follow {self._kind.resource}: {type(error).__name__}: {error}")

    async def _list(self) -> None:
        try:
            listed, version = await self._read_pages()
        except KubeError as error:
            self._fail(error)
            raise
        finally:
            self._tried.set()
        came = self.error is not None
        self._error, self._failing_since = None, None
        self.synced = True
        self._heard_at = self._clock()
        self._report(self.store.replace(listed, version=version))
        if came:
            self._report_kind()
        if self._told:
            self._told = ""
            log.info("a kind is followed again", extra={"kind": str(self._kind.resource)})

    async def _read_pages(self) -> tuple[Listed[Value], int]:
        kind, listed, version = self._kind, Listed[Value](), 0
        pages = self._reader.pages(kind.resource, **kind.selectors)
        async with aclosing(pages):
            async for page in pages:
                version = version_of({"metadata": {"resourceVersion": page.resource_version}})
                listed |= self.store.read(page.items)
        return listed, version

    def _fail(self, error: KubeError) -> None:
        before = self._error
        if error.retryable and before is not None and not before.retryable:
            # The last that the server said of the kind still holds while it says nothing.
            return
        self._error = error
        if self._failing_since is None:
            self._failing_since = self._clock()
        if isinstance(error, NotFound):
            self._report(self.store.clear())
        if before is None or before.reason != error.reason:
            self._report_kind()

    async def _follow(self) -> NoReturn:
        """Watch after watch, until one fails."""
        kind = self._kind
        while True:
            began = self._clock()
            version = str(self.store.version)
            events = self._reader.watch(kind.resource, resource_version=version, **kind.selectors)
            async with aclosing(events):
                async for event in events:
                    self._heard_at = self._clock()
                    change = self.store.see(event)
                    if change is not None:
                        self._report([change])
            if self._clock() - began < CALM_SECONDS:
                raise Unavailable(f"cannot watch {kind.resource}: the API server ends each watch at once")

    def _report(self, changes: Iterable[StoreChange[Value]]) -> None:
        for change in changes:
            self._changed(self._kind.resource.kind, change.key, change.old, change.new)

    def _report_kind(self) -> None:
        kind = self._kind.resource.kind
        self._changed(kind, ObjectKey(kind, "", ""), None, None)

    def _tell(self, error: KubeError, failures: int) -> None:
        """A line for each new reason. A kind that is not there is nothing to warn of: whoever needs it does."""
        if error.reason == EXPIRED:
            return
        told, self._told = self._told, error.reason
        if failures > 1 and told == error.reason:
            return
        level = logging.INFO if isinstance(error, NotFound) else logging.WARNING
        facts = {"kind": str(self._kind.resource), "reason": error.reason, "error": error.message}
        log.log(level, "a kind is not followed", extra=facts)
