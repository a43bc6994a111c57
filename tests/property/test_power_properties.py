"""The capping policy under any meters: never relaxed blind, no change within 5 s, safe caps that hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medley_planner.model import Priority
from medley_planner.power import (
    CHANGE_SECONDS,
    PRESETS,
    Board,
    CappedDomain,
    CappedGpu,
    CappedNode,
    Curtailment,
    DomainState,
    DomainTree,
    GpuCommand,
    GpuSetting,
    MeterAnswer,
    PolicyState,
    build_tree,
    step,
)

_quick = settings(max_examples=80, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

BOARDS = (Board("A100", 80.0, 100.0, 400.0), Board("H100", 75.0, 200.0, 700.0), Board("odd", 33.3, 77.7, 301.1))
UNCAPPED = GpuSetting()


@st.composite
def nodes(draw: st.DrawFn, name: str) -> CappedNode:
    board, priority = draw(st.sampled_from(BOARDS)), draw(st.sampled_from(list(Priority)))
    gpus = tuple(
        CappedGpu(f"{name}-{index}", board, priority, clock_sensitivity=draw(st.sampled_from([0.1, 0.2, 0.9])))
        for index in range(draw(st.integers(1, 3)))
    )
    return CappedNode(name, draw(st.floats(0.0, 2500.0)), gpus)


@st.composite
def trees(draw: st.DrawFn) -> DomainTree:
    """A site, a row in it and two racks in the row, with any presets; budgets from far too low to ample."""
    domains: list[CappedDomain] = []
    parents = {"site": None, "row": "site", "rack-a": "row", "rack-b": "row"}
    for name, parent in parents.items():
        ladder = PRESETS[draw(st.sampled_from(sorted(PRESETS)))]
        dwell = draw(st.sampled_from([0.0, 10.0, 60.0]))
        ladder = replace(ladder, dwell_seconds=dwell, ramp_seconds=draw(st.sampled_from([0.0, dwell / 2.0, dwell])))
        members = tuple(draw(nodes(f"{name}-{index}")) for index in range(draw(st.integers(0, 3))))
        domains.append(CappedDomain(name, 1.0, ladder, parent=parent, nodes=members))
    bare = build_tree(domains)
    budgets = {name: bare.most_watts(name) * draw(st.floats(0.4, 1.0)) + 1.0 for name in parents}
    return build_tree([replace(each, budget_watts=budgets[each.name]) for each in domains])


@dataclass(frozen=True)
class Tick:
    """A step to come: seconds after the last one, and what each meter says (None: nothing), as parts of budgets."""

    seconds: float
    pressures: dict[str, tuple[float, ...] | None]


def ticks(names: Sequence[str]) -> st.SearchStrategy[list[Tick]]:
    good = st.floats(0.3, 1.1).map(lambda part: (part,))
    said = st.one_of(good, good, good, st.none(), st.sampled_from([(), (0.7, 0.7), (7.0,), (0.0,), (float("nan"),)]))
    one = st.builds(
        Tick,
        st.sampled_from([0.5, 1.0, 2.0, 4.0, 9.0, 9.0, 9.0, 70.0]),
        st.fixed_dictionaries(dict.fromkeys(names, said)),
    )
    return st.lists(one, min_size=1, max_size=50)


@dataclass(frozen=True)
class Stepped:
    """What one step did."""

    now: float
    before: PolicyState
    after: PolicyState
    commands: tuple[GpuCommand, ...]


def play(tree: DomainTree, given_ticks: Sequence[Tick], events: Sequence[Curtailment] = ()) -> list[Stepped]:
    now, state, found = 0.0, PolicyState(), []
    for tick in given_ticks:
        now += tick.seconds
        answers = {
            name: MeterAnswer(tuple(part * tree.domains[name].budget_watts for part in parts), now)
            for name, parts in tick.pressures.items()
            if parts is not None
        }
        after, commands = step(tree, state, answers, events, now_seconds=now)
        found.append(Stepped(now, state, after, commands))
        state = after
    return found


@st.composite
def games(draw: st.DrawFn) -> tuple[DomainTree, list[Stepped]]:
    tree = draw(trees())
    events = [Curtailment("grid", name, tree.domains[name].budget_watts * 0.8, 20.0, 120.0) for name in ("row",)]
    return tree, play(tree, draw(ticks(list(tree.domains))), draw(st.sampled_from([[], events])))


def depth(state: DomainState) -> tuple[bool, int]:
    return state.safe, state.level


@_quick
@given(games())
def test_no_domain_relaxes_on_what_it_cannot_see(game: tuple[DomainTree, list[Stepped]]) -> None:
    tree, steps = game
    for each in steps:
        for name, after in each.after.domains.items():
            before = each.before.domains.get(name, DomainState())
            if (after.level, after.safe) == (before.level, before.safe):
                continue
            if after.level < before.level or after.safe < before.safe:
                meter = each.after.meters[name]
                assert meter.held is None
                assert each.now - meter.at_seconds <= tree.domains[name].stale_seconds
                assert name not in tree.refused


@_quick
@given(games())
def test_a_step_back_is_one_level_after_the_dwell(game: tuple[DomainTree, list[Stepped]]) -> None:
    tree, steps = game
    for each in steps:
        for name, after in each.after.domains.items():
            before = each.before.domains.get(name, DomainState())
            if depth(after) < depth(before):
                assert before.level - after.level + before.safe - after.safe == 1
                assert each.now - before.changed_seconds >= tree.domains[name].ladder.dwell_seconds


@_quick
@given(games())
def test_a_blind_domain_is_at_its_safe_settings(game: tuple[DomainTree, list[Stepped]]) -> None:
    """All that the 5 s let through, and the rest 5 s later at the latest."""
    tree, steps = game
    for each in steps:
        blind = {name for name, meter in each.after.meters.items() if each.now - meter.at_seconds > 10.0}
        for gpu, _, chain in tree.places:
            if blind & set(chain):
                held = each.after.gpus.get(gpu.uuid)
                assert held is not None
                waits = each.now - held.at_seconds < CHANGE_SECONDS
                assert held.setting.within(tree.safe[gpu.uuid]) or waits


@_quick
@given(games())
def test_no_gpu_is_changed_twice_within_5_seconds(game: tuple[DomainTree, list[Stepped]]) -> None:
    _, steps = game
    last: dict[str, float] = {}
    for each in steps:
        assert len({command.uuid for command in each.commands}) == len(each.commands)
        for command in each.commands:
            assert each.now - last.get(command.uuid, -100.0) >= CHANGE_SECONDS
            last[command.uuid] = each.now


@_quick
@given(games())
def test_low_priority_is_held_as_far_as_high_once_all_is_settled(game: tuple[DomainTree, list[Stepped]]) -> None:
    tree, steps = game
    for each in steps:
        if each.after.settled_for is None:
            continue
        clocks: dict[tuple[tuple[str, ...], Priority], set[float]] = {}
        for gpu, _, chain in tree.places:
            held = each.after.gpus.get(gpu.uuid)
            setting = UNCAPPED if held is None else held.setting
            clocks.setdefault((chain, gpu.priority), set()).add(setting.clock_fraction)
        for (chain, priority), found in clocks.items():
            assert len(found) == 1
            if priority is Priority.LOW:
                assert all(min(found) <= min(clocks.get((chain, other), found)) for other in Priority)


@_quick
@given(trees())
def test_safe_caps_fit_every_budget_or_the_domain_is_refused(tree: DomainTree) -> None:
    boards = {gpu.uuid: gpu.board for gpu, _, _ in tree.places}
    for name, domain in tree.domains.items():
        members = tree.nodes_of(name)
        other = sum(node.non_gpu_watts for node in members)
        uuids = [gpu.uuid for node in members for gpu in node.gpus]
        if name in tree.refused:
            least = other + sum(boards[uuid].min_cap_watts for uuid in uuids)
            reasons = {"NotEnforceable": least > domain.budget_watts}
            assert reasons.get(tree.refused[name].reason, True)
            continue
        caps = [tree.safe[uuid].cap_watts or float("inf") for uuid in uuids]
        assert other + sum(caps) <= domain.budget_watts + 1e-6
        for uuid, cap in zip(uuids, caps, strict=True):
            assert boards[uuid].min_cap_watts <= cap <= boards[uuid].max_watts


@_quick
@given(trees(), st.data())
def test_equal_input_gives_equal_output(tree: DomainTree, data: st.DataObject) -> None:
    chosen = data.draw(ticks(list(tree.domains)))
    assert [each.commands for each in play(tree, chosen)] == [each.commands for each in play(tree, chosen)]


def test_the_games_reach_what_they_are_about() -> None:
    """Guards the tests above: there are domains of both kinds, releases, blindness and commands that wait."""
    seen: set[str] = set()

    @settings(_quick, database=None)
    @given(games())
    def look(game: tuple[DomainTree, list[Stepped]]) -> None:
        tree, steps = game
        seen.update(each.reason for each in tree.refused.values())
        if len(tree.refused) < len(tree.domains):
            seen.add("accepted")
        for each in steps:
            seen.update(state.reason.value for state in each.after.domains.values())
            seen.update(meter.held.reason for meter in each.after.meters.values() if meter.held is not None)
            if each.after.settled_for is None:
                seen.add("waits")

    look()
    wanted = {"accepted", "waits", "Blind", "Lowered", "Raised", "Dwelling", "NotEnforceable"}
    wanted |= {"MeterImplausible", "MeterAmbiguous", "MeterEmpty", "MeterFell"}
    assert wanted - seen == set()


@pytest.mark.parametrize("dwell", [0.0, 60.0])
def test_a_pressure_at_the_edge_swings_no_faster_than_the_dwell(dwell: float) -> None:
    ladder = replace(PRESETS["inband"], dwell_seconds=dwell, ramp_seconds=0.0)
    node = CappedNode("n", 1000.0, (CappedGpu("g", BOARDS[0], Priority.LOW),))
    tree = build_tree([CappedDomain("row", 1350.0, ladder, nodes=(node,))])
    swing = [Tick(1.0, {"row": (0.86 if second % 8 < 4 else 0.78,)}) for second in range(600)]
    changes = sum(len(each.commands) for each in play(tree, swing))
    assert changes >= 100 if dwell == 0.0 else changes <= 21
