"""How hard a group of services is searched: its regimes by size, and by what the services ask, as rows of one table.

A small group is proven jointly. The more services there are the less the joint program and the integer master prove in
their seconds, and the less whole replicas cost against the bound, so larger groups stop earlier. Each figure is a
measurement on drawn fleets, and a row differs from the one before it only in what it names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from medley_planner.optimize.task.rules import restricted
from medley_planner.optimize.task.task import Task

AGREED = 1e-4
"""Relative distance of the bound to the master's relaxation at which more rounds are not worth their time."""
_NEAREST, _FARTHEST = 6, 150
"""Configurations near the cheapest of one service that the integer master gets, at least and at most."""
_LEAST_NODES = 20
_GOOD_ENOUGH_AT_MOST = 2e-3


@dataclass(frozen=True, slots=True)
class Effort:
    """One regime. Gaps and distances are relative.

    It is for groups of up to `most_services`. Columns: rounds end where bound and relaxation are `agreed`; nothing more
    is tried below the gap `rounded` after rounding. The integer master is left out below the gap `master_gap` (None:
    never) or, if that is more, what rounding the part `master_services` of one average service takes. It chooses from
    about `near_columns` configurations that cost at most the part `near` more than the cheapest, in `nodes` divided by
    the services, or `nodes_at_hand` where there is a choice already.

    Joint program: it is tried above the gap `joint_gap` and may stop at `joint_enough`; with `joint_sheds` also where
    demand is left out.
    """

    most_services: float
    agreed: float
    rounded: float
    master_gap: float | None
    master_services: float
    near: float
    near_columns: int
    nodes: int
    nodes_at_hand: int | None
    joint_gap: float
    joint_enough: float
    joint_sheds: bool

    @property
    def joint(self) -> bool:
        """Whether the joint program is tried at all."""
        return self.joint_gap < math.inf

    def good_enough(self, services: int) -> float:
        """The gap below which the integer master is not worth its seconds."""
        if self.master_gap is None:
            return -math.inf
        return max(self.master_gap, min(self.master_services / services, _GOOD_ENOUGH_AT_MOST))

    def near_each(self, services: int) -> int:
        """How many configurations near the cheapest are looked for, by service."""
        return min(max(self.near_columns // services, _NEAREST), _FARTHEST)

    def nodes_for(self, services: int, *, at_hand: bool) -> int:
        """Nodes that the integer master may search."""
        if at_hand and self.nodes_at_hand is not None:
            return self.nodes_at_hand
        return max(_LEAST_NODES, self.nodes // services)


FEW = Effort(
    most_services=3,
    agreed=AGREED,
    rounded=2e-4,
    master_gap=None,
    master_services=0.0,
    near=0.05,
    near_columns=6000,
    nodes=2000,
    nodes_at_hand=None,
    joint_gap=0.0,
    joint_enough=0.0,
    joint_sheds=True,
)
"""The joint program alone. Columns only price limits here."""
SOME = replace(FEW, most_services=8)
"""Columns, and the joint program proves what they leave open: mostly within seconds."""
SEVERAL = replace(SOME, most_services=40, joint_gap=2e-3, joint_enough=5e-4, joint_sheds=False)
"""The integer master may still prove more than the prices do. The joint program is for what columns leave wide open: by
pods (Service) it proves 20 services in seconds."""
MANY = replace(
    SEVERAL,
    most_services=250,
    rounded=8e-4,
    master_gap=1e-3,
    near=0.005,
    near_columns=2000,
    joint_gap=math.inf,
)
"""Rounding alone reaches `rounded` for hundreds of services, unless many limits bind. The master proves nothing, and
below `master_gap` it is not worth its seconds. With 100 services on 40 pools in three levels of power domains it took a
third of the time among 20 configurations a service that it took among 60, and left gaps of 0.4 and 0.3 % in place of
2.5 and 0.2 %."""
HUNDREDS = replace(MANY, most_services=math.inf, rounded=1e-3, master_gap=math.inf)
"""The integer master only finds a choice where rounding found none: with 500 services in three levels of power domains
it searched for three seconds and found no better one."""
RULED = replace(MANY, agreed=2.5e-4, master_services=0.15, nodes_at_hand=2)
"""As many, of which some have rules. The last rounds raise the bound by little, and each takes as long as the first.
The master takes longest here: with 100 services, spot pools and two degrees of tensor parallelism it found better
choices among 20 a service than among 60, in half of the time; mostly the root's heuristics find what the next nodes do
not better."""
_SIZED_AGREED, _SIZED_ROUNDED = 2e-3, 3e-3
"""`agreed` and `rounded` of as many, of which some are routed by size, whose pricing takes ten times as long."""
_ROWS = (FEW, SOME, SEVERAL, MANY, HUNDREDS)


def effort_for(tasks: Sequence[Task]) -> Effort:
    """The regime of these services, planned together."""
    effort = next(row for row in _ROWS if len(tasks) <= row.most_services)
    if effort.joint:
        return effort
    if any(restricted(task) for task in tasks):
        effort = replace(
            effort,
            agreed=RULED.agreed,
            master_services=RULED.master_services,
            nodes_at_hand=RULED.nodes_at_hand,
        )
    if any(not task.blind for task in tasks):
        effort = replace(effort, agreed=_SIZED_AGREED, rounded=_SIZED_ROUNDED)
    return effort
