"""The error of a variant's capacity: the part of its load at which it attains what it did not. Pure.

Only lowers: that a plan attains more than was asked is what headroom and derating are for, and does not prove that a
capacity may be raised.
"""

from __future__ import annotations

import math
from dataclasses import replace

from medley_planner.capacity import LatencyTargets
from medley_planner.check.attain import ReplicaLoad, attained
from medley_planner.variants import Replica

FLOOR = 0.2
"""Capacities are never lowered below this part of the table's: beyond, the error does not come from adding loads."""
_STEPS = 5
"""Halvings of the bracket's ratio: 5 leave 5 %."""
_OUT_OF_REACH = 0.01
"""Where even the floor does not attain, what load causes is still taken off, to so much of what the floor attains."""


def capacity_factor(replica: Replica, served: ReplicaLoad, targets: LatencyTargets, *, load: float) -> float:
    """The factor on the variant's capacities, at most 1, for a replica that carries `load` of them.

    The largest part f of the rate at which the percentile is attained is the capacity for this mix; the table promised
    rate / load. So the factor is f x load: the headroom that the plan asks for is kept beside it. 1 where the replica
    attains as it is, and where a lower load does not help.
    """
    if not 0.0 < load < math.inf or _share(replica, served, targets) >= targets.share:
        return 1.0
    least = _share(replica, _at(served, FLOOR), targets)
    goal = min(targets.share, least - _OUT_OF_REACH)
    if _share(replica, served, targets) >= goal:
        return 1.0
    low, high = FLOOR, 1.0
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        if _share(replica, _at(served, middle), targets) >= goal:
            low = middle
        else:
            high = middle
    return rounded_factor(low * load)


def rounded_factor(factor: float) -> float:
    """Rounded down to thousandths, which a status can show in full, and at least the floor."""
    return max(min(math.floor(factor * 1000.0 + 1e-6) / 1000.0, 1.0), FLOOR)


def _at(served: ReplicaLoad, part: float) -> ReplicaLoad:
    return replace(served, rate_rps=served.rate_rps * part)


def _share(replica: Replica, served: ReplicaLoad, targets: LatencyTargets) -> float:
    return attained(replica, served, targets).attainment
