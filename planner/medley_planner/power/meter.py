"""Readings of a domain's meter and whether they can be believed; and how fast the power of a domain has risen. Pure.

A reading that cannot be believed is held: the last good one stays, nothing is relaxed meanwhile, and when that one is
stale the domain is blind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from medley_planner.power.checks import refusal
from medley_planner.power.tree import CappedDomain
from medley_planner.refusal import Refusal

LEAST_OF_IDLE = 0.25
MOST_OF_FULL = 1.25
"""A domain draws between these parts of what its nodes draw idle and at most; beyond is a wrong unit or series."""
FALL = 0.5
"""A reading below this part of the last one is doubted: a lost feed or series looks like this, and would relax."""
CONFIRMED_BY = 3
"""Readings in a row that agree are believed, whatever they fell from."""
AGREE_WITHIN = 0.2
AHEAD_SECONDS = 5.0
DAY_SECONDS = 86400.0
RISE_DAYS = 7


@dataclass(frozen=True, slots=True)
class MeterAnswer:
    """The result of a meter's query: a value in watts for each series (one is right), and when they were measured."""

    watts: tuple[float, ...]
    at_seconds: float


@dataclass(frozen=True, slots=True)
class MeterState:
    """`watts` at `at_seconds` is the last reading that was believed; NaN: none yet, since the meter was first asked.

    `held` says why the newest answer is not used. `doubted` are readings after a fall that wait for confirmation.
    """

    watts: float
    at_seconds: float
    held: Refusal | None = None
    doubted: tuple[float, ...] = ()
    doubted_seconds: float = -math.inf


def read(
    domain: CappedDomain,
    bounds: tuple[float, float],
    state: MeterState | None,
    answer: MeterAnswer | None,
    now_seconds: float,
) -> MeterState:
    """The state after an answer (None: not asked, or not reached). `bounds`: the domain's idle and most watts."""
    if state is None:
        state = MeterState(math.nan, now_seconds)
    if answer is None:
        return state
    fault = _fault(domain, bounds, answer, now_seconds)
    if fault is not None:
        return replace(state, held=fault, doubted=())
    watts = answer.watts[0]
    if not math.isnan(state.watts):
        if answer.at_seconds <= state.at_seconds:
            return state
        if watts < FALL * state.watts:
            return _doubt(domain, state, watts, answer.at_seconds)
    return MeterState(watts, answer.at_seconds)


def stale(domain: CappedDomain, state: MeterState, now_seconds: float) -> bool:
    """Whether the last reading that counts is too old to act upon."""
    return now_seconds - state.at_seconds > domain.stale_seconds


def _fault(
    domain: CappedDomain, bounds: tuple[float, float], answer: MeterAnswer, now_seconds: float
) -> Refusal | None:
    count = len(answer.watts)
    if count != 1:
        way_out = f"the query answers {count} series; make it give one, such as by sum()"
        return refusal("MeterAmbiguous" if count else "MeterEmpty", domain.name, "spec.meter.query", count, way_out)
    watts = answer.watts[0]
    least, most = LEAST_OF_IDLE * bounds[0], MOST_OF_FULL * bounds[1]
    if not least <= watts <= most:  # NaN too
        way_out = f"its nodes draw {least:.0f} to {most:.0f} W; the query must give watts of this domain, and no others"
        return refusal("MeterImplausible", domain.name, "the meter's reading", watts, way_out)
    if not answer.at_seconds <= now_seconds + AHEAD_SECONDS:
        way_out = f"it is ahead of the clock by more than {AHEAD_SECONDS:g} s; set the clock of the meter right"
        return refusal("MeterAhead", domain.name, "the time of the meter's reading", answer.at_seconds, way_out)
    return None


def _doubt(domain: CappedDomain, state: MeterState, watts: float, at_seconds: float) -> MeterState:
    """Holds a reading that fell far, until as many as `CONFIRMED_BY` agree."""
    if at_seconds <= state.doubted_seconds:
        return state
    agree = all(abs(watts - each) <= AGREE_WITHIN * each for each in state.doubted)
    doubted = (*state.doubted, watts) if agree else (watts,)
    if len(doubted) >= CONFIRMED_BY:
        return MeterState(watts, at_seconds)
    way_out = f"it fell from {state.watts:.0f} W at once; it counts when {CONFIRMED_BY} readings in a row agree"
    held = refusal("MeterFell", domain.name, "the meter's reading", watts, way_out)
    return replace(state, held=held, doubted=doubted, doubted_seconds=at_seconds)


@dataclass(frozen=True, slots=True)
class RiseHistory:
    """The largest rise within `span_seconds`, as a part of the budget, by day of the last seven.

    `window` are readings (seconds, part of the budget) of the span that no later one is below: its first is the least.
    """

    span_seconds: float
    window: tuple[tuple[float, float], ...] = ()
    largest: tuple[tuple[int, float], ...] = ()

    @property
    def rise(self) -> float:
        """0 where nothing was seen."""
        return max((rise for _, rise in self.largest), default=0.0)

    def observe(self, pressure: float, at_seconds: float) -> RiseHistory:
        """With one reading more; readings come in the order of time."""
        kept = [each for each in self.window if each[0] >= at_seconds - self.span_seconds and each[1] < pressure]
        window = (*kept, (at_seconds, pressure))
        day, rise = int(at_seconds // DAY_SECONDS), pressure - window[0][1]
        if self.largest and self.largest[-1][0] == day:
            if rise <= self.largest[-1][1]:
                return replace(self, window=window)
            days = (*self.largest[:-1], (day, rise))
        else:
            days = (*self.largest, (day, rise))
        return RiseHistory(self.span_seconds, window, tuple(each for each in days if each[0] > day - RISE_DAYS))


def derived_entry(domain: CappedDomain, history: RiseHistory) -> float:
    """T2 as the domain's own history has it: 1 - the largest rise until a command acts - the meter's error."""
    return 1.0 - history.rise - domain.meter_error


def entry_warning(domain: CappedDomain, history: RiseHistory) -> str | None:
    """A sentence where the second level is entered later than the domain's own rises allow."""
    derived, configured = derived_entry(domain, history), domain.ladder.second_entry
    if configured <= derived:
        return None
    return (
        f"power domain {domain.name}: the second level is entered at {configured:.3g} of the budget, and power rose by "
        f"{history.rise:.3g} within {history.span_seconds:g} s, in which no command acts; enter it at {derived:.3g} or "
        "below, or make telemetry and actuation faster"
    )
