"""The agent's decision on one GPU: orders, leases, what the driver forgot, and who may raise a limit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from medley_operator.power.agent.machine import (
    NEW_GPU,
    RETRY_SECONDS,
    DoubtReason,
    GpuChange,
    GpuMemory,
    GpuOrder,
    GpuVerdict,
    HoldReason,
    changed,
    look,
    lost,
)
from medley_operator.power.gpu.protocol import GpuFacts, GpuFault, GpuReading
from medley_planner.power import GpuSetting

FACTS = GpuFacts("GPU-1", "A100", 100.0, 400.0, 400.0, tuple(range(210, 1411, 15)))
DEFAULT = GpuReading(400.0, 400.0, 390.0, 1410, 1e6)
SAFE = GpuSetting(0.5, 200.0)
ORDER = GpuOrder(GpuSetting(0.787, 300.0), SAFE)
UNLOCKED = GpuMemory(lock_known=True, energy_joules=1e6)


def seen(
    order: GpuOrder | None,
    reading: GpuReading = DEFAULT,
    memory: GpuMemory = UNLOCKED,
    *,
    lease_ends: float = 100.0,
    now: float = 50.0,
) -> tuple[GpuVerdict, GpuMemory]:
    return look(order, FACTS, reading, memory, lease_ends_seconds=lease_ends, now_seconds=now)


def done(memory: GpuMemory, change: GpuChange, now: float = 50.0) -> GpuMemory:
    return changed(memory, change, failed={}, now_seconds=now)


def test_an_order_is_written_once() -> None:
    verdict, memory = seen(ORDER)
    assert verdict.reason is HoldReason.ORDERED
    assert verdict.change == GpuChange(300.0, 1110)
    assert verdict.due_seconds == 100.0
    held = replace(DEFAULT, limit_watts=300.0, enforced_watts=300.0, clock_mhz=1110)
    after, _ = seen(ORDER, held, done(memory, verdict.change), now=51.0)
    assert not after.change
    assert after.remarks == ()


def test_the_first_look_writes_a_lock_that_nobody_can_read() -> None:
    held = replace(DEFAULT, limit_watts=300.0, enforced_watts=300.0, clock_mhz=1110)
    assert seen(ORDER, held, NEW_GPU)[0].change == GpuChange(lock_mhz=1110)
    assert seen(GpuOrder(GpuSetting()), DEFAULT, NEW_GPU)[0].change == GpuChange(reset_clocks=True)


def test_no_gpu_is_changed_twice_within_five_seconds() -> None:
    verdict, _ = seen(ORDER, memory=replace(UNLOCKED, changed_seconds=47.0))
    assert not verdict.change
    assert verdict.due_seconds == 52.0
    assert [remark.reason for remark in verdict.remarks] == [DoubtReason.WAITING]
    assert seen(ORDER, memory=replace(UNLOCKED, changed_seconds=45.0))[0].change


def test_the_end_of_a_lease_leads_to_the_safe_setting() -> None:
    verdict, memory = seen(ORDER, now=100.0)
    assert verdict.reason is HoldReason.LEASE_EXPIRED
    assert verdict.change == GpuChange(200.0, 705)
    back, _ = seen(ORDER, memory=done(memory, verdict.change, 100.0), lease_ends=140.0, now=110.0)
    assert back.reason is HoldReason.ORDERED


def test_the_end_of_a_lease_raises_nothing() -> None:
    deep = GpuOrder(GpuSetting(0.426, 150.0), SAFE)
    held = replace(DEFAULT, limit_watts=150.0, enforced_watts=150.0, clock_mhz=600)
    memory = replace(UNLOCKED, lock_mhz=600)
    assert not seen(deep, held, memory, now=200.0)[0].change
    deeper_by_others = replace(held, limit_watts=120.0, enforced_watts=120.0)
    assert not seen(ORDER, deeper_by_others, memory, now=200.0)[0].change
    assert not seen(GpuOrder(GpuSetting(), GpuSetting()), held, memory, now=200.0)[0].change


@pytest.mark.parametrize("setting", [GpuSetting(cap_watts=4000.0), GpuSetting(0.0), GpuSetting(cap_watts=math.nan)])
def test_an_order_that_cannot_be_followed_keeps_the_one_before(setting: GpuSetting) -> None:
    _, memory = seen(ORDER)
    verdict, after = seen(GpuOrder(setting, SAFE), memory=memory)
    assert verdict.reason is HoldReason.ORDERED
    assert verdict.change == GpuChange(300.0, 1110)
    assert [remark.reason for remark in verdict.remarks] == ["OutOfRange"]
    assert after.accepted == ORDER.setting


def test_without_any_good_order_the_safe_setting_holds() -> None:
    verdict, _ = seen(GpuOrder(GpuSetting(cap_watts=4000.0), SAFE))
    assert verdict.reason is HoldReason.NO_GOOD_ORDER
    assert verdict.change == GpuChange(200.0, 705)


@pytest.mark.parametrize("safe", [None, GpuSetting(cap_watts=-1.0), GpuSetting(cap_watts=900.0)])
def test_where_nobody_says_what_is_safe_the_least_of_the_board_is(safe: GpuSetting | None) -> None:
    verdict, _ = seen(GpuOrder(GpuSetting(), safe), now=200.0)
    assert verdict.change == GpuChange(100.0)


def test_a_reloaded_driver_gets_its_limits_again() -> None:
    memory = GpuMemory(lock_known=True, lock_mhz=1110, limit_watts=300.0, energy_joules=1e6)
    verdict, _ = seen(ORDER, replace(DEFAULT, energy_joules=5.0, clock_mhz=900), memory)
    assert verdict.change == GpuChange(300.0, 1110)
    assert [remark.reason for remark in verdict.remarks] == [DoubtReason.NOT_HELD]


def test_a_clock_that_stays_above_its_lock_is_locked_again() -> None:
    held = replace(DEFAULT, limit_watts=300.0, enforced_watts=300.0, energy_joules=None)
    memory = GpuMemory(changed_seconds=49.0, lock_known=True, lock_mhz=1110)
    assert not seen(ORDER, held, memory)[0].change, "it was locked a moment ago"
    assert seen(ORDER, held, memory, now=54.0)[0].change == GpuChange(lock_mhz=1110)


def test_a_gpu_that_was_lost_may_have_lost_its_lock() -> None:
    held = replace(DEFAULT, limit_watts=300.0, enforced_watts=300.0, clock_mhz=1110)
    memory = lost(GpuMemory(lock_known=True, lock_mhz=1110))
    assert seen(ORDER, held, memory)[0].change == GpuChange(lock_mhz=1110)


def test_a_board_may_enforce_less() -> None:
    held = replace(DEFAULT, limit_watts=300.0, enforced_watts=250.0, clock_mhz=1110)
    verdict, _ = seen(ORDER, held, GpuMemory(lock_known=True, lock_mhz=1110))
    assert not verdict.change
    assert [remark.reason for remark in verdict.remarks] == [DoubtReason.ENFORCED_BELOW]
    assert "250 W" in verdict.remarks[0].message


def test_a_driver_that_takes_no_lock_is_asked_again_later_and_delays_no_limit() -> None:
    verdict, memory = seen(ORDER)
    lock = GpuChange(lock_mhz=1110)
    memory = changed(memory, verdict.change, failed={lock: GpuFault.NOT_SUPPORTED}, now_seconds=50.0)
    held = replace(DEFAULT, limit_watts=300.0, enforced_watts=300.0)
    assert not seen(ORDER, held, memory, now=56.0)[0].change
    deeper = GpuOrder(replace(ORDER.setting, cap_watts=250.0), SAFE)
    assert seen(deeper, held, memory, now=56.0)[0].change == GpuChange(250.0)
    assert seen(ORDER, held, memory, now=50.0 + RETRY_SECONDS)[0].change == lock


def test_a_driver_that_did_not_answer_is_asked_again_soon() -> None:
    verdict, memory = seen(ORDER)
    memory = changed(memory, verdict.change, failed={GpuChange(300.0): GpuFault.TIMEOUT}, now_seconds=50.0)
    assert seen(ORDER, DEFAULT, memory, now=55.0)[0].change.limit_watts == 300.0


def test_a_release_restores_the_defaults_once_and_needs_no_lease() -> None:
    order = GpuOrder(GpuSetting(), SAFE, release=True)
    held = replace(DEFAULT, limit_watts=200.0, enforced_watts=200.0, clock_mhz=705)
    verdict, memory = seen(order, held, GpuMemory(lock_known=True, lock_mhz=705), now=500.0)
    assert verdict.reason is HoldReason.RELEASED
    assert verdict.change == GpuChange(400.0, reset_clocks=True)
    _, memory = seen(order, DEFAULT, done(memory, verdict.change, 500.0), now=501.0)
    assert memory.released
    by_others = replace(DEFAULT, limit_watts=350.0, enforced_watts=350.0)
    assert not seen(order, by_others, memory, now=510.0)[0].change
    assert seen(ORDER, by_others, memory, lease_ends=600.0, now=510.0)[0].change, "an order counts again"


def test_a_gpu_without_an_order_is_left_alone() -> None:
    verdict, _ = seen(None, replace(DEFAULT, limit_watts=150.0), now=500.0)
    assert verdict == GpuVerdict(HoldReason.NOT_ORDERED)


def test_a_driver_that_does_not_say_its_limit_is_trusted_with_what_was_set() -> None:
    silent = GpuReading()
    verdict, memory = seen(ORDER, silent, GpuMemory(lock_known=True))
    assert verdict.change == GpuChange(300.0, 1110)
    assert not seen(ORDER, silent, done(memory, verdict.change), now=60.0)[0].change
