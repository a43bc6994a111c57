"""Asks what would change if, after a round: plans of the operator's own kind in a process of their own, in no hurry.

The process starts with the questions and ends with them, so that it holds memory only then. A round never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from medley_operator.domain.advice import with_advice
from medley_operator.domain.questions import Question, QuestionAnswer, QuestionKind, answer, prepared_if, questions
from medley_operator.domain.values.candidates import Prepared
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.fleet.worker import PlanWorker
from medley_operator.pages.fleet import WhatIfAnswers
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import Plan, Problem

QUESTIONS = "medley_operator.fleet.planning:plan_question"
FACTORS = {
    QuestionKind.RATE: (0.5, 2.0),
    QuestionKind.PRICE: (0.5, 2.0),
    QuestionKind.TARGETS: (0.5, 2.0),
}
MOST_SERVICES = 20
"""As with what better routing would save: each question plans them all."""
REST_SECONDS = 300.0
"""From the end of the questions to the next ones, which are asked of the newest round."""

log = logging.getLogger(__name__)


class Prepares(Protocol):
    def __call__(self, snapshot: Snapshot, memory: FleetMemory) -> Prepared: ...


@dataclass(frozen=True, slots=True)
class PlannedRound:
    """A round's input and its plan."""

    snapshot: Snapshot
    prepared: Prepared
    memory: FleetMemory
    plan: Plan


class WhatIfAsker:
    """`planned` after each round, on the loop's thread; `run` as a task. `told` gets the answers."""

    def __init__(
        self,
        *,
        prepare: Prepares,
        worker: PlanWorker,
        told: Callable[[WhatIfAnswers], None],
        deadline_seconds: float,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._prepare = prepare
        self._worker = worker
        self._told = told
        self._deadline_seconds = deadline_seconds
        self._rest = rest
        self._news = asyncio.Event()
        self._round: PlannedRound | None = None

    def planned(
        self, snapshot: Snapshot, prepared: Prepared, memory: FleetMemory, outcome: PlanOrFailure | None
    ) -> None:
        if isinstance(outcome, Plan):
            self._round = PlannedRound(snapshot, prepared, memory, outcome)
            self._news.set()

    async def run(self) -> None:
        """Asks after the newest round, rests, and asks again where there was another; until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._round is not None:
                self._told(await self._asked(self._round))
            await self._rest(REST_SECONDS)

    async def _asked(self, round_: PlannedRound) -> WhatIfAnswers:
        services = len(round_.plan.services)
        if services > MOST_SERVICES:
            return WhatIfAnswers(
                why=f"Not asked: {services} services are planned together, and these questions are asked of at most "
                f"{MOST_SERVICES}."
            )
        try:
            asked = questions(round_.prepared, round_.plan, factors=FACTORS)
            answers = [await self._answer(question, round_) for question in asked]
        except Exception:
            # No plan rests on it.
            log.exception("no answers to what would change")
            return WhatIfAnswers(why="Not known: the questions failed, and the operator's log says how.")
        finally:
            await self._worker.close()
        return WhatIfAnswers(
            tuple(answers),
            cost_per_hour=round_.plan.cost_per_hour,
            simulated=bool(round_.snapshot.capacity_tables),
        )

    async def _answer(self, question: Question, round_: PlannedRound) -> QuestionAnswer:
        prepare_again = partial(self._prepare, memory=round_.memory)
        # In a thread, since targets take preparing the fleet anew.
        prepared = await asyncio.to_thread(
            prepared_if, question, round_.prepared, round_.snapshot, prepare=prepare_again
        )
        now, advice = [await self._solved(each, prepared) for each in (prepared.problem, prepared.advice)]
        return answer(question, with_advice(now, advice))

    async def _solved(self, problem: Problem | None, prepared: Prepared) -> PlanOrFailure | None:
        if problem is None:
            return None
        return await self._worker.solve(problem, deadline_seconds=self._deadline_seconds, subjects=prepared.subjects)
