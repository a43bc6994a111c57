"""Plan, simulate the plan, correct the capacities that were wrong, plan again: one to three times. Pure.

What was found is remembered by what it follows from, so that an equal round simulates nothing, corrects nothing and
ends with the equal plan. One round simulates so many services at most, however fast the machine is; those that it did
not reach are reported as unchecked and come first in the next round. A correction never leaves demand out: where the
pools cannot give what it asks for, it is taken back, and the prediction shows the plan's real attainment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from medley_planner.check.attain import Subject, attained
from medley_planner.check.correct import capacity_factor
from medley_planner.check.memory import Checked, CheckMemory, Factors, Seen, together
from medley_planner.check.split import served_loads
from medley_planner.model import Plan, Problem, Service, ServicePlan, Variant

ROUNDS = 3
MOST_LOOKS = 30
"""Services that are simulated in one round, each again after a correction."""
_LOOK_SECONDS = 0.05
"""Kept back of the deadline for each of them, while the first plan is made."""


class Solve(Protocol):
    def __call__(self, problem: Problem, /, *, deadline_seconds: float, last: Plan | None) -> Plan: ...


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """`plan` is of `problem`, whose capacities are the given ones times `factors`. `checked` lacks services that were
    not reached, that have nothing planned or of which no `Subject` was given. `rounds`: how often it was planned anew.
    """

    plan: Plan
    problem: Problem
    factors: Factors
    checked: Mapping[str, Checked]
    rounds: int


def plan_checked(
    problem: Problem,
    subjects: Mapping[str, Subject],
    *,
    solve: Solve,
    clock: Callable[[], float],
    deadline_seconds: float,
    last: Plan | None = None,
    memory: CheckMemory | None = None,
) -> CheckedPlan:
    """The plan of `problem` with capacities that simulation of the plan bears out, `subjects` by service.

    `solve` plans within its deadline; it is asked again only while the time that its last answer took is left.
    `clock`: seconds that only rise. The plan is not verified here.
    """
    memory = memory if memory is not None else CheckMemory()
    memory.begin(problem, subjects)
    started = clock()
    in_force: Factors = memory.factors()
    current = corrected(problem, in_force)
    kept = min(_LOOK_SECONDS * min(MOST_LOOKS, len(subjects)), deadline_seconds / 2)
    found = solve(current, deadline_seconds=deadline_seconds - kept, last=last)
    took = clock() - started
    ends = started + deadline_seconds
    check = _Check(problem, subjects, memory, looks_left=MOST_LOOKS, seconds_left=lambda: ends - clock())
    steps = check.run(found)
    rounds = 0
    while steps and rounds < ROUNDS:
        left = deadline_seconds - (clock() - started)
        if took > left:
            # The next round begins with what this one found out.
            memory.learn(steps)
            break
        asked = clock()
        factors = together(memory.factors(), steps)
        candidate = corrected(problem, factors)
        planned = solve(candidate, deadline_seconds=left, last=found)
        took = clock() - asked
        rounds += 1
        short = _shorter(found, planned)
        if not short:
            memory.learn(steps)
            found, current, in_force = planned, candidate, factors
            steps = check.run(found)
            continue
        blamed = _blamed(problem, short, steps)
        if not blamed:
            break
        for service in blamed:
            memory.give_up(service, problem.pools)
            steps.pop(service.name)
    return CheckedPlan(found, current, in_force, check.found, rounds)


def corrected(problem: Problem, factors: Factors) -> Problem:
    """The problem with capacities multiplied by `factors`."""
    return replace(
        problem, services=tuple(_corrected(service, factors.get(service.name, {})) for service in problem.services)
    )


@dataclass(slots=True)
class _Check:
    problem: Problem
    subjects: Mapping[str, Subject]
    memory: CheckMemory
    looks_left: int
    seconds_left: Callable[[], float]
    found: dict[str, Checked] = field(default_factory=dict)

    def run(self, plan: Plan) -> dict[str, Mapping[str, float]]:
        """Fills `found` for this plan; returns the factors of the services that do not attain and may yet."""
        plans = {each.service: each for each in plan.services}
        self.found = {}
        steps: dict[str, Mapping[str, float]] = {}
        for service in self.memory.order(self.problem.services):
            subject, planned = self.subjects.get(service.name), plans.get(service.name)
            if subject is None or planned is None or planned.routing.oracle:
                continue
            seen = self.memory.seen(service, planned)
            if seen is None and self.looks_left > 0 and self.seconds_left() > 0:
                seen = _look(planned, service, subject)
                self.memory.saw(service, planned, seen)
                self.looks_left -= 1
            if seen is None or seen.checked is None:
                continue
            self.found[service.name] = seen.checked
            further = self.memory.further(service, seen.factors)
            if further and not self.memory.is_futile(service, self.problem.pools):
                steps[service.name] = further
        return steps


def _look(planned: ServicePlan, service: Service, subject: Subject) -> Seen:
    checked = judge(planned, service, subject)
    wrong = checked is not None and not checked.attains
    return Seen(checked, _factors(planned, service, subject) if wrong else {})


def judge(planned: ServicePlan, service: Service, subject: Subject) -> Checked | None:
    """The simulation of one service's plan at its demand; None where nothing is planned or an engine of it cannot be
    simulated."""
    replicas = dict(subject.replicas)
    loads = served_loads(planned, service.demand)
    if not loads or not loads.keys() <= replicas.keys():
        return None
    try:
        variants = {name: attained(replicas[name], served, subject.targets) for name, served in loads.items()}
    except ValueError:
        return None
    counts = planned.replicas()
    rates = {name: served.rate_rps * counts[name] for name, served in loads.items()}
    within = math.fsum(rates[name] * variants[name].attainment for name in variants)
    return Checked(within / math.fsum(rates.values()), subject.targets.percentile, variants)


def _factors(planned: ServicePlan, service: Service, subject: Subject) -> dict[str, float]:
    replicas = dict(subject.replicas)
    headrooms = dict(subject.headrooms)
    # A corrected capacity is planned at the service's limit: with less headroom it may be larger by the difference.
    carried = {
        variant.variant: variant.load
        / min(service.utilisation_limit * (1.0 + headrooms.get(variant.variant, math.inf)), 1.0)
        for variant in planned.variants
    }
    factors = {
        name: capacity_factor(replicas[name], served, subject.targets, load=carried[name])
        for name, served in served_loads(planned, service.demand).items()
    }
    return {name: factor for name, factor in factors.items() if factor < 1.0}


def _shorter(before: Plan, after: Plan) -> set[str]:
    """The services that `after` leaves more demand of out."""
    unserved = {each.service: math.fsum(part.rate_rps for part in each.unserved) for each in before.services}
    return {
        each.service
        for each in after.services
        if math.fsum(part.rate_rps for part in each.unserved) > unserved.get(each.service, 0.0) + 1e-9
    }


def _blamed(problem: Problem, short: set[str], steps: Factors) -> list[Service]:
    """The services in `steps` that may have taken from those in `short`: themselves, and those in the same pools."""
    pools = {variant.pool for service in problem.services if service.name in short for variant in service.variants}
    return [
        service
        for service in problem.services
        if service.name in steps and any(variant.pool in pools for variant in service.variants)
    ]


def _corrected(service: Service, factors: Mapping[str, float]) -> Service:
    if not factors:
        return service
    variants = tuple(with_capacity_factor(variant, factors.get(variant.name, 1.0)) for variant in service.variants)
    return replace(service, variants=variants)


def with_capacity_factor(variant: Variant, factor: float) -> Variant:
    if factor == 1.0:
        return variant
    return replace(variant, capacity_rps=tuple(rate * factor for rate in variant.capacity_rps))
