"""The node agent whatever happens to it: boards that fail and come back, orders of all kinds, leases that end.

Never outside the board's range, no two changes within 5 s, nothing raised when control is lost, and the safe setting in
force within 5 s of the end of a lease on every board that takes it.
"""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from medley_operator.power.agent.bounds import fault_of, least, registers_of
from medley_operator.power.agent.keeper import GpuKeeper
from medley_operator.power.agent.machine import RETRY_SECONDS, GpuMemory, GpuOrder
from medley_operator.power.gpu.protocol import GpuFault
from medley_planner.power import CHANGE_SECONDS, GpuSetting
from tests.fake_gpus import FakeBoard, FakeGpus

SETTINGS = st.builds(
    GpuSetting,
    st.sampled_from([1.0, 0.904, 0.787, 0.5, 0.1, 0.0, 1.5, float("nan")]),
    st.sampled_from([None, 400.0, 300.0, 150.0, 100.0, 20.0, 0.0, -5.0, 700.0, 300_000.0, float("nan")]),
)
ORDERS = st.builds(GpuOrder, SETTINGS, st.none() | SETTINGS)
FAULTS = st.sampled_from([None, *GpuFault])
TURN_SECONDS = 1.0


class Agent(RuleBasedStateMachine):
    """One GPU whose turn comes each second, and a world that does what it likes in between."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.board = FakeBoard("GPU-1")
        self.gpus = FakeGpus([self.board], clock=lambda: self.now)
        self.order: GpuOrder | None = None
        self.lease_ends = 0.0
        self.disturbed_at = 0.0
        """When the board, its driver or the orders last changed by something other than time."""
        self.refusing_until = -math.inf
        """When the driver last refused what was written."""
        self.restart()

    @rule()
    def restart(self) -> None:
        """The agent ends and begins again. What it remembers is gone, but for when it last changed the GPU."""
        last = max((write[0] for write in self.board.writes), default=-math.inf)
        memory = GpuMemory(changed_seconds=last)
        self.keeper = GpuKeeper(self.board.uuid, self.gpus, clock=lambda: self.now, memory=memory)

    @rule(order=ORDERS, seconds=st.sampled_from([0.5, 10.0, 30.0]))
    def ordered(self, order: GpuOrder, seconds: float) -> None:
        self.order, self.lease_ends, self.disturbed_at = order, self.now + seconds, self.now

    @rule(seconds=st.sampled_from([10.0, 30.0]))
    def renewed(self, seconds: float) -> None:
        self.lease_ends, self.disturbed_at = self.now + seconds, self.now

    @rule()
    def released(self) -> None:
        self.order, self.disturbed_at = GpuOrder(GpuSetting(), release=True), self.now

    @rule(fault=FAULTS, write_fault=FAULTS, clock_fault=FAULTS)
    def breaks(self, fault: GpuFault | None, write_fault: GpuFault | None, clock_fault: GpuFault | None) -> None:
        self.board.fault, self.board.write_fault, self.board.clock_fault = fault, write_fault, clock_fault
        self.disturbed_at = self.now

    @rule()
    def mends(self) -> None:
        self.board.fault = self.board.write_fault = self.board.clock_fault = None
        self.disturbed_at = self.now

    @rule()
    def reloads(self) -> None:
        self.board.reload()
        self.disturbed_at = self.now

    @rule(outside=st.none() | st.floats(50.0, 500.0), mig=st.booleans())
    def is_changed_from_outside(self, outside: float | None, mig: bool) -> None:
        self.board.outside_watts, self.board.mig = outside, mig

    @rule(turns=st.integers(1, 40))
    def time_passes(self, turns: int) -> None:
        for _ in range(turns):
            self.now += TURN_SECONDS
            self.gpus.advance()
            before = (self.board.limit_watts, self.board.lock_mhz)
            self.keeper.turn(self.order, lease_ends_seconds=self.lease_ends)
            if self.board.write_fault or self.board.clock_fault:
                self.refusing_until = self.now
            if self.order is None or (self.now >= self.lease_ends and not self.order.release):
                assert self.board.limit_watts <= before[0], "a limit was raised without a lease"
                assert self.board.lock_mhz is not None or before[1] is None, "a clock was unlocked without a lease"

    @invariant()
    def stays_within_the_range(self) -> None:
        assert self.board.min_watts <= self.board.limit_watts <= self.board.default_watts

    @invariant()
    def is_not_changed_twice_within_five_seconds(self) -> None:
        at = sorted({write[0] for write in self.board.writes})
        assert all(later - earlier >= CHANGE_SECONDS for earlier, later in pairwise(at))

    @invariant()
    def is_safe_soon_after_the_lease(self) -> None:
        broken = self.board.fault or self.board.write_fault or self.board.clock_fault
        since = max(self.lease_ends, self.disturbed_at)
        if self.order is None or self.order.release or broken or self.now < since + CHANGE_SECONDS + TURN_SECONDS:
            return
        if self.now < self.refusing_until + RETRY_SECONDS + TURN_SECONDS:
            return
        facts = self.gpus.describe(self.board.uuid)
        safe = self.order.safe
        wanted = safe if safe is not None and fault_of(safe, facts) is None else least(facts)
        registers, _ = registers_of(wanted, facts)
        assert registers.limit_watts is not None
        assert self.board.limit_watts <= registers.limit_watts + 1.0
        if registers.lock_mhz is not None:
            assert self.board.lock_mhz is not None
            assert self.board.lock_mhz <= registers.lock_mhz


Agent.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestAgent = Agent.TestCase
