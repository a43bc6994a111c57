"""The rules that a plan must obey, by name, and the form of a violation. Values only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

TOLERANCE = 1e-6
"""Relative slack on loads, shares, watts and money."""


class Rule(StrEnum):
    """A rule that a plan must obey."""

    STRUCTURE = "Structure"
    """The plan has each service and each of its variants, once and in order."""
    REPLICAS = "Replicas"
    """Whole numbers within the limits of variant and service; minima may only be missed by a Partial plan."""
    SPOT_SHARE = "SpotShare"
    """No more of a service's replicas are on spot GPUs than it allows."""
    ON_DEMAND_FLOOR = "OnDemandFloor"
    """As many replicas as asked are on GPUs that are not spot; may only be missed by a Partial plan."""
    ZONE_SPREAD = "ZoneSpread"
    """Where a service asks for it, no zone holds all of two or more replicas."""
    BUDGET = "Budget"
    """The replicas of a service cost no more than its `max_cost_per_hour`."""
    STOCK = "Stock"
    """No pool gives more GPUs than it holds."""
    PACKING = "Packing"
    """The replicas of a pool can be placed on its nodes, each replica on one."""
    NODES = "Nodes"
    """A pool that is paid by the node buys the fewest nodes that hold its replicas, within the maximum."""
    POWER = "Power"
    """No power domain, with all below it, draws more than its budget."""
    QUOTA = "Quota"
    """All replicas of a quota take no more GPUs and cost no more than it allows."""
    SHARES = "Shares"
    """The served and the unserved parts make up each bucket; nothing is sent to a variant without a replica."""
    ROUTING = "Routing"
    """The shares are ones that the service's routing mode can bring about."""
    CAPACITY = "Capacity"
    """No replica carries more than its utilisation limit and staffing allow; the stated load is the true one."""
    CANNOT_SERVE = "CannotServe"
    """No bucket goes to a variant that cannot serve it."""
    N_PLUS_ONE = "NPlusOne"
    """Where a service asks for it, what is served is still served when any one replica is lost."""
    COST = "Cost"
    """Costs are replicas times price and nodes times price, and add up."""
    SWITCHING = "Switching"
    """Switching costs are those of the replicas that do not run yet, and add up."""
    BOUND = "Bound"
    """The lower bound is not above cost and switching cost together, and the gap is what they say."""
    BEST_SINGLE = "BestSingle"
    """The single type is one of the variants, serves what the plan serves within all limits, and is not cheaper."""
    CHEAPER = "Cheaper"
    """The fleet that is named as cheaper is one, within all limits, and saves and costs to start what is said."""
    LIMITS = "Limits"
    """Each shared limit that is listed exists once, with its true use and end, and a price that is not negative."""
    UNSERVED = "Unserved"
    """The unserved rate is positive, not above the bucket's, and names limits that the problem has."""
    STATUS = "Status"
    """The status says what the plan leaves out."""
    PRIORITY = "Priority"
    """No service goes short of a replica that a service of lower priority has in the same pool and could give up."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule; `service` is empty where it is the fleet's."""

    service: str
    rule: Rule
    message: str


Finding = tuple[Rule, str]


def close(one: float, other: float) -> bool:
    """Equal to the tolerance; never where one of them is not a number."""
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-9)


def within(value: float, limit: float) -> bool:
    """Not above the limit to the tolerance; never where one of them is not a number."""
    return value <= limit + TOLERANCE * abs(limit) + 1e-9
