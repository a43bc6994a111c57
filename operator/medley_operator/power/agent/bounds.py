"""A setting on one board: the limit in watts and the clock that its registers get. Pure.

The agent checks every figure itself, whoever wrote it. A setting that a board cannot take is never a reason to let it
draw more: too low a cap becomes the board's least, and what makes no sense is not followed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from medley_operator.power.gpu.protocol import GpuFacts
from medley_planner.power import GpuSetting

LEAST_CLOCK_FRACTION = 0.05


class BoundsReason(StrEnum):
    """In what a board's registers differ from the setting, or why the setting is not followed."""

    BELOW_RANGE = "BelowRange"
    """The board holds its least limit or clock, since it takes no lower one."""
    OUT_OF_RANGE = "OutOfRange"
    """Not followed: above what the board takes, or not a figure."""
    NO_LIMIT = "LimitNotSupported"
    NO_CLOCKS = "ClocksNotSupported"


@dataclass(frozen=True, slots=True)
class Registers:
    """A board's limits: watts (None: it has no limit that can be set), and the clock lock in MHz (None: unlocked)."""

    limit_watts: float | None
    lock_mhz: int | None


@dataclass(frozen=True, slots=True)
class Remark:
    """A reason with a message that names field, value and way out."""

    reason: str
    message: str


def fault_of(setting: GpuSetting, facts: GpuFacts) -> Remark | None:
    """Why a setting must not be followed on this board; None: it may."""
    clock, cap = setting.clock_fraction, setting.cap_watts
    if not (math.isfinite(clock) and LEAST_CLOCK_FRACTION <= clock <= 1.0):
        way_out = f"give {LEAST_CLOCK_FRACTION:g} to 1 of the highest clock"
        return Remark(BoundsReason.OUT_OF_RANGE, f"clockFraction {clock:g} is not followed: {way_out}")
    if cap is None:
        return None
    if not (math.isfinite(cap) and cap > 0.0):
        return Remark(BoundsReason.OUT_OF_RANGE, f"capWatts {cap:g} is not followed: give watts above 0")
    if facts.max_watts is not None and cap > facts.max_watts:
        takes = f"{facts.name} takes {facts.min_watts or 0.0:g} to {facts.max_watts:g} W"
        return Remark(BoundsReason.OUT_OF_RANGE, f"capWatts {cap:g} is not followed: {takes}")
    return None


def least(facts: GpuFacts) -> GpuSetting:
    """The deepest cap that a board takes: what holds it where nobody said what is safe."""
    return GpuSetting(cap_watts=facts.min_watts)


def registers_of(setting: GpuSetting, facts: GpuFacts) -> tuple[Registers, tuple[Remark, ...]]:
    """The registers for a setting that `fault_of` accepts, always within the board's range, and how they differ."""
    limit, on_limit = _limit(setting, facts)
    lock, on_lock = _lock(setting, facts)
    return Registers(limit, lock), tuple(remark for remark in (on_limit, on_lock) if remark is not None)


def _limit(setting: GpuSetting, facts: GpuFacts) -> tuple[float | None, Remark | None]:
    cap = setting.cap_watts
    if facts.min_watts is None or facts.max_watts is None:
        if cap is None:
            return None, None
        return None, Remark(BoundsReason.NO_LIMIT, f"capWatts {cap:g} has no effect: {facts.name} has no power limit")
    most = facts.max_watts if facts.default_watts is None else min(facts.default_watts, facts.max_watts)
    if cap is None:
        return most, None
    if cap < facts.min_watts:
        message = f"capWatts {cap:g} is below the least of {facts.name}, which is held to {facts.min_watts:g} W"
        return facts.min_watts, Remark(BoundsReason.BELOW_RANGE, message)
    return min(cap, most), None


def _lock(setting: GpuSetting, facts: GpuFacts) -> tuple[int | None, Remark | None]:
    fraction = setting.clock_fraction
    if fraction >= 1.0:
        return None, None
    if not facts.clocks_mhz:
        message = f"clockFraction {fraction:g} has no effect: the clocks of {facts.name} cannot be locked"
        return None, Remark(BoundsReason.NO_CLOCKS, message)
    wanted = fraction * facts.clocks_mhz[-1]
    below = [mhz for mhz in facts.clocks_mhz if mhz <= wanted + 0.5]
    if below:
        return below[-1], None
    lowest = facts.clocks_mhz[0]
    message = f"clockFraction {fraction:g} is below the lowest clock of {facts.name}, which is locked to {lowest} MHz"
    return lowest, Remark(BoundsReason.BELOW_RANGE, message)
