"""`make fuzz-prices`: the price of one more of each shared limit against planning anew with one more.

Drawn fleets from SEED on, until N have a limit of which one more changes the cost. Exit status: 0 all prices are within
1 % or one cent, 1 some are not, each named with its seed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from medley_planner.model import LimitKind, LimitUse, Plan, PlanStatus, Problem
from medley_planner.optimize import plan
from tests.adversary.draw import drawn

_PART, _CENT = 0.01, 0.01
_SAVES = 1e-4
"""US dollars per hour below which a saving may be the programs' own tolerance."""


def wrong_prices(problem: Problem) -> tuple[int, list[str]]:
    """How many limits are worth something by planning anew, and the prices that say otherwise; none where demand or a
    minimum is left out, as limits then have no price. Of pools that are paid by the node there is not one GPU more."""
    found = _planned(problem)
    if any(service.status in (PlanStatus.PARTIAL, PlanStatus.INFEASIBLE) for service in found.services):
        return 0, []
    counted, wrong = 0, []
    by_node = {pool.name for pool in problem.pools if pool.node_price is not None}
    for use in (use for use in found.limits if use.name not in by_node):
        saved = _objective(found) - _objective(_planned(with_one_more(problem, use)))
        counted += saved > _SAVES
        price = use.shadow_price_per_hour
        if price is None and abs(saved) <= _SAVES:
            # No service that is planned with could use it.
            continue
        if price is None or abs(price - saved) > max(_CENT, _PART * saved) or (saved > _SAVES and price == 0):
            wrong.append(
                f"{use.kind} of {use.name} (size {use.size}): the price is {price}, one more saves {saved:.6f}"
            )
    return counted, wrong


def with_one_more(problem: Problem, use: LimitUse) -> Problem:
    """One more GPU, watt or US dollar of the limit; of places, one more node of so many GPUs."""
    if use.kind is LimitKind.POWER:
        domains = (
            replace(each, budget_watts=each.budget_watts + 1) if each.name == use.name else each
            for each in problem.power_domains
        )
        return replace(problem, power_domains=tuple(domains))
    if use.kind.of_quota:
        field = "max_gpus" if use.kind is LimitKind.QUOTA_GPUS else "max_cost_per_hour"
        quotas = (
            replace(each, **{field: getattr(each, field) + 1}) if each.name == use.name else each
            for each in problem.quotas
        )
        return replace(problem, quotas=tuple(quotas))
    pools = []
    for pool in problem.pools:
        if pool.name != use.name:
            pools.append(pool)
        elif use.kind is LimitKind.SLOTS:
            more = None if pool.stock_gpus is None else pool.stock_gpus + use.size
            pools.append(replace(pool, stock_gpus=more, node_gpus=(*(pool.node_gpus or ()), use.size)))
        elif pool.node_gpus is not None:
            # One more GPU stands on a node of its own.
            more = None if pool.stock_gpus is None else pool.stock_gpus + 1
            pools.append(replace(pool, stock_gpus=more, node_gpus=(*pool.node_gpus, 1)))
        else:
            pools.append(replace(pool, stock_gpus=(pool.stock_gpus or 0) + 1))
    return replace(problem, pools=tuple(pools))


def _planned(problem: Problem) -> Plan:
    return plan(problem, deadline_seconds=60.0)


def _objective(found: Plan) -> float:
    return found.cost_per_hour + found.switching_cost_per_hour


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    seed, fleets, limits, faults = args.seed, 0, 0, 0
    while fleets < args.number:
        counted, wrong = wrong_prices(drawn(seed))
        fleets += counted > 0
        limits += counted
        faults += len(wrong)
        for told in wrong:
            print(f"seed {seed}: {told}", flush=True)
        seed += 1
    print(f"{fleets} fleets of {seed - args.seed} have {limits} limits of which one more saves; {faults} wrong prices")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
