"""`explain`: all there is to say of a plan, put together within one allowance of time.

What can be counted from the problem and the plan is always there; what takes planning again comes in this order until
the time is over: what to relax for unmet demand, prices of limits, fleets of one type, causes of a change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from medley_planner.clock import Clock, monotonic
from medley_planner.explain.binding import own_limits
from medley_planner.explain.change import explain_change
from medley_planner.explain.demand import served_rates_rps, token_figures
from medley_planner.explain.limits import explain_limits
from medley_planner.explain.others import OneService
from medley_planner.explain.relax import relaxations
from medley_planner.explain.values import Explanation, ServiceExplanation, UnmetDemand
from medley_planner.explain.variants import compared_variants, single_fleets
from medley_planner.explain.whatif import WhatIf
from medley_planner.model import Plan, Pool, Problem, Service, ServicePlan, UnservedReason
from medley_planner.omitted import Omitted

_RELAX_PART = 0.5
_PRICES_PART = 0.4
_SINGLES_PART = 0.7
"""Parts of the time that is left when their turn comes."""


def explain(
    problem: Problem,
    planned: Plan,
    *,
    last: Plan | None = None,
    last_problem: Problem | None = None,
    excluded: Mapping[str, Sequence[Omitted]] | None = None,
    seconds: float = 5.0,
    clock: Clock = monotonic,
) -> Explanation:
    """Explains `planned`, a plan of `problem`, in at most about `seconds` of planning again.

    `last` is the plan before it, made from `last_problem`. `excluded` names by service the variants that the caller
    ruled out before planning. With `seconds` 0 the explanation has only what can be counted.
    """
    ask = WhatIf(seconds, clock=clock)
    relaxed = relaxations(problem, planned, ask.within(_RELAX_PART))
    limits = explain_limits(problem, planned, ask.within(_PRICES_PART))
    one = OneService(problem, planned)
    pools = {pool.name: pool for pool in problem.pools}
    plans = {service.service: service for service in planned.services}
    singles_ask = ask.within(_SINGLES_PART if last is not None else 1.0)
    services = tuple(
        _service(
            service,
            plans[service.name],
            one,
            singles_ask,
            pools=pools,
            excluded=tuple((excluded or {}).get(service.name, ())),
        )
        for service in problem.services
    )
    change = None
    if last is not None:
        change = explain_change(problem, planned, last, last_problem=last_problem, ask=ask)
    return Explanation(
        status=planned.status,
        cost_per_hour=planned.cost_per_hour,
        lower_bound_per_hour=planned.lower_bound_per_hour,
        gap=planned.gap,
        switching_cost_per_hour=planned.switching_cost_per_hour,
        idle_cost_per_hour=math.fsum(node.idle_cost_per_hour for node in planned.nodes),
        nodes=planned.nodes,
        limits=limits,
        services=services,
        relaxations=relaxed,
        shortages=planned.shortages,
        change=change,
    )


def _service(
    service: Service,
    planned: ServicePlan,
    one: OneService,
    ask: WhatIf,
    *,
    pools: dict[str, Pool],
    excluded: tuple[Omitted, ...],
) -> ServiceExplanation:
    tokens = token_figures(service, planned)
    return ServiceExplanation(
        service=service.name,
        status=planned.status,
        routing=planned.routing,
        rate_rps=service.demand.rate_rps,
        served_rps=math.fsum(served_rates_rps(service, planned)),
        cost_per_hour=planned.cost_per_hour,
        switching_cost_per_hour=planned.switching_cost_per_hour,
        prompt_tokens_per_hour=tokens.prompt_per_hour,
        generated_tokens_per_hour=tokens.generated_per_hour,
        cost_per_million_tokens=tokens.cost_per_million,
        cost_per_million_generated_tokens=tokens.cost_per_million_generated,
        own_limits=own_limits(service, planned, pools),
        singles=single_fleets(service, planned, one, ask),
        unused=compared_variants(service, planned),
        excluded=excluded,
        unmet=_unmet(planned),
    )


def _unmet(planned: ServicePlan) -> tuple[UnmetDemand, ...]:
    rates: dict[UnservedReason, list[float]] = {}
    limits: dict[UnservedReason, dict[str, None]] = {}
    for entry in planned.unserved:
        rates.setdefault(entry.reason, []).append(entry.rate_rps)
        limits.setdefault(entry.reason, {}).update(dict.fromkeys(entry.limits))
    return tuple(UnmetDemand(reason, math.fsum(parts), tuple(limits[reason])) for reason, parts in rates.items())
