"""The capping policy: domains with budgets, levels by priority, and what each GPU is held to. Pure; docs/power.md."""

from medley_planner.power.checks import build_tree
from medley_planner.power.curtail import Curtailment, budget_in_force, check_curtailment, shed_for
from medley_planner.power.ladder import DEFAULT_PRESET, PRESETS, GpuSetting, Ladder, PowerLevel, level_of_clocks
from medley_planner.power.levels import DomainState, LevelReason
from medley_planner.power.meter import MeterAnswer, MeterState, RiseHistory, derived_entry, entry_warning
from medley_planner.power.policy import CHANGE_SECONDS, Commanded, GpuCommand, PolicyState, step
from medley_planner.power.tree import Board, CappedDomain, CappedGpu, CappedNode, DomainTree
from medley_planner.power.victims import Shed, order_victims, shed

__all__ = [
    "CHANGE_SECONDS",
    "DEFAULT_PRESET",
    "PRESETS",
    "Board",
    "CappedDomain",
    "CappedGpu",
    "CappedNode",
    "Commanded",
    "Curtailment",
    "DomainState",
    "DomainTree",
    "GpuCommand",
    "GpuSetting",
    "Ladder",
    "LevelReason",
    "MeterAnswer",
    "MeterState",
    "PolicyState",
    "PowerLevel",
    "RiseHistory",
    "Shed",
    "budget_in_force",
    "build_tree",
    "check_curtailment",
    "derived_entry",
    "entry_warning",
    "level_of_clocks",
    "order_victims",
    "shed",
    "shed_for",
    "step",
]
