"""The state that a new leader goes on from: the statuses and caps that the last one left. Pure.

Apart: the one place that reads caps back, so that nothing is un-capped by a change of leader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medley_operator.api.v1alpha1.power import GpuCap, NodePowerCap, PowerDomain
from medley_operator.domain.power.ladders import limit_of, setting_of
from medley_operator.domain.power.limits import commanded
from medley_operator.domain.power.view import PowerView
from medley_planner.model import Priority
from medley_planner.power import Commanded, DomainState, DomainTree, GpuSetting, LevelReason, PolicyState


def levels_left(
    tree: DomainTree, known: Mapping[str, PowerDomain], view: PowerView, now: float
) -> dict[str, DomainState]:
    """The levels that another leader left. Caps are written before statuses: where a GPU is held deeper than the
    statuses of its domains say, the nearest domain is taken to be at the level that held it.
    """
    levels = {name: domain.status.level or 0 for name, domain in known.items()}
    nearest: dict[str, int] = {}
    for cap in view.caps.values():
        if not cap.spec.domains or cap.spec.domains[0] not in tree.domains:
            continue
        deepest = max((gpu.level for gpu in cap.spec.gpus if _deeper(gpu, cap, tree, levels)), default=0)
        if deepest > max(levels.get(name, 0) for name in cap.spec.domains):
            name = cap.spec.domains[0]
            nearest[name] = max(nearest.get(name, 0), deepest)
    found: dict[str, DomainState] = {}
    for name in tree.domains:
        status = known[name].status
        level = max(levels[name], nearest.get(name, 0))
        if level or status.safe:
            found[name] = DomainState(level, status.safe, now, LevelReason.DWELLING)
    return found


def _deeper(gpu: GpuCap, cap: NodePowerCap, tree: DomainTree, levels: Mapping[str, int]) -> bool:
    """Whether a GPU is held to less than what the levels of its domains ask. One that is not says nothing by its level:
    that is from when its limit last changed."""
    asked = GpuSetting()
    for name in cap.spec.domains:
        if name in tree.domains:
            ladder = tree.domains[name].ladder
            level = min(levels.get(name, 0), len(ladder.rungs))
            asked = asked.deeper(ladder.setting(level, Priority(gpu.priority.value)))
    # As it was written: limits are rounded.
    return not setting_of(limit_of(asked)).within(setting_of(gpu.limit))


def adopted(tree: DomainTree, state: PolicyState, view: PowerView) -> PolicyState:
    """GPUs that the policy never commanded begin with what their node's caps say."""
    gpus: dict[str, Commanded] = {}
    for gpu, node, _ in tree.places:
        known = state.gpus.get(gpu.uuid)
        if known is None and node.name in view.caps:
            known = commanded(view.caps[node.name], gpu.uuid)
        if known is not None:
            gpus[gpu.uuid] = known
    return replace(state, gpus=gpus)
