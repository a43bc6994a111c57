"""A GPU's turns on boards in memory: written, read back, and every fault reported instead of raised."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from medley_operator.power.agent.keeper import GpuKeeper, GpuReport
from medley_operator.power.agent.machine import RETRY_SECONDS, GpuOrder
from medley_operator.power.gpu.protocol import GpuFault
from medley_planner.power import GpuSetting
from tests.fake_gpus import FakeBoard, FakeGpus

ORDER = GpuOrder(GpuSetting(0.787, 300.0), GpuSetting(0.5, 200.0))


class Desk:
    """One board, its keeper, and a clock that tests move."""

    def __init__(self, board: FakeBoard) -> None:
        self.now = 0.0
        self.board = board
        self.gpus = FakeGpus([board], clock=lambda: self.now)
        self.keeper = GpuKeeper(board.uuid, self.gpus, clock=lambda: self.now)

    def turn(self, order: GpuOrder | None = ORDER, *, lease_ends: float = 1000.0, after: float = 1.0) -> GpuReport:
        self.now += after
        self.gpus.advance()
        return self.keeper.turn(order, lease_ends_seconds=lease_ends)


def test_an_order_is_applied_and_read_back() -> None:
    desk = Desk(FakeBoard("GPU-1"))
    report = desk.turn()
    assert (desk.board.limit_watts, desk.board.lock_mhz) == (300.0, 1110)
    assert report.reading is not None
    assert (report.reading.limit_watts, report.reading.enforced_watts, report.reading.clock_mhz) == (300.0, 300.0, 1110)
    assert (report.faults, report.memory.lock_mhz) == ((), 1110)
    for _ in range(20):
        desk.turn()
    assert len(desk.board.writes) == 2


def test_a_board_that_enforces_less_is_reported_with_what_it_holds() -> None:
    report = Desk(FakeBoard("GPU-1", outside_watts=250.0)).turn()
    assert report.verdict is not None
    assert [remark.reason for remark in report.verdict.remarks] == ["EnforcedBelowLimit"]
    assert report.reading is not None
    assert report.reading.enforced_watts == 250.0


def test_a_reloaded_driver_gets_limit_and_lock_again() -> None:
    desk = Desk(FakeBoard("GPU-1"))
    desk.turn()
    desk.board.reload()
    desk.turn(after=6.0)
    assert (desk.board.limit_watts, desk.board.lock_mhz) == (300.0, 1110)


@pytest.mark.parametrize("fault", [GpuFault.LOST, GpuFault.NO_DRIVER, GpuFault.TIMEOUT, GpuFault.FAILED])
def test_a_gpu_that_does_not_answer_is_reported_and_gets_its_limits_when_it_is_back(fault: GpuFault) -> None:
    desk = Desk(FakeBoard("GPU-1"))
    desk.turn()
    desk.board.fault = fault
    report = desk.turn(after=6.0)
    assert (report.verdict, report.reading) == (None, None)
    assert [remark.reason for remark in report.faults] == [fault]
    desk.board.fault = None
    desk.board.reload()
    assert desk.turn().faults == ()
    assert (desk.board.limit_watts, desk.board.lock_mhz) == (300.0, 1110)


def test_a_driver_that_permits_no_writes_is_reported_for_as_long() -> None:
    desk = Desk(FakeBoard("GPU-1", write_fault=GpuFault.NOT_PERMITTED))
    for _ in range(4):
        report = desk.turn(after=6.0)
        assert {remark.reason for remark in report.faults} == {GpuFault.NOT_PERMITTED}
        assert report.reading is not None
        assert report.reading.enforced_watts == 400.0
    desk.board.write_fault = None
    assert desk.turn(after=RETRY_SECONDS).faults == ()
    assert desk.board.limit_watts == 300.0


def test_a_board_whose_clocks_cannot_be_locked_gets_its_limit() -> None:
    desk = Desk(FakeBoard("GPU-1", clock_fault=GpuFault.NOT_SUPPORTED))
    assert [remark.reason for remark in desk.turn().faults] == [GpuFault.NOT_SUPPORTED]
    assert desk.board.limit_watts == 300.0
    assert [remark.reason for remark in desk.turn().faults] == [GpuFault.NOT_SUPPORTED], "still so"


@pytest.mark.parametrize(
    "change",
    [
        lambda board: setattr(board, "has_limit", False),
        lambda board: setattr(board, "clocks_mhz", ()),
        lambda board: setattr(board, "mig", True),
    ],
)
def test_boards_of_all_kinds_are_held_as_far_as_they_can_be(change: Callable[[FakeBoard], None]) -> None:
    board = FakeBoard("GPU-1")
    change(board)
    desk = Desk(board)
    report = desk.turn()
    assert report.verdict is not None
    assert board.limit_watts == (300.0 if board.has_limit else 400.0)
    assert board.lock_mhz == (1110 if board.clocks_mhz else None)
    assert bool(report.verdict.remarks) == (not board.has_limit or not board.clocks_mhz)


def test_the_safe_setting_is_in_force_when_the_lease_is_over() -> None:
    desk = Desk(FakeBoard("GPU-1"))
    report = desk.turn(lease_ends=4.0, after=3.9)
    assert report.verdict is not None
    assert desk.board.limit_watts == 300.0
    for due in (4.0, 8.9):
        assert report.verdict is not None
        assert report.verdict.due_seconds == pytest.approx(due)
        desk.now = report.verdict.due_seconds
        report = desk.turn(lease_ends=4.0, after=0.0)
    assert (desk.board.limit_watts, desk.board.lock_mhz) == (200.0, 705)
