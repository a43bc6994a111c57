"""The planner's loop: the one task that turns what is seen into what each service is to have.

Level-triggered: events only say that a look is due, each round starts from complete lists. Rounds never overlap, and
no failure ends the loop: it is logged, counted and tried again later. The actuator (`fleet.actuate`) does the rest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from medley_operator.domain.advice import with_advice
from medley_operator.domain.conclude import Conclusion
from medley_operator.domain.rollout.intent import FleetIntent
from medley_operator.domain.values.candidates import Prepared
from medley_operator.domain.values.decision import Decision
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.fleet.actuate import Writer, until_set
from medley_operator.fleet.backoff import delay_seconds
from medley_operator.fleet.debounce import Batch, Debounce
from medley_operator.fleet.fault_log import FaultLog, unread
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.observe import Observed
from medley_operator.fleet.table_queue import Wishes
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import Resource
from medley_operator.metrics.exporter import Exporter, RoundOutcome
from medley_planner.capacity import GridRatios, TableGroup
from medley_planner.check import Subject
from medley_planner.fleet_plan import PlanFailure, PlanOrFailure
from medley_planner.model import Problem

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Looker(Protocol):
    async def observe(self) -> Observed: ...

    async def learn(self, snapshot: Snapshot) -> None:
        """Called at the end of a round, for the next one."""


class Solver(Protocol):
    async def solve(
        self, problem: Problem, *, deadline_seconds: float, subjects: Mapping[str, Subject]
    ) -> PlanOrFailure: ...


class Tables(Protocol):
    @property
    def known(self) -> Mapping[TableGroup, tuple[GridRatios, ...]]: ...

    async def want(self, missing: Wishes, used: Collection[TableGroup] = ()) -> bool: ...


class Concluder(Protocol):
    def __call__(
        self, snapshot: Snapshot, prepared: Prepared, outcome: PlanOrFailure | None, memory: FleetMemory, /, *, now: str
    ) -> Conclusion: ...


class Actor(Protocol):
    def adopt(self, intent: FleetIntent) -> None:
        """Act on this from now on."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a round. `on_available` gets the kinds that the API server has, so that they can be watched.

    `tables` None: capacities are the closed form's. `on_planned` gets what each plan was made from, and must not wait.
    """

    observer: Looker
    prepare: Callable[[Snapshot, FleetMemory], Prepared]
    solver: Solver
    conclude: Concluder
    publisher: Writer
    actuator: Actor
    exporter: Exporter
    heartbeat: Heartbeat
    on_available: Callable[[frozenset[Resource]], None]
    tables: Tables | None = None
    on_planned: Callable[[Snapshot, Prepared, FleetMemory, PlanOrFailure | None], None] | None = None


class FleetLoop:
    """Call `mark_dirty` from the event loop's thread; run `run` as a task and cancel it to stop."""

    def __init__(
        self,
        parts: Parts,
        *,
        debounce: Debounce,
        deadline_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] | None = None,
    ) -> None:
        self._parts = parts
        self._debounce = debounce
        self._deadline_seconds = deadline_seconds
        self._clock = clock
        self._wait = wait or until_set
        self._changed = asyncio.Event()
        self._failures = 0
        self._faults = FaultLog(parts.exporter)
        self.memory = FleetMemory()

    def mark_dirty(self, reason: str, *, at: float | None = None) -> None:
        """Something of that kind changed, at the time `at` of the loop's clock."""
        self._debounce.mark(reason, now=self._clock() if at is None else at)
        self._changed.set()

    async def run(self) -> None:
        """Round after round, until cancelled."""
        self._parts.heartbeat.begin("planner")
        while True:
            while (seconds := self._debounce.seconds_until_due(self._clock())) > 0:
                self._changed.clear()
                await self._wait(self._changed, seconds)
            await self.round(self._debounce.take(self._clock()))

    async def round(self, batch: Batch) -> RoundOutcome:
        """One round; whatever goes wrong in it is an outcome."""
        started = self._clock()
        error = ""
        try:
            outcome, troubles = await self._try_round(batch)
        except _StepError as failure:
            outcome, troubles, error = RoundOutcome.FAILED, 1, str(failure)
            self._parts.exporter.failed(failure.component)
        self._failures = self._failures + 1 if troubles else 0
        if troubles:
            self._debounce.retry_in(delay_seconds(self._failures), now=self._clock())
        self._parts.exporter.round_ended(outcome)
        self._parts.heartbeat.beat(error=error)
        seconds = round(self._clock() - started, 3)
        facts = {"outcome": outcome.value, "reasons": batch.reasons, "seconds": seconds, "troubles": troubles}
        log.log(logging.INFO if troubles or not _quiet(batch) else logging.DEBUG, "round ended", extra=facts)
        return outcome

    async def _try_round(self, batch: Batch) -> tuple[RoundOutcome, int]:
        parts = self._parts
        observed = await self._step("observe", parts.observer.observe())
        parts.on_available(observed.available)
        parts.heartbeat.degrade(observed.degraded)
        if observed.metrics_failed:
            parts.exporter.failed("metrics")
        snapshot, prepared = await self._step("plan", self._prepare(observed.snapshot))
        if batch.first_event_at is not None:
            parts.exporter.plan_started(seconds_since_event=self._clock() - batch.first_event_at)
        outcome = await self._step("plan", self._plan(prepared))
        if parts.on_planned is not None:
            parts.on_planned(snapshot, prepared, self.memory, outcome)
        now = utc_text(time.time())
        concluding = asyncio.to_thread(parts.conclude, snapshot, prepared, outcome, self.memory, now=now)
        conclusion = await self._step("plan", concluding)
        self.memory = conclusion.memory
        faults = (*unread(snapshot.rejected), *prepared.faults, *conclusion.faults)
        self._faults.report(snapshot, faults)
        parts.actuator.adopt(conclusion.intent)
        about_platform = Decision(statuses=conclusion.statuses, events=conclusion.events)
        published = await self._step("apply", parts.publisher.publish(snapshot, about_platform, now=now))
        await self._step("observe", parts.observer.learn(snapshot))
        return (RoundOutcome.HELD if isinstance(outcome, PlanFailure) else RoundOutcome.PLANNED), published.troubles

    async def _step(self, component: str, action: Awaitable[Result]) -> Result:
        try:
            return await action
        except KubeError as error:
            # The message says it all; a trace would only say that there is a network.
            log.error("round failed", extra={"component": component, "reason": error.reason, "error": error.message})
            raise _StepError(component, error.message) from error
        except Exception as error:
            log.exception("round failed", extra={"component": component})
            raise _StepError(component, f"{type(error).__name__}: {error}") from error
        finally:
            self._parts.heartbeat.progress()

    async def _prepare(self, snapshot: Snapshot) -> tuple[Snapshot, Prepared]:
        """Tables that exist already, on disk after a restart, count in this very round: the plan must not go by the
        closed form for one round and back."""
        tables = self._parts.tables
        if tables is None:
            return snapshot, await self._prepared(snapshot)
        snapshot = replace(snapshot, capacity_tables=tables.known, simulates=True)
        prepared = await self._prepared(snapshot)
        if await tables.want(prepared.missing_by_namespace, prepared.table_groups):
            snapshot = replace(snapshot, capacity_tables=tables.known)
            prepared = await self._prepared(snapshot)
        self._parts.exporter.tables_missing(len(prepared.missing_tables))
        return snapshot, prepared

    async def _prepared(self, snapshot: Snapshot) -> Prepared:
        # In a thread, since it is plain computing and health and events must not wait for a large fleet.
        return await asyncio.to_thread(self._parts.prepare, snapshot, self.memory)

    async def _plan(self, prepared: Prepared) -> PlanOrFailure | None:
        return with_advice(
            await self._solved(prepared.problem, prepared.subjects),
            await self._solved(prepared.advice, prepared.subjects),
        )

    async def _solved(self, problem: Problem | None, subjects: Mapping[str, Subject]) -> PlanOrFailure | None:
        if problem is None:
            return None
        started = self._clock()
        outcome = await self._parts.solver.solve(problem, deadline_seconds=self._deadline_seconds, subjects=subjects)
        if isinstance(outcome, PlanFailure):
            self._parts.exporter.failed("plan")
            log.error("no plan", extra={"reason": outcome.reason, "error": outcome.message})
        else:
            self._parts.exporter.planned(solve_seconds=self._clock() - started, gap=outcome.gap, at=time.time())
        return outcome


class _StepError(Exception):
    """A step of a round failed; it is logged already."""

    def __init__(self, component: str, message: str) -> None:
        super().__init__(message)
        self.component = component


def _quiet(batch: Batch) -> bool:
    """Rounds that only the clock started are not worth a line unless something went wrong."""
    return batch.first_event_at is None
