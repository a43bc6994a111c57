"""A service whose load moves in steps, and the fleets that plans follow it with, round after round.

The plans are made as the operator makes them: what runs or starts is current, a start is charged by how long it is
taken to stay, and the account of what staying has cost goes from round to round. Replicas serve at once here; what
their start and their drain cost is on the bill (`medley_planner.over_time`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from medley_planner.model import (
    Bucket,
    Demand,
    NodePrice,
    Plan,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.optimize import plan, verify
from medley_planner.over_time import Schedule, Stretch, billed
from medley_planner.regret import KNOWN_LEADS, Regret

ROUND_SECONDS = 60.0
DRAIN_SECONDS = 60.0
OLD_HORIZON_SECONDS = 360.0
"""The horizon that every start was charged by before there was an account."""
PRICES = {"L4": 0.805, "A10G": 1.006, "L40S": 1.861, "A100-80": 3.431, "H100": 6.88, "H200": 7.912}
_SPEEDS = {"L4": 0.5, "A10G": 0.7, "L40S": 1.5, "A100-80": 2.6, "H100": 5.6, "H200": 6.9}
"""Requests of the first size per second of one GPU."""
_TOP_RPS = {2: 14.0, 3: 12.0, 4: 9.0, 5: 7.0, 6: 5.0}
"""By types: so that all fleets of the largest load can be listed."""
_LENGTHS_SECONDS = (180.0, 14400.0)
_LOOKS = 8
"""How often plans are made until the account says that the fleet is left, where nothing else changes."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A plan, from `at_seconds` on."""

    at_seconds: float
    plan: Plan
    regret: Regret

    @property
    def fleet(self) -> tuple[int, ...]:
        return tuple(part.replicas for part in self.plan.services[0].variants)


Rule = Callable[[Problem, Regret, float], Problem]
"""The problem of a round, from what runs, the account and the time."""


def by_account(problem: Problem, regret: Regret, at_seconds: float) -> Problem:
    service = problem.services[0]
    leads = max(variant.startup_seconds + variant.drain_seconds for variant in service.variants)
    stays = regret.stay_seconds(at_seconds, known_seconds=KNOWN_LEADS * leads)
    return replace(problem, services=(replace(service, stay_seconds=stays),))


def by_horizon(problem: Problem, regret: Regret, at_seconds: float) -> Problem:
    """As it was before: starts without their drain, by a fixed horizon, for ever."""
    service = problem.services[0]
    variants = tuple(replace(variant, drain_seconds=0.0) for variant in service.variants)
    return replace(problem, services=(replace(service, variants=variants, stay_seconds=OLD_HORIZON_SECONDS),))


def followed(
    problem: Problem, stretches: Sequence[Stretch], rule: Rule = by_account, *, every_round: bool = False
) -> list[Moment]:
    """The plans in the order of time, from the replicas that run at first. Not every round is planned where only the
    account moves, unless it is asked for."""
    moments: list[Moment] = []
    regret, begins = Regret(), 0.0
    service = problem.services[0]
    fleet = tuple(variant.current_replicas for variant in service.variants)
    for stretch in stretches:
        at = begins
        while at < begins + stretch.seconds:
            fresh = at == begins
            variants = tuple(
                replace(variant, current_replicas=count) for variant, count in zip(service.variants, fleet, strict=True)
            )
            now = replace(service, demand=stretch.demand, variants=variants)
            # What was found out about another load does not count.
            account = Regret() if fresh else regret
            asked = rule(replace(problem, services=(now,)), account, at)
            made = plan(asked)
            assert verify(asked, made) == ()
            planned = made.services[0]
            new = tuple(part.replicas for part in planned.variants)
            started = any(count > old for count, old in zip(new, fleet, strict=True))
            left = started and not fresh and regret.saving_per_hour > 0
            regret = regret.after(planned.cheaper, at, left=left)
            moments.append(Moment(at, made, regret))
            settled, fleet = new == fleet, new
            at += _wait(rule, regret, at, settled=settled, every_round=every_round)
        begins += stretch.seconds
    return moments


def _wait(rule: Rule, regret: Regret, at_seconds: float, *, settled: bool, every_round: bool) -> float:
    if every_round or not settled:
        return ROUND_SECONDS
    leaves = regret.leaves_at(known_seconds=0.0)
    if leaves is None or rule is by_horizon:
        return math.inf
    looks = max(leaves - at_seconds, 0.0) / _LOOKS
    return ROUND_SECONDS * max(1, math.ceil(looks / ROUND_SECONDS))


def bill(problem: Problem, stretches: Sequence[Stretch], moments: Sequence[Moment]) -> Schedule:
    """What the plans cost: each lasts until the next one, or until its stretch is over."""
    ends, total = [], 0.0
    for stretch in stretches:
        total += stretch.seconds
        ends.append(total)
    times = [moment.at_seconds for moment in moments] + [total]
    parts = []
    for moment, until in zip(moments, times[1:], strict=True):
        place = next(number for number, end in enumerate(ends) if moment.at_seconds < end)
        parts.append(Stretch(until - moment.at_seconds, stretches[place].demand))
    return billed(problem, parts, [moment.fleet for moment in moments], drain_seconds=DRAIN_SECONDS)


def drawn_steps(seed: int) -> tuple[Problem, list[Stretch]]:
    """Two to six types, four to ten steps of rate and sizes; in half of them the load goes to and fro between a few."""
    draw = random.Random(f"steps {seed}")  # noqa: S311 - instances, not secrets
    types = draw.randint(2, 6)
    startup = draw.choice((120.0, 600.0, 1800.0))
    variants, pools = [], []
    for name in draw.sample(sorted(PRICES), types):
        short, long = (_SPEEDS[name] * draw.uniform(0.6, 1.5) for _ in range(2))
        lead = startup * draw.uniform(0.8, 1.25)
        variants.append(variant(name, (round(short, 3), round(long / 2, 3)), startup_seconds=lead))
        pools.append(Pool(name, node_price=NodePrice(4, 4 * PRICES[name]) if draw.random() < 0.15 else None))

    def load() -> Demand:
        return demand(draw.uniform(0.15, 1.0) * _TOP_RPS[types], draw.random())

    count = draw.randint(4, 10)
    loads = [load() for _ in range(draw.choice((2, 2, 3)) if draw.random() < 0.5 else count)]
    low, high = (math.log(seconds / ROUND_SECONDS) for seconds in _LENGTHS_SECONDS)
    stretches = [
        Stretch(ROUND_SECONDS * round(math.exp(draw.uniform(low, high))), loads[number % len(loads)])
        for number in range(count)
    ]
    service = Service("steps", stretches[0].demand, tuple(variants), RoutingMode.HTTP_ROUTE)
    return Problem((service,), tuple(pools)), stretches


def variant(name: str, capacity_rps: tuple[float, ...], *, startup_seconds: float, running: int = 0) -> Variant:
    return Variant(
        name,
        name,
        name,
        1,
        PRICES[name],
        capacity_rps,
        Provenance.GIVEN,
        startup_seconds=startup_seconds,
        drain_seconds=DRAIN_SECONDS,
        current_replicas=running,
    )


def demand(rate_rps: float, short: float = 1.0) -> Demand:
    """`short` is the share of the first size, which is a tenth of the second."""
    return Demand(rate_rps, (Bucket(100.0, 100.0), Bucket(1000.0, 100.0)), (short, 1.0 - short), SizeSource.STATIC)
