"""Whole steps: what GPUs are held to when domains rise, fall, go blind, are refused, and when domains are nested."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.model import Priority
from medley_planner.power import Curtailment, GpuSetting, MeterAnswer, build_tree, step
from tests.unit.planner.power.small import GPUS, Played, domain, node, tree_of, without_ramp


def test_a_crossing_is_answered_in_the_same_step() -> None:
    played = Played(tree_of(domain()))
    assert played.at(0.0, row=0.79) == ()
    commands = played.at(1.0, row=0.88)
    assert len(commands) == 2 * GPUS
    assert {command.node for command in commands} == {"row-low", "row-high"}
    assert (played.clocks("low"), played.clocks("high")) == ({0.787}, {0.926})


def test_equal_levels_command_nothing() -> None:
    played = Played(tree_of(domain()))
    played.at(0.0, row=0.88)
    assert [played.at(float(now), row=0.88) for now in range(1, 50)] == [()] * 49


def test_no_gpu_changes_twice_within_5_seconds() -> None:
    played = Played(tree_of(domain()))
    played.at(0.0, row=0.82)
    assert {command.uuid for command in played.at(1.0, row=0.96)} == {f"GPU-row-high-{index}" for index in range(GPUS)}
    for now in range(2, 5):
        assert played.at(float(now), row=0.96) == ()
    assert {command.uuid for command in played.at(5.0, row=0.96)} == {f"GPU-row-low-{index}" for index in range(GPUS)}
    assert played.clocks("low") == {0.50}


def test_a_release_is_spread_over_the_ramp_and_high_priority_goes_first() -> None:
    played = Played(tree_of(domain()))
    played.at(0.0, row=0.88)
    released = []
    for now in range(1, 100):
        pressure = {"row": 0.81 if now < 90 else 0.5}
        released += [(now, command.uuid) for command in played.at(float(now), **pressure)]
    assert [now for now, _ in released] == sorted(now for now, _ in released)
    assert released[0][0] > 60
    assert released[-1][0] == 90
    assert len({now for now, _ in released}) == 2 * GPUS
    assert ["high" in uuid for _, uuid in released] == [True] * GPUS + [False] * GPUS


def test_a_blind_domain_holds_the_safe_caps_and_leaves_them_step_by_step() -> None:
    tree = tree_of(without_ramp(domain()))
    played = Played(tree)
    played.at(0.0, row=0.5)
    played.at(10.0)
    assert played.clocks() == {1.0}
    played.at(11.0)
    assert {each.uuid: played.setting(each.uuid) for each, _, _ in tree.places} == tree.safe
    for now in range(60, 120, 5):
        played.at(float(now), row=0.5)
        assert played.setting("GPU-row-low-0").cap_watts is not None
    played.at(120.0, row=0.5)
    assert played.setting("GPU-row-low-0") == GpuSetting(0.50)


def test_a_gap_between_steps_counts_as_blind() -> None:
    """A controller that was gone does not go on where it was: agents may be at their safe settings."""
    played = Played(tree_of(domain()))
    played.at(0.0, row=0.5)
    played.at(100.0, row=0.5)
    assert played.state.domains["row"].safe


def test_a_held_reading_relaxes_nothing_and_ends_blind() -> None:
    played = Played(tree_of(without_ramp(domain(), dwell_seconds=0.0)))
    played.at(0.0, row=0.96)
    for now in range(1, 11):
        played.at(float(now), row=5.0)
        assert played.level() == 4
    assert not played.state.domains["row"].safe
    played.at(11.0, row=5.0)
    assert played.state.domains["row"].safe
    held = played.state.meters["row"].held
    assert held is not None
    assert held.reason == "MeterImplausible"


def test_a_held_reading_ends_no_dwell() -> None:
    """The last good reading is fresh and low, and still nothing is relaxed on it."""
    played = Played(tree_of(without_ramp(domain(), dwell_seconds=10.0)))
    played.at(0.0, row=0.96)
    played.at(5.0, row=0.6)
    for now in range(6, 13):
        played.at(float(now), row=5.0)
        assert played.level() == 4
    played.at(13.0, row=0.6)
    assert played.level() == 3


def test_a_meter_that_reads_low_is_counted_with_its_error() -> None:
    played = Played(tree_of(replace(domain(), meter_error=0.05)))
    played.at(0.0, row=0.78)
    assert played.level() == 1


def test_a_gpu_keeps_what_every_domain_above_it_asks() -> None:
    site = domain("site", nodes=(), budget_watts=13000.0)
    tree = tree_of(site, domain("a", parent="site"), domain("b", parent="site"))
    played = Played(tree)
    played.at(0.0, site=0.88, a=0.96, b=0.5)
    assert played.clocks("a-low") == {0.50}
    assert played.clocks("b-low") == {0.787}
    played.at(5.0, site=0.92, a=0.96, b=0.5)
    assert played.clocks("a-low") == {0.50}
    assert played.clocks("b-low") == {0.638}


def test_a_refused_domain_relaxes_nothing_and_the_others_go_on() -> None:
    good = domain("good")
    tree = tree_of(without_ramp(domain("bad"), dwell_seconds=0.0), good)
    played = Played(tree)
    played.at(0.0, bad=0.96, good=0.5)
    played.tree = build_tree([replace(tree.domains["bad"], budget_watts=1000.0), good])
    assert played.tree.refused.keys() == {"bad"}
    for now in range(1, 100):
        played.at(float(now), bad=0.0, good=0.88)
    assert played.clocks("bad-low") == {0.50}
    assert played.clocks("good-low") == {0.787}


def test_a_curtailment_lowers_the_budget_and_ends() -> None:
    tree = tree_of(without_ramp(domain()))
    played = Played(tree)
    events = [Curtailment("grid", "row", 5250.0, 10.0, 100.0)]
    levels = []
    for now in range(0, 161):
        answers = {"row": MeterAnswer((0.7 * 7000.0,), float(now))}
        played.state, _ = step(tree, played.state, answers, events, now_seconds=float(now))
        levels.append(played.level())
    assert [levels[now] for now in (0, 9, 10, 50, 99, 100, 159, 160)] == [0, 0, 3, 3, 3, 2, 2, 1]


def test_a_new_gpu_gets_the_setting_of_its_domain() -> None:
    row = domain()
    played = Played(tree_of(row))
    played.at(0.0, row=0.88)
    played.tree = tree_of(replace(row, nodes=(*row.nodes, node("new", Priority.LOW)), budget_watts=11000.0))
    commands = played.at(1.0, row=0.88)
    assert {command.uuid for command in commands} == {f"GPU-new-{index}" for index in range(GPUS)}
    assert played.clocks("new") == {0.787}
