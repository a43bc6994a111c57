"""What a small problem must leave out, by trying every fleet and every part of the demand that a router could be given.

Shares no code with the planner. Replicas short of minima first, then the least unmet demand of High, of Normal and of
Low priority, then the least cost: the order of docs/planner.md. Only stocks are shared here, and GPUs come one by one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache

from ortools.linear_solver import pywraplp

from medley_planner.model import Priority, Problem, RoutingMode, Service
from tests.brute_force import Fleet, alike, work

Rank = tuple[float, ...]
"""Replicas short of minima, unmet requests per second by priority, US dollars per hour."""


def least(problem: Problem) -> Rank:
    """The rank of the best plan."""
    stocks = {pool.name: pool.stock_gpus for pool in problem.pools}
    options = [_options(service, stocks) for service in problem.services]
    best: Rank | None = None
    for choice in itertools.product(*options):
        rank = tuple(math.fsum(part) for part in zip(*(rank for _, rank in choice), strict=True))
        if (best is None or _rounded(rank) < _rounded(best)) and _fits(problem, [fleet for fleet, _ in choice], stocks):
            best = rank
    assert best is not None
    return best


def _rounded(rank: Rank) -> Rank:
    return tuple(round(part, 7) for part in rank)


def _fits(problem: Problem, fleets: Sequence[Fleet], stocks: dict[str, int | None]) -> bool:
    taken = dict.fromkeys(stocks, 0)
    for service, fleet in zip(problem.services, fleets, strict=True):
        for variant, count in zip(service.variants, fleet, strict=True):
            taken[variant.pool] += count
    return all(stock is None or taken[name] <= stock for name, stock in stocks.items())


def _options(service: Service, stocks: dict[str, int | None]) -> list[tuple[Fleet, Rank]]:
    """Every fleet with its rank, without those that another one beats with no more of anything."""
    there = [stocks[variant.pool] != 0 for variant in service.variants]
    works = [work(service, variant) for variant in service.variants]
    possible = [row for row, some in zip(works, there, strict=True) if some]
    enough = math.ceil(max((sum(one for one in row if one < math.inf) for row in works), default=0.0)) + 2
    ranges = [
        range(min(stock if (stock := stocks[variant.pool]) is not None else enough, enough) + 1)
        for variant in service.variants
    ]
    found: list[tuple[Fleet, Rank]] = []
    for fleet in sorted(itertools.product(*ranges), key=sum):
        rank = _rank(service, fleet, most_served(service, fleet, works, possible))
        if not any(
            all(a <= b for a, b in zip(other, fleet, strict=True))
            and all(a <= b + 1e-9 for a, b in zip(known, rank, strict=True))
            for other, known in found
        ):
            found.append((fleet, rank))
    return found


def _rank(service: Service, fleet: Fleet, served: float) -> Rank:
    short = sum(max(0, variant.min_replicas - count) for variant, count in zip(service.variants, fleet, strict=True))
    unmet = (service.demand.rate_rps - served if service.priority is each else 0.0 for each in Priority)
    cost = sum(variant.cost_per_hour * count for variant, count in zip(service.variants, fleet, strict=True))
    return (short, *unmet, cost)


def most_served(
    service: Service, fleet: Fleet, works: Sequence[Sequence[float]], possible: Sequence[Sequence[float]]
) -> float:
    """Requests per second, whatever cut is served of what the router cannot tell apart, the same part of each size."""
    groups = [sorted(_parts(group, possible)) for group in alike(service)]
    choices = itertools.product(*([*group, ()] for group in groups))
    return max((_served(service, fleet, works, [part for part in parts if part]) for parts in choices), default=0.0)


def _parts(group: Sequence[int], works: Sequence[Sequence[float]]) -> set[tuple[int, ...]]:
    """What any of the variants can serve alike."""
    found = {
        tuple(bucket for bucket in group if all(row[bucket] < math.inf for row in some))
        for size in range(1, len(works) + 1)
        for some in itertools.combinations(works, size)
    }
    return found - {()}


def _served(
    service: Service, fleet: Fleet, works: Sequence[Sequence[float]], parts: Sequence[tuple[int, ...]]
) -> float:
    if not parts:
        return 0.0
    spare = 1 if service.n_plus_one else 0
    rates = [sum(service.demand.bucket_rate_rps(bucket) for bucket in part) for part in parts]
    loads = [[sum(row[bucket] for bucket in part) for part in parts] for row in works]
    if service.routing in (RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE):
        used = [(row[0], count) for row, count in zip(loads, fleet, strict=True) if count]
        if service.routing is RoutingMode.SERVICE:
            slowest = max((load for load, _ in used), default=math.inf)
            return rates[0] * max(0.0, min(1.0, (sum(fleet) - spare) / slowest))
        usable = [(load, count) for load, count in used if load < math.inf]
        lost = spare * max((1 / load for load, _ in usable), default=0.0)
        return rates[0] * max(0.0, min(1.0, sum(count / load for load, count in usable) - lost))
    return _by_shares(tuple(map(tuple, loads)), tuple(max(0, count - spare) for count in fleet), tuple(rates))


@cache
def _by_shares(loads: tuple[tuple[float, ...], ...], room: Fleet, rates: tuple[float, ...]) -> float:
    solver = pywraplp.Solver("", pywraplp.Solver.GLOP_LINEAR_PROGRAMMING)
    shares = [
        [solver.NumVar(0.0, 1.0 if load < math.inf and most else 0.0, "") for load in row]
        for row, most in zip(loads, room, strict=True)
    ]
    for row, own, most in zip(loads, shares, room, strict=True):
        solver.Add(sum(load * share for load, share in zip(row, own, strict=True) if load < math.inf) <= most)
    for column in zip(*shares, strict=True):
        solver.Add(sum(column) <= 1)
    solver.Maximize(sum(rate * share for own in shares for rate, share in zip(rates, own, strict=True)))
    assert solver.Solve() == pywraplp.Solver.OPTIMAL
    return float(solver.Objective().Value())
