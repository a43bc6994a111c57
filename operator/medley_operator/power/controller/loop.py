"""The rounds of the controller of power: read meters, decide, hand over what is to be written; again and again.

A round that fails writes nothing and is counted; leases then run out, and agents go to their safe limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from medley_operator.domain.power.controller import PowerController, PowerDecision
from medley_operator.domain.power.tell import Notice
from medley_operator.fleet.health import Heartbeat
from medley_operator.power.controller.cluster import PowerCluster
from medley_operator.power.controller.exporter import PowerExporter
from medley_operator.power.controller.meters import MeterReader
from medley_operator.power.controller.writer import PowerWriter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PowerLoop:
    """`wall` is Unix time, `clock` monotonic. `hook` is called with all that happened."""

    cluster: PowerCluster
    meters: MeterReader
    controller: PowerController
    writer: PowerWriter
    exporter: PowerExporter
    heartbeat: Heartbeat
    hook: Callable[[Notice], None]
    period_seconds: float
    wall: Callable[[], float]
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """For ever: no failure ends it."""
        await self.cluster.ready()
        self.writer.start()
        try:
            while True:
                began = self.clock()
                await self._guarded()
                await self.sleep(max(self.period_seconds - (self.clock() - began), 0.0))
        finally:
            await self.writer.close()
            await self.meters.close()

    async def _guarded(self) -> None:
        error = ""
        try:
            await self.turn()
        except Exception as fault:
            log.exception("a round failed")
            error = f"{type(fault).__name__}: {fault}"
        if error:
            self.exporter.failed("round")
        self.heartbeat.beat(error=error)

    async def turn(self) -> PowerDecision:
        """One round."""
        missing = self.cluster.missing()
        if missing is not None:
            raise missing
        began = self.clock()
        readings, gpus = await self.meters.read(self.cluster.view().domains)
        view, now = self.cluster.view(), self.wall()
        decision = self.controller.round(view, readings, gpus, now=now)
        self.writer.want(decision)
        for notice in decision.notices:
            self.hook(notice)
        self.exporter.show(decision, self.controller.limits.capped_gpus, view.caps, now=now)
        self.exporter.round_ended(seconds=self.clock() - began)
        return decision
