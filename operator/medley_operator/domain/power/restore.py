"""The state that a new leader goes on from: the statuses and caps that the last one left. Pure.

Apart: the one place that reads caps back, so that nothing is un-capped by a change of leader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medley_operator.api.v1alpha1.power import PowerDomain
from medley_operator.domain.power.limits import commanded
from medley_operator.domain.power.view import PowerView
from medley_planner.power import Commanded, DomainState, DomainTree, LevelReason, PolicyState


def levels_left(
    tree: DomainTree, known: Mapping[str, PowerDomain], view: PowerView, now: float
) -> dict[str, DomainState]:
    """The levels that another leader left. Caps are written before statuses: where a node's are deeper than the
    statuses of its domains say, the nearest domain is taken to be at their level.
    """
    levels = {name: domain.status.level or 0 for name, domain in known.items()}
    nearest: dict[str, int] = {}
    for cap in view.caps.values():
        deepest = max(cap.spec.others.level, *(gpu.level for gpu in cap.spec.gpus), 0)
        if cap.spec.domains and deepest > max(levels.get(name, 0) for name in cap.spec.domains):
            name = cap.spec.domains[0]
            nearest[name] = max(nearest.get(name, 0), deepest)
    found: dict[str, DomainState] = {}
    for name in tree.domains:
        status = known[name].status
        level = max(levels[name], nearest.get(name, 0))
        if level or status.safe:
            found[name] = DomainState(level, status.safe, now, LevelReason.DWELLING)
    return found


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
