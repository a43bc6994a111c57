"""`make fuzz`: N drawn problems from SEED on; each plan is verified, made twice, and compared with `program.py`.

Exit status: 0 no mismatch, 1 some, each named with its seed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace

from medley_planner.model import Plan, Priority, Problem
from medley_planner.optimize import plan, verify
from tests.adversary.draw import drawn
from tests.adversary.program import HELD, Least, least

_RPS, _MONEY = 1e-5, 2e-5
"""Relative tolerances: of the programs' own, and of the gap that a plan may stop at."""


def mismatches(problem: Problem) -> list[str]:
    """Faults of the plan of this problem, by what is compared; none where HiGHS gave no answer."""
    found = plan(problem, deadline_seconds=60.0)
    wrong = [f"rule: {violation}" for violation in verify(problem, found)]
    again = plan(problem, deadline_seconds=60.0)
    if replace(again, solve_seconds=found.solve_seconds) != found:
        wrong.append("two runs differ")
    told: list[str] = []
    for held in HELD:
        best = least(problem, held=held)
        told = [] if best is None else _against(problem, found, best)
        if not told:
            break
    return wrong + told


def _against(problem: Problem, found: Plan, best: Least) -> list[str]:
    short, unmet = 0, dict.fromkeys(Priority, 0.0)
    lasting = {pool.name for pool in problem.pools if not pool.spot}
    for service, planned in zip(problem.services, found.services, strict=True):
        counts = [part.replicas for part in planned.variants]
        short += max(0, service.min_replicas - sum(counts))
        outside = sum(n for n, variant in zip(counts, service.variants, strict=True) if variant.pool in lasting)
        short += max(0, service.on_demand_min_replicas - outside)
        short += sum(max(0, variant.min_replicas - n) for n, variant in zip(counts, service.variants, strict=True))
        unmet[service.priority] += sum(entry.rate_rps for entry in planned.unserved)
    cost = found.cost_per_hour + found.switching_cost_per_hour
    levels: list[tuple[str, float, float, float]] = [("minima", short, best.short, 1e-6)]
    levels += [
        (f"unserved of {each}", got, wanted, _RPS * (1 + wanted))
        for (each, got), wanted in zip(unmet.items(), best.unmet, strict=True)
    ]
    levels.append(("cost", cost, best.cost, _MONEY * (1 + best.cost)))
    for name, got, wanted, tolerance in levels:
        if abs(got - wanted) > tolerance:
            return [f"{name}: {got:.6f}, the program says {wanted:.6f}"]
    if found.lower_bound_per_hour > best.cost + _MONEY * (1 + best.cost):
        return [f"bound: {found.lower_bound_per_hour:.6f} is above {best.cost:.6f}"]
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    kinds: Counter[str] = Counter()
    for seed in range(args.seed, args.seed + args.number):
        for told in mismatches(drawn(seed)):
            kinds[told.split(":")[0]] += 1
            print(f"seed {seed}: {told}", flush=True)
    print(f"{args.number} problems, {sum(kinds.values())} mismatches {dict(kinds)}")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
