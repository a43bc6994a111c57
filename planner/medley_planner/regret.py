"""When a dear fleet is left for a cheaper one: what leaving costs against what staying has cost already.

Whether a change pays depends on how long the load stays, which nobody knows. What is known is little: a plan is made
for the load of the next lead times. Beyond that the rule is the one of renting skis until they would have been bought
(Karlin, Manasse, Rudolph and Sleator 1988): as staying has cost more and more, starts are charged less and less, and
once it has cost as much as leaving, starts are free. For one such choice that costs at most twice what it would cost
to know the end beforehand. Pure.

With W wasted so far, L the cost of leaving, r the saving per hour and T the hours for which the load is known, starts
are divided by T / (1 - W / L) hours: a program that weighs them leaves where r T >= L - W. The charge stays linear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from medley_planner.model import CheaperFleet

KNOWN_LEADS = 2.0
"""Lead times (start and drain of the slowest variant) for which the load is taken to stay: the operator, too, plans no
fall that would be needed again within two. Of 0.5 to 5, two cost least on drawn steps of load."""
SAME_PART = 0.01
"""Relative. Savings and costs that differ by less are the same: a plan's figures move a little with the load."""
_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Regret:
    """The account of one service, in US dollars: `wasted_cost` up to `at_seconds`, on any one clock.

    From then on a cheaper fleet would save `saving_per_hour`, and leaving for it costs `leaving_cost`; 0 where no fleet
    is cheaper.
    """

    at_seconds: float = 0.0
    wasted_cost: float = 0.0
    saving_per_hour: float = 0.0
    leaving_cost: float = 0.0

    def wasted_by(self, at_seconds: float) -> float:
        """The cost of staying by then."""
        return self.wasted_cost + self.saving_per_hour * max(0.0, at_seconds - self.at_seconds) / _HOUR_SECONDS

    def stay_seconds(self, at_seconds: float, *, known_seconds: float) -> float:
        """How long what starts then is taken to stay, where the load is known for `known_seconds`; infinite once
        staying has cost as much as leaving."""
        if self.saving_per_hour <= 0 or self.leaving_cost <= 0:
            return known_seconds
        charged = 1.0 - self.wasted_by(at_seconds) / self.leaving_cost
        return known_seconds / charged if charged > 0 else math.inf

    def leaves_at(self, *, known_seconds: float) -> float | None:
        """When staying will have cost so much that the cheaper fleet is started; None where there is none."""
        if self.saving_per_hour <= 0 or self.leaving_cost <= 0:
            return None
        lacking = self.leaving_cost - self.wasted_cost
        return self.at_seconds + max(0.0, lacking / self.saving_per_hour * _HOUR_SECONDS - known_seconds)

    def after(self, cheaper: CheaperFleet | None, at_seconds: float, *, left: bool) -> Regret:
        """The account after a plan that leaves `cheaper` aside. `left`: the plan has started what the account was
        about, or a part of it; then only the part of what was wasted stays that there still is to leave for. Unchanged
        where nothing but time has passed."""
        wasted = self.wasted_by(at_seconds)
        saving, leaving = (cheaper.saving_per_hour, cheaper.leaving_cost) if cheaper is not None else (0.0, 0.0)
        if left:
            wasted *= min(1.0, leaving / self.leaving_cost) if self.leaving_cost > 0 else 0.0
        if not left and _same(saving, self.saving_per_hour) and _same(leaving, self.leaving_cost):
            return self
        return replace(self, at_seconds=at_seconds, wasted_cost=wasted, saving_per_hour=saving, leaving_cost=leaving)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=SAME_PART)
