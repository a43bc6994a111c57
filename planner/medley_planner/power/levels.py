"""The level of one domain over time: up at once, back one at a time after the dwell, blind to the safe level. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from medley_planner.power.ladder import Ladder
from medley_planner.power.tree import CappedDomain


class LevelReason(StrEnum):
    """Why a domain is at its level."""

    BELOW = "Below"
    """No entry is reached."""
    RAISED = "Raised"
    SETTLING = "Settling"
    """Above the entry of a further level of equal entry, which waits until the last command shows in a reading."""
    LOWERED = "Lowered"
    DWELLING = "Dwelling"
    """Below the entry, and kept until the dwell is over or the pressure is `relax_gap` below."""
    BLIND = "Blind"
    """No reading that counts is fresh enough."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Watts as a part of a budget. `levels`: of the budget in force, which a curtailment may lower; `brake`: of the
    domain's own, since the software brake protects a feed and answers to no curtailment.
    """

    levels: float
    brake: float


@dataclass(frozen=True, slots=True)
class DomainState:
    """`safe`: held at the safe settings too. `changed_seconds`: when level or safe last changed, or it was blind.

    `ramp_level` and `ramp_safe` are what the last step back came from, for GPUs that it has not yet released.
    """

    level: int = 0
    safe: bool = False
    changed_seconds: float = -math.inf
    reason: LevelReason = LevelReason.BELOW
    ramp_level: int = 0
    ramp_safe: bool = False

    def ramping(self, ramp_seconds: float, now_seconds: float) -> bool:
        """Whether GPUs may still wait for their release."""
        stepped = self.ramp_level > self.level or (self.ramp_safe and not self.safe)
        return stepped and now_seconds < self.changed_seconds + ramp_seconds


START = DomainState()


def next_state(domain: CappedDomain, state: DomainState, pressure: Pressure | None, now_seconds: float) -> DomainState:
    """The state after a step. `pressure` None: the domain is blind.

    A blind domain never relaxes: its dwell begins when it sees again.
    """
    if pressure is None:
        return _blind(domain, state, now_seconds)
    target = _reached(domain, pressure)
    if target > state.level:
        return _raised(domain, state, target, now_seconds)
    if state.level == 0 and not state.safe:
        return state if state.reason is LevelReason.BELOW else replace(state, reason=LevelReason.BELOW)
    ladder = domain.ladder
    entry = ladder.rungs[max(state.level, 1) - 1].enter
    felt = pressure.brake if state.level > ladder.deepest else pressure.levels
    low_enough = felt < entry - ladder.relax_gap
    if not low_enough or now_seconds - state.changed_seconds < ladder.dwell_seconds:
        return state if state.reason is LevelReason.DWELLING else replace(state, reason=LevelReason.DWELLING)
    return DomainState(
        # The safe settings go first: what follows is a step from a level like any other.
        level=state.level if state.safe else state.level - 1,
        changed_seconds=now_seconds,
        reason=LevelReason.LOWERED,
        ramp_level=state.level,
        ramp_safe=state.safe,
    )


def _blind(domain: CappedDomain, state: DomainState, now_seconds: float) -> DomainState:
    safe_level = domain.ladder.deepest if domain.safe_level is None else domain.safe_level
    return DomainState(max(state.level, safe_level), True, now_seconds, LevelReason.BLIND)


def _reached(domain: CappedDomain, pressure: Pressure) -> int:
    """The deepest level whose entry is passed."""
    ladder = domain.ladder
    if ladder.brake is not None and pressure.brake > ladder.brake.enter:
        return ladder.deepest + 1
    reached = 0
    for index, level in enumerate(ladder.levels, 1):
        if pressure.levels <= level.enter:
            break
        reached = index
    return reached


def _raised(domain: CappedDomain, state: DomainState, target: int, now_seconds: float) -> DomainState:
    """Levels may be jumped over. Those of equal entry are entered one by one, since the first may be enough."""
    rungs = domain.ladder.rungs
    first = next(index for index, level in enumerate(rungs, 1) if level.enter == rungs[target - 1].enter)
    if state.level < first:
        level = first
    elif now_seconds - state.changed_seconds < domain.settle_seconds:
        return state if state.reason is LevelReason.SETTLING else replace(state, reason=LevelReason.SETTLING)
    else:
        level = state.level + 1
    # GPUs that a step back from the safe settings has not yet released keep them.
    safe = state.safe or (state.ramp_safe and state.ramping(domain.ladder.ramp_seconds, now_seconds))
    return DomainState(level, safe, now_seconds, LevelReason.RAISED)


def on_ladder(ladder: Ladder, state: DomainState) -> DomainState:
    """The state on a ladder that may have fewer levels than the one that it comes from."""
    most = len(ladder.rungs)
    if max(state.level, state.ramp_level) <= most:
        return state
    return replace(state, level=min(state.level, most), ramp_level=min(state.ramp_level, most))
