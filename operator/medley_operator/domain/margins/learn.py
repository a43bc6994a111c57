"""How a margin follows what was attained: slowly down, at once up, within bounds. Pure.

Down, while the requests of several windows at this margin surely missed at most half of what they may: by 2 %, to see
what that does before it goes on. Up, once one window, two in a row, or all at this margin hardly kept what was asked
for though there were the replicas that the plan wanted: by as much as times per output token exceeded their target. It
grows once in the time that replicas need to start, since what it has become shows only then; and for hours it does not
go back to where it fell short.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from medley_operator.domain.margins.attained import evidence, hardly_kept, quantile_seconds, surely_kept
from medley_operator.domain.values.margins import NO_EVIDENCE, LatencyCounts, Margin
from medley_planner.capacity import LatencyTargets

SHRINK = 1.02
"""Capacity that one step down gives back, as a factor."""
SHRINK_WINDOWS = 5
"""Windows before each step down."""
MISSES_USED = 0.5
"""The share of the misses that are allowed which there may have been where a margin shrinks."""
LEAST_GROWTH, MOST_GROWTH = 1.05, 1.25
"""A step up, as a factor on the capacity that is kept."""
QUEUE_GROWTH = 1.10
"""A step up where only first tokens were late: how late says how long the queue is, not how much is missing."""
MOST_WINDOWS = 60
"""Windows that are judged together: older ones say little of what the load is now."""
REMEMBERED_SECONDS = 6 * 3600.0
"""How long it is not tried again where it fell short."""


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """A window beside its requests. `loaded`: replicas had enough to do to show what they can.
    `served`: they had no more to do than was planned, and were not just started. `lead_seconds`: how long replicas take
    to start. `at_seconds` is of the operator's clock."""

    at_seconds: float
    unix_seconds: float
    window_seconds: float
    lead_seconds: float
    loaded: bool
    served: bool


def after_window(
    margin: Margin, counts: LatencyCounts, targets: LatencyTargets, facts: WindowFacts, *, least: float, most: float
) -> Margin:
    """The margin after one more window of requests, from `least` to `most`."""
    new = evidence(counts, ttft_seconds=targets.ttft_seconds, tpot_seconds=targets.tpot_seconds)
    known = replace(margin, last=new, looked_at=facts.at_seconds)
    if facts.served and facts.at_seconds >= margin.settles_at:
        looks = (new, new + margin.last, new + margin.seen)
        short = next((each for each in looks if hardly_kept(each) < targets.share), None)
        if short is not None:
            return _grown(known, _growth(counts, targets), short.requests, facts, most=most)
    if not (facts.loaded and facts.served):
        return known
    if margin.windows >= MOST_WINDOWS:
        known = replace(known, seen=NO_EVIDENCE, windows=0)
    known = replace(known, seen=known.seen + new, windows=known.windows + 1)
    wanted = 1.0 - MISSES_USED * (1.0 - targets.share)
    if known.windows < SHRINK_WINDOWS or surely_kept(known.seen) < wanted:
        return known
    floor = max(least, _floor(known, facts))
    share = max((1.0 + margin.share) / SHRINK - 1.0, min(floor, margin.share))
    if share >= margin.share:
        return known
    return _moved(known, share, known.seen.requests, facts, windows=known.windows)


def _growth(counts: LatencyCounts, targets: LatencyTargets) -> float:
    tpot = quantile_seconds(counts.tpot, targets.share)
    if tpot is None or tpot <= targets.tpot_seconds:
        return QUEUE_GROWTH
    return min(max(tpot / targets.tpot_seconds, LEAST_GROWTH), MOST_GROWTH)


def _grown(margin: Margin, growth: float, requests: float, facts: WindowFacts, *, most: float) -> Margin:
    share = max(min((1.0 + margin.share) * growth - 1.0, most), margin.share)
    grown = _moved(margin, share, requests, facts, windows=2) if share > margin.share else margin
    return replace(
        grown,
        short_share=max(margin.share, _floor(margin, facts)),
        short_at=facts.unix_seconds,
        settles_at=facts.at_seconds + facts.lead_seconds + 2 * facts.window_seconds,
        seen=NO_EVIDENCE,
        windows=0,
    )


def _floor(margin: Margin, facts: WindowFacts) -> float:
    """The least share that is above where it fell short lately."""
    if margin.short_share is None or facts.unix_seconds - margin.short_at >= REMEMBERED_SECONDS:
        return 0.0
    return (1.0 + margin.short_share) * SHRINK - 1.0


def _moved(margin: Margin, share: float, requests: float, facts: WindowFacts, *, windows: int) -> Margin:
    since = facts.unix_seconds - windows * facts.window_seconds
    # In digits that the status can show in full.
    share = round(share, 4)
    return replace(margin, share=share, rests_on=requests, since=since, seen=NO_EVIDENCE, windows=0, last=NO_EVIDENCE)
