"""Small domains for the tests of the capping policy: A100 servers of eight GPUs, four for each priority given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medley_planner.model import Priority
from medley_planner.power import (
    PRESETS,
    Board,
    CappedDomain,
    CappedGpu,
    CappedNode,
    DomainTree,
    GpuCommand,
    GpuSetting,
    MeterAnswer,
    PolicyState,
    build_tree,
    step,
)

A100 = Board("A100", idle_watts=80.0, min_cap_watts=100.0, max_watts=400.0)
NON_GPU_WATTS = 2200.0
GPUS = 4


def node(name: str, priority: Priority = Priority.LOW, *, board: Board = A100) -> CappedNode:
    gpus = tuple(CappedGpu(f"GPU-{name}-{index}", board, priority) for index in range(GPUS))
    return CappedNode(name, NON_GPU_WATTS, gpus)


def domain(
    name: str = "row",
    *,
    preset: str = "ladder5",
    nodes: Sequence[CappedNode] | None = None,
    budget_watts: float = 7000.0,
    parent: str | None = None,
) -> CappedDomain:
    """By default with a node of low and one of high priority: idle 5040 W, full 7600 W."""
    if nodes is None:
        nodes = (node(f"{name}-low", Priority.LOW), node(f"{name}-high", Priority.HIGH))
    return CappedDomain(name, budget_watts, PRESETS[preset], parent=parent, nodes=tuple(nodes))


def tree_of(*domains: CappedDomain) -> DomainTree:
    """A tree in which nothing is refused."""
    tree = build_tree(domains)
    assert tree.refused == {}
    return tree


def without_ramp(given: CappedDomain, *, dwell_seconds: float = 60.0) -> CappedDomain:
    return replace(given, ladder=replace(given.ladder, ramp_seconds=0.0, dwell_seconds=dwell_seconds))


class Played:
    """A policy that is stepped second by second, and what it holds each GPU to."""

    def __init__(self, tree: DomainTree) -> None:
        self.tree = tree
        self.state = PolicyState()
        self.commands: list[tuple[float, GpuCommand]] = []

    def at(self, now: float, **pressures: float) -> tuple[GpuCommand, ...]:
        """One step with fresh readings, given as parts of the budgets; domains that are not named say nothing."""
        answers = {
            name: MeterAnswer((part * self.tree.domains[name].budget_watts,), now) for name, part in pressures.items()
        }
        self.state, commands = step(self.tree, self.state, answers, now_seconds=now)
        self.commands += [(now, command) for command in commands]
        return commands

    def level(self, name: str = "row") -> int:
        return self.state.domains[name].level

    def clocks(self, part: str = "") -> set[float]:
        """The clock fractions that GPUs are held to whose name has this part."""
        return {self.setting(gpu.uuid).clock_fraction for gpu, _, _ in self.tree.places if part in gpu.uuid}

    def setting(self, uuid: str) -> GpuSetting:
        held = self.state.gpus.get(uuid)
        return GpuSetting() if held is None else held.setting
