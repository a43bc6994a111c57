"""Keeps one GPU at its orders: reads it, asks `machine` what to do, writes that, and reads back what the board holds.

Blocking, as drivers are: the agent runs each GPU's turn in a thread of its own, so that one that hangs delays no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medley_operator.power.agent.bounds import Remark
from medley_operator.power.agent.machine import NEW_GPU, GpuChange, GpuMemory, GpuOrder, GpuVerdict, changed, look, lost
from medley_operator.power.gpu.protocol import GpuError, GpuFacts, GpuPower, GpuReading

FACTS_SECONDS = 60.0
"""A board can change while the agent runs: its MIG mode, its range after a change of firmware."""


@dataclass(frozen=True, slots=True)
class GpuReport:
    """A GPU after a turn. `verdict` None: it did not answer, for the first of `faults`."""

    uuid: str
    facts: GpuFacts | None = None
    reading: GpuReading | None = None
    verdict: GpuVerdict | None = None
    faults: tuple[Remark, ...] = ()
    memory: GpuMemory = NEW_GPU


class GpuKeeper:
    """One GPU over time. `clock` is monotonic, in seconds."""

    def __init__(self, uuid: str, power: GpuPower, *, clock: Callable[[], float], memory: GpuMemory = NEW_GPU) -> None:
        self.uuid = uuid
        self._power = power
        self._clock = clock
        self._memory = memory
        self._facts: GpuFacts | None = None
        self._described_at = 0.0
        self._write_faults: list[Remark] = []

    def turn(self, order: GpuOrder | None, *, lease_ends_seconds: float) -> GpuReport:
        """One turn; never raises `GpuError`."""
        try:
            facts, reading = self._described(), self._power.read(self.uuid)
            verdict = self._look(order, facts, reading, lease_ends_seconds)
            if verdict.change:
                self._write(verdict.change)
                reading = self._power.read(self.uuid)
                verdict = self._look(order, facts, reading, lease_ends_seconds)
        except GpuError as error:
            self._memory, self._facts = lost(self._memory), None
            return GpuReport(self.uuid, faults=(Remark(error.fault, error.message),), memory=self._memory)
        if not verdict.change and self._clock() >= self._memory.retry_seconds:
            self._write_faults.clear()
        return GpuReport(self.uuid, facts, reading, verdict, tuple(self._write_faults), self._memory)

    def _described(self) -> GpuFacts:
        now = self._clock()
        if self._facts is None or now - self._described_at >= FACTS_SECONDS:
            self._facts, self._described_at = self._power.describe(self.uuid), now
        return self._facts

    def _look(
        self, order: GpuOrder | None, facts: GpuFacts, reading: GpuReading, lease_ends_seconds: float
    ) -> GpuVerdict:
        now = self._clock()
        verdict, self._memory = look(
            order, facts, reading, self._memory, lease_ends_seconds=lease_ends_seconds, now_seconds=now
        )
        return verdict

    def _write(self, change: GpuChange) -> None:
        """A part that fails does not keep the other from being tried."""
        began = self._clock()
        failed = {}
        self._write_faults.clear()
        for part in change.parts():
            try:
                self._send(part)
            except GpuError as error:
                failed[part] = error.fault
                self._write_faults.append(Remark(error.fault, error.message))
        self._memory = changed(self._memory, change, failed=failed, now_seconds=began)

    def _send(self, part: GpuChange) -> None:
        if part.limit_watts is not None:
            self._power.set_limit(self.uuid, part.limit_watts)
        elif part.lock_mhz is not None:
            self._power.lock_clocks(self.uuid, part.lock_mhz)
        else:
            self._power.reset_clocks(self.uuid)
