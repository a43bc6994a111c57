"""Relaxations that would let unserved demand be served: each limit that binds, tried alone with the planner.

Services that share no limit are examined apart, so that each question is as small as it can be. A limit is first lifted
altogether; if that serves all, the smallest value that does is found by halving.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from medley_planner.explain.knob import Knob
from medley_planner.explain.knobs import knobs
from medley_planner.explain.values import Relaxation, RelaxationKind, RelaxationResult
from medley_planner.explain.whatif import WhatIf, is_shared, unmet_rps
from medley_planner.explain.words import NO_TIME, name_buckets
from medley_planner.model import Plan, Problem, Service, Unserved, UnservedReason
from medley_planner.units import per_hour, req_per_second

_SERVED = 1e-9
"""Relative to the demand. What stays unmet below it is the dust of sums."""
_STEPS_SLACK = 1e-9


def relaxations(problem: Problem, planned: Plan, ask: WhatIf) -> tuple[Relaxation, ...]:
    """For all unmet demand of the plan: those that serve all first, the cheapest fleet first among them."""
    plans = {service.service: service for service in planned.services if service.unserved}
    if not plans:
        return ()
    found: list[Relaxation] = []
    parts = [part for part in _parts(problem) if any(service.name in plans for service in part)]
    for done, part in enumerate(parts):
        unserved = [
            (service, entry) for service in part if service.name in plans for entry in plans[service.name].unserved
        ]
        case = _Shortfall(replace(problem, services=tuple(part)), unserved)
        turned = knobs(case.problem, unserved)
        time = ask.within(1 / (len(parts) - done))
        outside = _cost_outside(problem, planned, case)
        for position, knob in enumerate(turned):
            found.append(_try(case, knob, time.within(1 / (len(turned) - position)), outside_per_hour=outside))
        found.extend(_targets(unserved))
    order = list(RelaxationResult)
    return tuple(sorted(found, key=lambda entry: (order.index(entry.outcome), entry.cost_per_hour or math.inf)))


@dataclass(frozen=True, slots=True)
class _Shortfall:
    """Services that share limits, and what is unmet of them."""

    problem: Problem
    unserved: list[tuple[Service, Unserved]]

    def left_rps(self, knob: Knob, answer: Plan) -> float:
        """The rate that stays or becomes unmet in the answer of the services that the knob is changed for; 0 within the
        dust."""
        wanted = {
            (service.name, entry.bucket)
            for service, entry in self.unserved
            if service.name in knob.services and _is_for(knob, service, entry)
        }
        sum_before = math.fsum(entry.rate_rps for _, entry in self.unserved)
        goal = math.fsum(e.rate_rps for service, e in self.unserved if (service.name, e.bucket) in wanted)
        left = math.fsum(
            entry.rate_rps
            for service in answer.services
            for entry in service.unserved
            if (service.service, entry.bucket) in wanted
        )
        lost = math.fsum(unmet_rps(service) for service in answer.services) - (sum_before - goal)
        return self._above_dust(max(left, lost))

    def rest_rps(self, answer: Plan) -> float:
        """All that is unmet in the answer."""
        return self._above_dust(math.fsum(unmet_rps(service) for service in answer.services))

    def _above_dust(self, rate_rps: float) -> float:
        demand_rps = math.fsum(service.demand.rate_rps for service in self.problem.services)
        return rate_rps if rate_rps > _SERVED * demand_rps else 0.0


def _is_for(knob: Knob, service: Service, entry: Unserved) -> bool:
    """A better router is for what some variant could serve but may not, all else for what limits leave out."""
    by_target = entry.reason is UnservedReason.NO_VARIANT_MEETS_TARGET
    if knob.kind is RelaxationKind.ROUTING:
        return by_target and not _impossible(service, entry)
    return not by_target


def _impossible(service: Service, entry: Unserved) -> bool:
    return all(variant.capacity_rps[entry.bucket] == 0 for variant in service.variants)


def _parts(problem: Problem) -> Iterator[list[Service]]:
    """Services that limited pools and power domains tie together."""
    parents = {domain.name: domain.parent for domain in problem.power_domains}
    tops = {pool.name: _ties(pool.name, pool.power_domain, parents) for pool in problem.pools if is_shared(pool)}
    left = list(problem.services)
    ties = [{tie for v in service.variants for tie in tops.get(v.pool, ())} for service in left]
    taken: set[int] = set()
    for first in range(len(left)):
        if first in taken:
            continue
        members, known = {first}, set(ties[first])
        while True:
            more = {
                i for i in range(len(left)) if i not in taken and i not in members and not known.isdisjoint(ties[i])
            }
            if not more:
                break
            members |= more
            known = known.union(*(ties[index] for index in more))
        taken |= members
        yield [left[index] for index in sorted(members)]


def _ties(pool: str, domain: str | None, parents: dict[str, str | None]) -> tuple[tuple[str, str], ...]:
    """The pool itself and the topmost domain above it."""
    if domain is None:
        return (("pool", pool),)
    seen = {domain}
    while (above := parents.get(domain)) is not None and above not in seen:
        domain = above
        seen.add(domain)
    return (("pool", pool), ("domain", domain))


def _cost_outside(problem: Problem, planned: Plan, case: _Shortfall) -> float:
    """The cost of the services and nodes outside the case."""
    inside = {service.name for service in case.problem.services}
    pools = {variant.pool for service in case.problem.services for variant in service.variants}
    services = math.fsum(entry.cost_per_hour for entry in planned.services if entry.service not in inside)
    return services + math.fsum(node.idle_cost_per_hour for node in planned.nodes if node.pool not in pools)


def _try(case: _Shortfall, knob: Knob, ask: WhatIf, *, outside_per_hour: float) -> Relaxation:
    lifted = knob.lift(case.problem)
    answer = ask.ask(lifted)
    base = Relaxation(knob.kind, knob.name, knob.services, RelaxationResult.NOT_TRIED, NO_TIME, knob.unit)
    if knob.step != 0:
        base = replace(base, now=knob.now)
    if answer is None:
        return base
    left = case.left_rps(knob, answer)
    if left > 0:
        given = "with it" if knob.kind is RelaxationKind.ROUTING else "without this limit"
        message = f"even {given} {req_per_second(left)} stay unserved"
        return replace(base, outcome=RelaxationResult.NOT_ENOUGH, message=message, left_rps=left)
    needed, best, smallest = (None, answer, True) if knob.step == 0 else _smallest(case, knob, answer, ask)
    cost = best.cost_per_hour + outside_per_hour
    rest = case.rest_rps(best)
    end = f" for {per_hour(cost)}"
    served = f"all is served{end}"
    if rest > 0:
        served = f"all unserved demand is served{end}, and {req_per_second(rest)} of other sizes stay unserved"
    action = _switched(knob) if needed is None else _raised(knob, needed)
    less = "" if smallest else "; a smaller change may be enough, but this was not determined within the time limit"
    return replace(
        base,
        outcome=RelaxationResult.SERVES_ALL,
        message=f"{action}: {served}{less}",
        needed=needed,
        smallest=smallest and needed is not None,
        cost_per_hour=cost,
        left_rps=rest,
    )


def _smallest(case: _Shortfall, knob: Knob, lifted: Plan, ask: WhatIf) -> tuple[float, Plan, bool]:
    """The least value that serves all, its plan, and whether one step less is known not to."""
    low, high = 0, _steps(knob, knob.needed(case.problem, lifted))
    best = lifted
    while high - low > 1:
        middle = (low + high) // 2
        answer = ask.ask(knob.at(case.problem, _value(knob, middle)))
        if answer is None:
            return _value(knob, high), best, False
        if case.left_rps(knob, answer) > 0:
            low = middle
        else:
            high, best = min(middle, _steps(knob, knob.needed(case.problem, answer))), answer
    return _value(knob, high), best, True


def _value(knob: Knob, steps: int) -> float:
    return round(knob.start + steps * knob.step, 9)


def _steps(knob: Knob, needed: float) -> int:
    """Steps from now to the first value that is enough, at least one: with none it is unmet."""
    return max(1, math.ceil((needed - knob.start) / knob.step - _STEPS_SLACK))


def _raised(knob: Knob, needed: float) -> str:
    verb = "lower" if knob.step < 0 else "raise"
    what = {
        RelaxationKind.STOCK: f"the stock of pool {knob.name}",
        RelaxationKind.NODES: f"pool {knob.name}",
        RelaxationKind.POWER: f"the budget of power domain {knob.name}",
        RelaxationKind.BUDGET: f"max_cost_per_hour of service {knob.name}",
        RelaxationKind.MAX_REPLICAS: f"max_replicas of {knob.name}",
        RelaxationKind.SPOT_SHARE: f"spot_max_share of service {knob.name}",
        RelaxationKind.ON_DEMAND_MIN_REPLICAS: f"on_demand_min_replicas of service {knob.name}",
    }[knob.kind]
    return f"{verb} {what} from {knob.now:g} to {needed:g} {knob.unit}"


def _switched(knob: Knob) -> str:
    if knob.kind is RelaxationKind.ROUTING:
        service, mode = knob.name.rsplit(" ", 1)
        return f"route service {service} by {mode}"
    return f"turn off zone_spread of service {knob.name}"


def _targets(unserved: Sequence[tuple[Service, Unserved]]) -> Iterator[Relaxation]:
    """Demand that no variant can serve within the targets: no plan can show which target would be enough."""
    services = {service.name: service for service, _ in unserved}
    for name, service in services.items():
        impossible = [
            entry
            for other, entry in unserved
            if other.name == name
            and entry.reason is UnservedReason.NO_VARIANT_MEETS_TARGET
            and _impossible(service, entry)
        ]
        if impossible:
            buckets = name_buckets(service.demand.buckets, [entry.bucket for entry in impossible])
            left = math.fsum(entry.rate_rps for entry in impossible)
            yield Relaxation(
                RelaxationKind.LATENCY_TARGET,
                name,
                (name,),
                RelaxationResult.NOT_TRIED,
                f"no variant serves {buckets} ({req_per_second(left)}): relax the latency targets or add faster GPUs",
                left_rps=left,
            )
