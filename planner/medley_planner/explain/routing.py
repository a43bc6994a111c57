"""The saving of one service with a router that sees more, all others as they are planned."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medley_planner.clock import Clock, monotonic
from medley_planner.explain.others import OneService
from medley_planner.explain.whatif import WhatIf, proven, saving_per_hour, total_per_hour, unmet_rps
from medley_planner.fleet_plan import RoutingSaving
from medley_planner.model import Plan, Problem, Service

_SERVED = 1e-9
"""Relative to the service's rate."""


def routing_saving(
    problem: Problem, planned: Plan, service: str, *, seconds: float, clock: Clock = monotonic
) -> RoutingSaving | None:
    """The saving per hour of `service` with the next better mode, on what all other services leave of the shared
    limits.

    None where there is no better mode, or no answer within `seconds`. Raises `KeyError` for a name not in the problem.
    """
    known = {entry.name: entry for entry in problem.services}
    return _saving(planned, known[service], OneService(problem, planned), WhatIf(seconds, clock=clock))


def routing_savings(
    problem: Problem, planned: Plan, *, seconds: float, clock: Clock = monotonic
) -> dict[str, RoutingSaving | None]:
    """The same for each service by name, within `seconds` in all; the most expensive ones come first."""
    one = OneService(problem, planned)
    ask = WhatIf(seconds, clock=clock)
    known = {entry.name: entry for entry in problem.services}
    found: dict[str, RoutingSaving | None] = dict.fromkeys(known)
    order = sorted(planned.services, key=lambda entry: -entry.cost_per_hour)
    for position, entry in enumerate(order):
        # A hard one must not take the time of all that follow it: at most a tenth, while there are more than ten.
        part = 1 / min(10, len(order) - position)
        found[entry.service] = _saving(planned, known[entry.service], one, ask.within(part))
    return found


def _saving(planned: Plan, service: Service, one: OneService, ask: WhatIf) -> RoutingSaving | None:
    better = service.routing.next_better
    if better is None:
        return None
    nothing = RoutingSaving(service.name, service.routing, better, 0.0, 0.0)
    if service.demand.rate_rps == 0:
        return nothing
    before = _before(planned, service, one, ask)
    problem = one.problem(service.name, service=replace(service, routing=better))
    after = ask.ask(problem) if before is not None else None
    if before is None or after is None or not one.stands(problem, after):
        return None
    more = before.unmet_rps - unmet_rps(after.services[0])
    if more > service.demand.rate_rps * _SERVED:
        return replace(nothing, more_served_rps=more)
    saving = saving_per_hour(before.total_per_hour, total_per_hour(after))
    if saving == 0 and not proven(after):
        return None
    return replace(nothing, saving_per_hour=saving)


@dataclass(frozen=True, slots=True)
class _Before:
    """The service in its own mode: cost with switching, and what it leaves out."""

    total_per_hour: float
    unmet_rps: float


def _before(planned: Plan, service: Service, one: OneService, ask: WhatIf) -> _Before | None:
    """The plan's own figures where they are proven; else the service is planned again in its own mode, so that a saving
    is never what the plan had missed. Whole nodes are shared, so there the two small problems are compared as wholes.
    """
    if proven(planned) and not one.shares_nodes(service.name):
        entry = next(entry for entry in planned.services if entry.service == service.name)
        total = entry.cost_per_hour + entry.switching_cost_per_hour
        return _Before(total, unmet_rps(entry))
    problem = one.problem(service.name)
    answer = ask.ask(problem)
    if answer is None or not proven(answer) or not one.stands(problem, answer):
        return None
    return _Before(total_per_hour(answer), unmet_rps(answer.services[0]))
