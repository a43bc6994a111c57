"""Each way in which a domain can be wrong: refused with object, field, value and a way out, and the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from medley_planner.model import Priority
from medley_planner.power import PRESETS, CappedDomain, GpuSetting, Ladder, build_tree, level_of_clocks
from tests.unit.planner.power.small import GPUS, domain, node, tree_of


def refused(*domains: CappedDomain) -> dict[str, tuple[str, str]]:
    return {name: (each.reason, each.message) for name, each in build_tree(domains).refused.items()}


def with_ladder(**changes: Any) -> CappedDomain:
    given = domain()
    return replace(given, ladder=replace(given.ladder, **changes))


def with_level(index: int, **changes: Any) -> CappedDomain:
    levels = list(domain().ladder.levels)
    levels[index] = replace(levels[index], **changes)
    return with_ladder(levels=tuple(levels))


CASES: dict[str, tuple[Sequence[CappedDomain], str, Sequence[str]]] = {
    "budget below idle": ([domain(budget_watts=5000.0)], "BudgetBelowIdle", ["spec.budgetWatts", "5000", "5040 W"]),
    "budget not a number": ([domain(budget_watts=float("nan"))], "OutOfRange", ["spec.budgetWatts", "NaN"]),
    "budget infinite": ([domain(budget_watts=float("inf"))], "OutOfRange", ["spec.budgetWatts", "Infinity"]),
    "unknown parent": ([domain(parent="attic")], "UnknownParent", ["spec.parent", '"attic"']),
    "own parent": ([domain(parent="row")], "DomainCycle", ["row -> row"]),
    "stale after 0": ([replace(domain(), stale_seconds=0.0)], "OutOfRange", ["spec.staleAfterSeconds"]),
    "negative dwell": ([with_ladder(dwell_seconds=-1.0)], "OutOfRange", ["spec.dwellSeconds", "-1"]),
    "ramp beyond the dwell": ([with_ladder(ramp_seconds=90.0)], "OutOfRange", ["spec.rampSeconds", "60 s"]),
    "no gap": ([with_ladder(relax_gap=0.0)], "OutOfRange", ["spec.relaxGap"]),
    "safe level beyond": ([replace(domain(), safe_level=5)], "OutOfRange", ["spec.safeLevel", "1 to 4"]),
    "safe level 0": ([replace(domain(), safe_level=0)], "OutOfRange", ["spec.safeLevel"]),
    "meter error": ([replace(domain(), meter_error=0.6)], "OutOfRange", ["spec.meterError"]),
    "no levels": ([with_ladder(levels=())], "NoLevels", ["spec.levels"]),
    "entry falls": ([with_level(1, enter=0.7)], "LevelOutOfOrder", ["spec.levels[1].enter", "0.7", "0.8"]),
    "entry at 1": ([with_level(3, enter=1.0)], "LevelOutOfOrder", ["spec.levels[3].enter"]),
    "entry not a number": ([with_level(0, enter=float("nan"))], "LevelOutOfOrder", ["spec.levels[0].enter", "NaN"]),
    "setting rises": ([with_level(2, low=GpuSetting(0.8))], "LevelOutOfOrder", ["spec.levels[2].low", "0.8"]),
    "low above high": (
        [with_ladder(levels=(level_of_clocks(0.8, 0.9, 0.8),))],
        "LevelOutOfOrder",
        ["spec.levels[0].low"],
    ),
    "clock of 0": ([with_level(3, low=GpuSetting(0.0))], "LevelOutOfOrder", ["spec.levels[3].low.clockFraction"]),
    "cap not a number": (
        [with_level(3, low=GpuSetting(0.5, float("nan")))],
        "LevelOutOfOrder",
        ["spec.levels[3].low.capWatts"],
    ),
    "brake below the last level": (
        [with_ladder(brake=level_of_clocks(0.95, 0.4, 0.4))],
        "LevelOutOfOrder",
        ["spec.brake.enter", "0.95"],
    ),
    "cap below the board's range": (
        [with_level(3, low=GpuSetting(0.5, 90.0))],
        "CapOutOfRange",
        ["spec.levels[3].low.capWatts", "90", "A100", "100 to 400 W"],
    ),
    "cap above the board's range": (
        [with_ladder(levels=(replace(level_of_clocks(0.8, 0.9, 1.0), low=GpuSetting(0.9, 500.0)),))],
        "CapOutOfRange",
        ["spec.levels[0].low.capWatts", "500"],
    ),
    "safe caps above the budget": (
        [domain(budget_watts=5100.0)],
        "NotEnforceable",
        ["spec.budgetWatts", "5100", "5200 W"],
    ),
    "one GPU twice": ([domain(nodes=[node("a"), node("a")])], "GpuOnTwoNodes", ["GPU-a-0"]),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    given, reason, words = CASES[name]
    found = refused(*given)
    assert {each for each, _ in found.values()} == {reason}
    message = next(iter(found.values()))[1]
    assert message.startswith(f"power domain {given[0].name}: ")
    assert [word for word in words if word not in message] == []


def test_a_cycle_refuses_those_on_it_and_below_it_alone() -> None:
    a, b = domain("a", parent="b"), domain("b", parent="a")
    found = refused(a, b, domain("c", parent="a"), domain("d"))
    assert {name: reason for name, (reason, _) in found.items()} == dict.fromkeys("abc", "DomainCycle")
    assert "a -> b -> a is a cycle" in found["a"][1]


def test_a_node_in_two_domains_refuses_both() -> None:
    shared = node("shared")
    found = refused(domain("a", nodes=[shared]), domain("b", nodes=[shared]), domain("c"))
    assert {name: reason for name, (reason, _) in found.items()} == dict.fromkeys("ab", "NodeInTwoDomains")
    assert '"shared"' in found["a"][1]
    assert "domain b feeds it too" in found["a"][1]


def test_a_name_twice_is_refused() -> None:
    assert refused(domain("a"), domain("a"))["a"][0] == "DomainTwice"


def test_a_budget_above_the_parents_is_refused() -> None:
    found = refused(domain("site", nodes=(), budget_watts=7000.0), domain("row", parent="site", budget_watts=7500.0))
    assert found["row"][0] == "BudgetAboveParent"


def test_levels_of_equal_entry_are_in_order() -> None:
    assert refused(domain(preset="polca")) == {}


def test_every_preset_is_accepted() -> None:
    for preset in PRESETS:
        assert refused(domain(preset=preset)) == {}


def test_safe_caps_are_the_deepest_levels_where_these_fit() -> None:
    tree = tree_of(domain(budget_watts=7500.0))
    low, high = tree.safe["GPU-row-low-0"], tree.safe["GPU-row-high-0"]
    assert low.clock_fraction == 0.50
    assert low.cap_watts == pytest.approx(80 + 320 * 0.50**1.2, abs=0.1)
    assert high.clock_fraction == 0.787
    assert high.cap_watts == pytest.approx(80 + 320 * 0.787**1.2, abs=0.1)


def test_safe_caps_shrink_to_the_budget() -> None:
    tree = tree_of(domain(budget_watts=5300.0))
    caps = [setting.cap_watts or 0.0 for setting in tree.safe.values()]
    assert len(caps) == 2 * GPUS
    assert 5298.0 < 2 * 2200.0 + sum(caps) <= 5300.0
    assert min(caps) >= 100.0


def test_a_parents_budget_binds_the_caps_of_its_children() -> None:
    site = domain("site", nodes=(), budget_watts=10800.0)
    tree = tree_of(site, domain("a", parent="site"), domain("b", parent="site"))
    assert 4 * 2200.0 + sum(setting.cap_watts or 0.0 for setting in tree.safe.values()) <= 10800.0
    assert tree.safe["GPU-a-low-0"].clock_fraction == 0.50


def test_a_chosen_safe_level_is_used() -> None:
    tree = tree_of(replace(domain(budget_watts=7500.0), safe_level=1))
    assert tree.safe["GPU-row-low-0"].clock_fraction == 0.904
    assert tree.safe["GPU-row-high-0"].cap_watts == pytest.approx(400.0, abs=0.1)


def test_levels_in_watts() -> None:
    """A ladder of caps alone: no clock is locked."""
    caps = Ladder("caps", (replace(level_of_clocks(0.8, 1.0, 1.0), low=GpuSetting(1.0, 200.0)),))
    tree = tree_of(CappedDomain("row", 7000.0, caps, nodes=(node("a", Priority.LOW), node("b", Priority.HIGH))))
    assert tree.safe["GPU-a-0"].clock_fraction == 1.0
    assert (tree.safe["GPU-a-0"].cap_watts or 0.0) <= 200.0
