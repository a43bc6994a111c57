"""The decision on one GPU: a function of its orders, of what the driver reads, and of the time. Pure.

While the lease counts, a GPU is held to its order. When the lease is over it keeps the deeper of its order and of its
safe setting, and nothing is raised any more. Only a release, or an order of a lease that counts, lets it draw more. A
setting is written when the registers differ from it, so a driver that was reloaded gets it again.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from medley_operator.power.agent.bounds import Registers, Remark, fault_of, least, registers_of
from medley_operator.power.gpu.protocol import GpuFacts, GpuFault, GpuReading
from medley_planner.power import CHANGE_SECONDS, GpuSetting

TOLERANCE_WATTS = 1.0
"""Boards round limits; nearer than this they are equal."""
TOLERANCE_MHZ = 15
"""One step of the clock grid: an average of the clock may be this far above the lock."""
RETRY_SECONDS = 30.0
"""A driver that does not take a value is asked again after this time, so that tries do not delay other changes."""
LASTING = frozenset({GpuFault.NOT_SUPPORTED, GpuFault.NOT_PERMITTED, GpuFault.REFUSED})


class HoldReason(StrEnum):
    """The orders or rule that a GPU is held to."""

    ORDERED = "Ordered"
    LEASE_EXPIRED = "LeaseExpired"
    """Its safe setting, or its order where that is deeper."""
    NO_GOOD_ORDER = "NoGoodOrder"
    """Its safe setting, since no order that can be followed has come."""
    RELEASED = "Released"
    """The board's defaults; whatever others set is left alone from now on."""
    NOT_ORDERED = "NotOrdered"
    """Nothing: the NodePowerCap does not name it, and it is left as it is."""


class DoubtReason(StrEnum):
    """In what a board does not hold what was written."""

    WAITING = "ChangeWaits"
    """It was changed a moment ago, and no GPU is changed twice within 5 s."""
    ENFORCED_BELOW = "EnforcedBelowLimit"
    """The board holds less than its limit: something outside the server limits it too."""
    ENFORCED_ABOVE = "EnforcedAboveLimit"
    NOT_HELD = "LimitNotHeld"
    """The registers have other values than those that were written: the driver was reloaded, or others write too."""


@dataclass(frozen=True, slots=True)
class GpuOrder:
    """The order of the controller for one GPU. `safe` None: nobody said, and the board's least cap is safe."""

    setting: GpuSetting
    safe: GpuSetting | None = None
    release: bool = False


@dataclass(frozen=True, slots=True)
class GpuChange:
    """Registers to write now. None: leave them as they are."""

    limit_watts: float | None = None
    lock_mhz: int | None = None
    reset_clocks: bool = False

    def __bool__(self) -> bool:
        return self != NO_CHANGE

    def parts(self) -> tuple[GpuChange, ...]:
        """The calls to the driver, one each. The limit is first: it alone is a ceiling."""
        limit, clocks = replace(self, lock_mhz=None, reset_clocks=False), replace(self, limit_watts=None)
        return tuple(part for part in (limit, clocks) if part)

    def without(self, others: Collection[GpuChange]) -> GpuChange:
        """The rest, when these parts are not written."""
        left = [part for part in self.parts() if part not in others]
        return self if len(left) == 2 else left[0] if left else NO_CHANGE


NO_CHANGE = GpuChange()


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Knowledge of a GPU beyond what can be read.

    `accepted` is the last order that could be followed. No driver says what a clock is locked to: `lock_known` is
    whether `lock_mhz` is what the agent set last and the driver still holds. `refused` is what the driver does not
    take, and is not tried again before `retry_seconds`.
    """

    changed_seconds: float = -math.inf
    accepted: GpuSetting | None = None
    lock_known: bool = False
    lock_mhz: int | None = None
    limit_watts: float | None = None
    energy_joules: float | None = None
    refused: tuple[GpuChange, ...] = ()
    retry_seconds: float = -math.inf
    released: bool = False


NEW_GPU = GpuMemory()
"""The memory of a GPU that was just found."""


@dataclass(frozen=True, slots=True)
class GpuVerdict:
    """A decision with its reason, and when at the latest to look again (infinite: when something changes).

    `registers`: what the board is to hold; None: whatever it holds.
    """

    reason: HoldReason
    registers: Registers | None = None
    change: GpuChange = NO_CHANGE
    remarks: tuple[Remark, ...] = ()
    due_seconds: float = math.inf


def look(
    order: GpuOrder | None,
    facts: GpuFacts,
    reading: GpuReading,
    memory: GpuMemory,
    *,
    lease_ends_seconds: float,
    now_seconds: float,
) -> tuple[GpuVerdict, GpuMemory]:
    """The verdict on a GPU that answers, and the memory to go on with; `changed` follows where something is written.

    `now_seconds` and `lease_ends_seconds` are of one clock that never falls.
    """
    memory = _seen(memory, facts, reading, now_seconds)
    if order is None:
        return GpuVerdict(HoldReason.NOT_ORDERED), replace(memory, released=False)
    if order.release:
        return _release(facts, reading, memory, now_seconds)
    expired = now_seconds >= lease_ends_seconds
    fault = fault_of(order.setting, facts)
    if fault is None:
        memory = replace(memory, accepted=order.setting)
    memory = replace(memory, released=False)
    reason, setting, remarks = _held_to(order, facts, memory, expired)
    registers, differ = registers_of(setting, facts)
    remarks = (*((fault,) if fault is not None else ()), *remarks, *differ)
    relaxes = reason is HoldReason.ORDERED
    verdict = _verdict(reason, registers, reading, memory, relaxes=relaxes, now_seconds=now_seconds)
    due = verdict.due_seconds if expired else min(verdict.due_seconds, lease_ends_seconds)
    return replace(verdict, remarks=(*remarks, *verdict.remarks), due_seconds=due), memory


def changed(
    memory: GpuMemory, change: GpuChange, *, failed: Mapping[GpuChange, GpuFault], now_seconds: float
) -> GpuMemory:
    """The memory after `change` was tried, and the parts in `failed` were not carried out."""
    refused = tuple(part for part, fault in failed.items() if fault in LASTING)
    memory = replace(memory, changed_seconds=now_seconds, refused=refused, retry_seconds=now_seconds + RETRY_SECONDS)
    for part in change.parts():
        if part.limit_watts is not None:
            memory = memory if part in failed else replace(memory, limit_watts=part.limit_watts)
        else:
            memory = replace(memory, lock_known=part not in failed, lock_mhz=part.lock_mhz)
    return memory


def lost(memory: GpuMemory) -> GpuMemory:
    """The memory of a GPU that did not answer: it may come back without its limits."""
    return replace(memory, lock_known=False, energy_joules=None)


def _seen(memory: GpuMemory, facts: GpuFacts, reading: GpuReading, now_seconds: float) -> GpuMemory:
    """Forgets the clock lock where the driver was reloaded, or the clock stays above it."""
    energy, clock = reading.energy_joules, reading.clock_mhz
    reloaded = energy is not None and memory.energy_joules is not None and energy < memory.energy_joules
    settled = now_seconds >= memory.changed_seconds + CHANGE_SECONDS
    above = memory.lock_mhz is not None and clock is not None and clock > memory.lock_mhz + TOLERANCE_MHZ
    if not facts.clocks_mhz:
        memory = replace(memory, lock_known=True, lock_mhz=None)  # there is no lock to take away
    elif reloaded or (above and settled):
        memory = replace(memory, lock_known=False)
    return memory if energy is None else replace(memory, energy_joules=energy)


def _held_to(
    order: GpuOrder, facts: GpuFacts, memory: GpuMemory, expired: bool
) -> tuple[HoldReason, GpuSetting, tuple[Remark, ...]]:
    if not expired and memory.accepted is not None:
        return HoldReason.ORDERED, memory.accepted, ()
    fault = None if order.safe is None else fault_of(order.safe, facts)
    safe = least(facts) if order.safe is None or fault is not None else order.safe
    remarks = () if fault is None else (replace(fault, message=f"safe: {fault.message}"),)
    setting = safe if memory.accepted is None else safe.deeper(memory.accepted)
    return (HoldReason.LEASE_EXPIRED if expired else HoldReason.NO_GOOD_ORDER), setting, remarks


def _release(
    facts: GpuFacts, reading: GpuReading, memory: GpuMemory, now_seconds: float
) -> tuple[GpuVerdict, GpuMemory]:
    """Defaults once, with or without a lease."""
    memory = replace(memory, accepted=None)
    if memory.released:
        return GpuVerdict(HoldReason.RELEASED), memory
    registers, _ = registers_of(GpuSetting(), facts)
    verdict = _verdict(HoldReason.RELEASED, registers, reading, memory, relaxes=True, now_seconds=now_seconds)
    done = not verdict.change and math.isinf(verdict.due_seconds)
    return verdict, replace(memory, released=done)


def _verdict(
    reason: HoldReason,
    registers: Registers,
    reading: GpuReading,
    memory: GpuMemory,
    *,
    relaxes: bool,
    now_seconds: float,
) -> GpuVerdict:
    """`relaxes`: whether limits may be raised too."""
    limit = registers.limit_watts if _limit_differs(registers, reading, memory, relaxes) else None
    lock, reset = None, False
    if not memory.lock_known or memory.lock_mhz != registers.lock_mhz:
        if registers.lock_mhz is None:
            reset = relaxes
        elif relaxes or not memory.lock_known or memory.lock_mhz is None or memory.lock_mhz > registers.lock_mhz:
            lock = registers.lock_mhz
    change = GpuChange(limit, lock, reset)
    if now_seconds < memory.retry_seconds:
        change = change.without(memory.refused)
    remarks = tuple(_doubts(reading, memory, change))
    if not change:
        return GpuVerdict(reason, registers, remarks=remarks)
    free_at = memory.changed_seconds + CHANGE_SECONDS
    if now_seconds < free_at:
        message = f"{free_at - now_seconds:.0f} s more, since it was changed a moment ago"
        waits = Remark(DoubtReason.WAITING, message)
        return GpuVerdict(reason, registers, remarks=(*remarks, waits), due_seconds=free_at)
    return GpuVerdict(reason, registers, change, remarks)


def _limit_differs(registers: Registers, reading: GpuReading, memory: GpuMemory, relaxes: bool) -> bool:
    wanted, has = registers.limit_watts, reading.limit_watts
    if wanted is None:
        return False
    if has is None:
        has = memory.limit_watts
    if has is None:
        return True
    return has > wanted + TOLERANCE_WATTS or (relaxes and has < wanted - TOLERANCE_WATTS)


def _doubts(reading: GpuReading, memory: GpuMemory, change: GpuChange) -> Iterator[Remark]:
    """Remarks beside the reason, as far as this reading shows them."""
    limit, enforced, wrote = reading.limit_watts, reading.enforced_watts, memory.limit_watts
    if limit is not None and wrote is not None and wrote == change.limit_watts:
        yield Remark(DoubtReason.NOT_HELD, f"{wrote:g} W were set, and the limit is {limit:g} W")
    if limit is not None and enforced is not None and abs(enforced - limit) > TOLERANCE_WATTS:
        reason = DoubtReason.ENFORCED_BELOW if enforced < limit else DoubtReason.ENFORCED_ABOVE
        yield Remark(reason, f"the limit is {limit:g} W, and the board enforces {enforced:g} W")
