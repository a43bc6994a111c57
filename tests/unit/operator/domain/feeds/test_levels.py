"""Levels of power domains that last make slower variants of the same pods; those that do not, change nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.feeds.levels import LASTED_SECONDS, counted_levels, pool_clocks
from medley_operator.domain.feeds.tree import CONFIRMED_SECONDS, feed_tree
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.power import CountedLevel, PowerFacts
from medley_planner.model import Priority
from tests.unit.operator import factories as make
from tests.unit.operator.domain.feeds.test_budgets import BUSY, NOON, rack, snapshot_of

FED = {"nodeSelector": {"rack": "a"}, "nonGpuWatts": 0}


def domain(level: int, *, since: float = NOON, name: str = "rack-a", **spec: Any) -> Any:
    return make.power_domain(name, 90_000, status={"level": level, "since": utc_text(since)}, **{**FED, **spec})


def counted(*levels: tuple[float, int], before: CountedLevel | None = None) -> int:
    """The level that counts after the domain was at these, each as (seconds from noon, level)."""
    known = {} if before is None else {"rack-a": before}
    for at, level in levels:
        known = levels_of(domain(level, since=NOON + at), known, now=NOON + at)
    return known["rack-a"].level


def levels_of(
    one: Any, before: Mapping[str, CountedLevel], *, now: float, leased_until: float = NOON * 2
) -> dict[str, CountedLevel]:
    facts = PowerFacts((one,), leased_until={one.metadata.name: leased_until})
    return counted_levels(feed_tree(facts, now=now), before, now=now)


UNCAPPED = CountedLevel()


def test_the_second_level_counts_once_it_has_lasted() -> None:
    assert counted((0, 2), (LASTED_SECONDS - 1, 2), before=UNCAPPED) == 0
    assert counted((0, 2), (LASTED_SECONDS, 2), before=UNCAPPED) == 2
    assert counted((0, 2), (200, 3), (LASTED_SECONDS, 3), before=UNCAPPED) == 3, "a deeper one meanwhile lasts too"
    assert counted((0, 2), (200, 0), (260, 2), (500, 2), before=UNCAPPED) == 0, "it was gone in between"
    assert counted((0, 1), (9 * LASTED_SECONDS, 1), before=UNCAPPED) == 0, "the first never counts"


def test_it_counts_until_it_has_been_gone_for_as_long() -> None:
    assert counted((0, 0), (LASTED_SECONDS - 1, 0), before=CountedLevel(2)) == 2
    assert counted((0, 1), (LASTED_SECONDS, 1), before=CountedLevel(2)) == 0


def test_after_a_restart_a_level_has_lasted_as_long_as_its_domain_says() -> None:
    old = domain(2, since=NOON - LASTED_SECONDS)
    assert levels_of(old, {}, now=NOON)["rack-a"].level == 2
    assert levels_of(domain(2, since=NOON - 1), {}, now=NOON)["rack-a"].level == 0


@pytest.mark.parametrize(("spec", "level"), [({}, 3), ({"safeLevel": 2}, 2), ({"mode": "Shadow"}, 0)])
def test_without_a_controller_the_safe_level_counts_once_it_has_lasted(spec: Any, level: int) -> None:
    """Agents go to it by themselves, and no status says so any more."""
    gone = domain(0, **spec)
    known = levels_of(gone, {"rack-a": UNCAPPED}, now=NOON, leased_until=NOON - CONFIRMED_SECONDS - 1)
    assert known["rack-a"].level == 0
    later = NOON + LASTED_SECONDS
    assert levels_of(gone, known, now=later, leased_until=NOON)["rack-a"].level == level
    assert levels_of(gone, known, now=later, leased_until=later)["rack-a"].level == 0, "it is back"


@pytest.mark.parametrize("mode", ["Log", "Shadow"])
def test_a_domain_that_caps_nothing_slows_nothing(mode: str) -> None:
    old = domain(3, since=NOON - 9 * LASTED_SECONDS, mode=mode)
    assert levels_of(old, {}, now=NOON)["rack-a"].level == 0


def test_clocks_are_those_of_the_deepest_domain_by_priority() -> None:
    row = domain(3, name="row", nodeSelector={})
    tree = feed_tree(PowerFacts((domain(2, parent="row", preset="lp-deep"), row)), now=NOON)
    levels = {"rack-a": CountedLevel(2), "row": CountedLevel(3)}
    clocks = pool_clocks(tree, levels, Counter({"rack-a": 8}), limit_watts=700.0)
    assert clocks == {Priority.LOW: 71, Priority.NORMAL: 85, Priority.HIGH: 92}
    assert pool_clocks(tree, {}, Counter({"rack-a": 8}), limit_watts=700.0) == {}
    half = pool_clocks(tree, {"rack-a": CountedLevel(2)}, Counter({"rack-a": 8, None: 8}), limit_watts=700.0)
    assert half[Priority.LOW] == 85, "the mean of 71 and 100, in steps of 5"


def test_a_cap_on_watts_counts_as_the_clock_that_it_comes_to() -> None:
    levels = [{"enter": "0.8"}, {"enter": "0.9", "low": {"capWatts": 350}}]
    tree = feed_tree(PowerFacts((domain(2, levels=levels),)), now=NOON)
    clocks = pool_clocks(tree, {"rack-a": CountedLevel(2)}, Counter({"rack-a": 8}), limit_watts=700.0)
    assert 45 < clocks[Priority.LOW] < 55
    assert clocks[Priority.HIGH] == 100


def test_a_capped_gpu_is_a_slower_variant_of_the_same_pods() -> None:
    """Its capacity and watts are its own; names, flags and the hash of the layout are as ever, so that no pod is made
    anew."""
    spec = {**BUSY, "priority": "Low"}
    nodes = [rack("a", 1), rack("a", 2)]
    levels = FleetMemory(power_levels={"rack-a": CountedLevel(2)})
    (free,) = prepare(snapshot_of(domain(0), nodes=nodes, spec=spec), FleetMemory()).services
    capped = prepare(snapshot_of(domain(2), nodes=nodes, spec=spec), levels)
    (slow,) = capped.services
    (before,), (after,) = free.variants, slow.variants
    assert before.replica is not None
    assert after.replica is not None
    assert (before.replica.layout.clock_percent, after.replica.layout.clock_percent) == (100, 78)
    assert after.replica.layout == replace(before.replica.layout, clock_percent=78)
    assert max(after.variant.capacity_rps) < max(before.variant.capacity_rps)
    assert after.variant.watts < before.variant.watts
    assert (after.variant.name, after.layout, after.engine_flags) == (
        before.variant.name,
        before.layout,
        before.engine_flags,
    )
    assert capped.power_levels["rack-a"].level == 2
