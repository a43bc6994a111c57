"""The levels of power domains that plans count with, and the clocks that they hold the GPUs of a pool to. Pure.

A level that comes and goes changes no plan: caps answer within seconds, starts take minutes. The second level and those
above it count once they have lasted, and are counted until they have been gone for as long.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from medley_operator.api.v1alpha1.power import PowerDomain, PowerMode
from medley_operator.domain.feeds.tree import FeedTree
from medley_operator.domain.power.ladders import ladder_of
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.power import CountedLevel
from medley_planner.capacity.watts import clock_under_cap
from medley_planner.layout import UNCAPPED_PERCENT
from medley_planner.model import Priority

FIRST_COUNTED = 2
LASTED_SECONDS = 300.0
_COARSE_PERCENT = 5
"""Means over GPUs that are capped differently are rounded to it, since each clock has capacities of its own."""


def counted_levels(tree: FeedTree, before: Mapping[str, CountedLevel], *, now: float) -> dict[str, CountedLevel]:
    """The levels by domain, from what was counted before. `now` in Unix seconds."""
    return {
        name: _counted(domain, before.get(name), _in_force(domain, safe=name in tree.unconfirmed), now)
        for name, domain in tree.domains.items()
    }


def _counted(domain: PowerDomain, before: CountedLevel | None, level: int, now: float) -> CountedLevel:
    if before is None:
        # After a restart: as long as the domain itself says.
        before = CountedLevel(0, unix_seconds(domain.status.since) if domain.status.since else None)
    if level == before.level:
        return CountedLevel(level)
    since = now if before.other_since is None else before.other_since
    return CountedLevel(level) if now - since >= LASTED_SECONDS else CountedLevel(before.level, since)


def _in_force(domain: PowerDomain, *, safe: bool) -> int:
    """The level, 0 below the first that counts, and where nothing is capped. `safe`: agents went to the safe limits by
    themselves, whatever the status says."""
    ladder = ladder_of(domain.spec)
    at_least = (domain.spec.safe_level or ladder.deepest) if safe else 0
    level = min(max(domain.status.level or 0, at_least), len(ladder.rungs))
    return level if domain.spec.mode is PowerMode.ENFORCE and level >= FIRST_COUNTED else 0


def pool_clocks(
    tree: FeedTree, levels: Mapping[str, CountedLevel], gpus_by_domain: Counter[str | None], *, limit_watts: float
) -> dict[Priority, int]:
    """The clock of a pool's GPUs by the priority of services, in percent; the mean where they are capped differently.
    `gpus_by_domain`: GPUs by the domain that feeds their nodes. Empty: nothing is capped."""
    capped = {name for name in levels if levels[name].level}
    if not any(name in capped for domain in gpus_by_domain for name in tree.chain(domain)):
        return {}
    total = gpus_by_domain.total()
    found: dict[Priority, int] = {}
    for priority in Priority:
        clocks = {domain: _clock(tree, levels, domain, priority, limit_watts=limit_watts) for domain in gpus_by_domain}
        if len(set(clocks.values())) == 1:
            found[priority] = next(iter(clocks.values()))
        else:
            mean = sum(gpus_by_domain[domain] * clock for domain, clock in clocks.items()) / total
            found[priority] = round(mean / _COARSE_PERCENT) * _COARSE_PERCENT
    return found


def _clock(
    tree: FeedTree,
    levels: Mapping[str, CountedLevel],
    domain: str | None,
    priority: Priority,
    *,
    limit_watts: float,
) -> int:
    clock = 1.0
    for name in tree.chain(domain):
        counted = levels.get(name, CountedLevel())
        ladder = ladder_of(tree.domains[name].spec)
        setting = ladder.setting(min(counted.level, len(ladder.rungs)), priority)
        clock = min(clock, setting.clock_fraction)
        if setting.cap_watts is not None and limit_watts > 0.0:
            clock = min(clock, clock_under_cap(setting.cap_watts / limit_watts))
    # What a float lacks of a whole percent is not a percent less.
    return max(math.floor(UNCAPPED_PERCENT * clock + 1e-6), 1)
