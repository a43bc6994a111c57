"""The actuator's loop: the task that turns intents and what is seen into writes, a pass at a time.

It waits for nothing of the planner but its first intent: no solver and no Prometheus is between an event of a child and
the write that answers it. Passes never overlap, and no failure ends the loop: it is logged, counted and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from medley_operator.domain.act import act
from medley_operator.domain.passes import Steps
from medley_operator.domain.rollout.intent import FleetIntent
from medley_operator.domain.rollout.unchanged import with_former
from medley_operator.domain.values.decision import Decision
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.snapshot import ActuatorView, ObjectKey
from medley_operator.fleet.backoff import delay_seconds
from medley_operator.fleet.fault_log import FaultLog
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.publication import Meanwhile, Published
from medley_operator.kube.errors import KubeError
from medley_operator.metrics.exporter import Exporter

IDLE_SECONDS = 0.05
"""A pass starts this long after the mark that asks for it, so that events that come together are answered together."""
MOST_STEPS = 8
"""Passes in a row that may write, each at once after the one before; a replacement of a variant takes some five."""

log = logging.getLogger(__name__)


class Viewer(Protocol):
    def look(self) -> ActuatorView:
        """The cluster as it is seen now. Raises `KubeError` where that is not enough to act on."""


class Writer(Protocol):
    async def publish(
        self, view: ActuatorView, decision: Decision, *, now: str, meanwhile: Meanwhile = ...
    ) -> Published: ...


@dataclass(frozen=True, slots=True)
class Pass:
    """The result of a pass: whether it changed a child, writes to try again, and when time alone asks for the next."""

    wrote: bool
    troubles: int
    wait_seconds: float | None


class Actuator:
    """Call `adopt` and `mark` from the event loop's thread; run `run` as a task and cancel it to stop."""

    def __init__(
        self,
        *,
        viewer: Viewer,
        publisher: Writer,
        exporter: Exporter,
        heartbeat: Heartbeat,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._viewer = viewer
        self._publisher = publisher
        self._exporter = exporter
        self._heartbeat = heartbeat
        self._faults = FaultLog(exporter)
        self._clock = clock
        self._intent: FleetIntent | None = None
        self._steps = Steps()
        self._marked = asyncio.Event()
        self._first_mark_at: float | None = None
        self._disturbed: set[ObjectKey] = set()
        """Children that others changed since the last look."""
        self._under_way: set[ObjectKey] = set()
        """Those that the pass has begun to write: the watch may bring a write before its answer."""
        self._failures = 0
        self._rewrites = 0
        # Of its own, so that no pass waits for a thread while the planner computes.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="actuator")

    def adopt(self, intent: FleetIntent) -> None:
        """Act on this intent from now on."""
        self._intent = with_former(intent, self._intent)
        self.mark()

    def mark(self, *, at: float | None = None) -> None:
        """Something that counts changed, at the time `at` of the actuator's clock."""
        if self._first_mark_at is None:
            self._first_mark_at = self._clock() if at is None else at
        self._marked.set()

    def disturb(self, child: ObjectKey) -> None:
        """Others changed that child; `mark` is called for it too."""
        if child not in self._under_way:
            self._disturbed.add(child)

    async def run(self) -> None:
        """Pass after pass, until cancelled."""
        wait_seconds: float | None = None
        while True:
            self._heartbeat.rest()
            await until_set(self._marked, wait_seconds)
            self._heartbeat.begin("actuator")
            await asyncio.sleep(IDLE_SECONDS)
            done = await self.one_pass()
            self._failures = self._failures + 1 if done.troubles else 0
            self._rewrites = self._rewrites + 1 if done.wrote else 0
            wait_seconds = delay_seconds(self._failures) if done.troubles else done.wait_seconds
            if done.wrote and not done.troubles:
                # What was written makes the next step possible. Where passes never stop writing, something takes back
                # what we write: no faster then than the planner looks.
                calm = delay_seconds(self._rewrites - MOST_STEPS) if self._rewrites > MOST_STEPS else 0.0
                wait_seconds = calm if wait_seconds is None else min(calm, wait_seconds)

    async def one_pass(self) -> Pass:
        """One look and its writes; whatever goes wrong in it is counted as a trouble."""
        self._marked.clear()
        marked_at, self._first_mark_at = self._first_mark_at, None
        if self._intent is None:
            return Pass(wrote=False, troubles=0, wait_seconds=None)
        first, self._disturbed = self._disturbed, set()
        try:
            view = self._viewer.look()
            now = utc_text(time.time())
            acting = partial(act, self._intent, view, self._steps, now=now)
            decision, steps = await asyncio.get_running_loop().run_in_executor(self._thread, acting)
            self._faults.report(view, decision.faults)
            if marked_at is not None and (decision.applies or decision.deletes):
                self._exporter.acting(seconds_since_event=self._clock() - marked_at)
            meanwhile = Meanwhile(self._marked.is_set, lambda: bool(self._disturbed), first, self._under_way.add)
            published = await self._publisher.publish(view, decision, now=now, meanwhile=meanwhile)
            self._steps = steps.but_for(published.unwritten, self._steps, published.unasked)
        except Exception as error:
            if isinstance(error, KubeError):
                log.error("pass failed", extra={"reason": error.reason, "error": error.message})
            else:
                log.exception("pass failed")
            self._exporter.failed("act")
            self._disturbed |= first
            return Pass(wrote=False, troubles=1, wait_seconds=None)
        finally:
            self._under_way.clear()
        self._exporter.show(decision.gauges)
        wrote = bool(decision.applies or decision.deletes or decision.pod_notes)
        return Pass(wrote=wrote, troubles=published.troubles, wait_seconds=decision.wait_seconds)


async def until_set(event: asyncio.Event, seconds: float | None) -> None:
    """Returns when the event is set, or after that time (None: it waits for ever)."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
