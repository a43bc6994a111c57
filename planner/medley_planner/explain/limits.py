"""Which shared limits bind, and what more of them would save.

A price above 0 that the plan gives is taken; where it gives none, or 0 though the limit binds, the fleet is planned
again with room for one more replica at the limit, which shows the true saving of that step: replicas come whole, so
that a limit may be worth money where one more unit is not, or only where several more replicas come together.
"""

from __future__ import annotations

import math
from dataclasses import replace

from medley_planner.explain.binding import SLACK, binds, smallest_step
from medley_planner.explain.usage import limit_uses, users
from medley_planner.explain.values import LimitExplanation, PriceSource
from medley_planner.explain.whatif import WhatIf, proven, saving_per_hour, total_per_hour, unmet_rps
from medley_planner.model import LimitKind, LimitUse, Plan, Pool, Problem, Quota

_TOGETHER = (1, 2, 4, 8)
"""How many more replicas are tried at once where fewer save nothing."""


def explain_limits(problem: Problem, planned: Plan, ask: WhatIf) -> tuple[LimitExplanation, ...]:
    """One entry for each limit of the problem, in the plan's order."""
    explained = [_explain(problem, use) for use in limit_uses(problem, planned)]
    return tuple(
        _priced_again(problem, planned, entry, ask) if entry.binding and not entry.price_per_hour else entry
        for entry in explained
    )


def raised(problem: Problem, entry: LimitExplanation) -> Problem:
    """The problem with room for one more of the smallest replicas. GPUs come on a node, where packing is checked."""
    if entry.kind is LimitKind.POWER:
        domains = tuple(
            replace(domain, budget_watts=domain.budget_watts + entry.step) if domain.name == entry.name else domain
            for domain in problem.power_domains
        )
        return replace(problem, power_domains=domains)
    if entry.kind.of_quota:
        return replace(problem, quotas=tuple(_widened(quota, entry) for quota in problem.quotas))
    gpus = round(entry.step * entry.size)
    pools = tuple(with_node(pool, gpus) if pool.name == entry.name else pool for pool in problem.pools)
    return replace(problem, pools=pools)


def _widened(quota: Quota, entry: LimitExplanation) -> Quota:
    if quota.name != entry.name:
        return quota
    if entry.kind is LimitKind.QUOTA_GPUS and quota.max_gpus is not None:
        return replace(quota, max_gpus=quota.max_gpus + round(entry.step))
    if entry.kind is LimitKind.QUOTA_COST and quota.max_cost_per_hour is not None:
        return replace(quota, max_cost_per_hour=quota.max_cost_per_hour + entry.step)
    return quota


def with_node(pool: Pool, gpus: int, *, count: int = 1) -> Pool:
    """The pool with `count` nodes of `gpus` GPUs more (of its own size, where it is paid by the node)."""
    price = pool.node_price
    if price is not None:
        gpus = price.gpus
        more = price.max_nodes + count if price.max_nodes is not None else None
        price = replace(price, max_nodes=more)
    return replace(
        pool,
        stock_gpus=pool.stock_gpus + gpus * count if pool.stock_gpus is not None else None,
        node_gpus=(*pool.node_gpus, *(gpus,) * count) if pool.node_gpus is not None else None,
        node_price=price,
    )


def _explain(problem: Problem, use: LimitUse) -> LimitExplanation:
    able = users(problem, kind=use.kind, name=use.name)
    step = smallest_step(use, able)
    price = use.shadow_price_per_hour
    return LimitExplanation(
        kind=use.kind,
        name=use.name,
        size=use.size,
        used=use.used,
        limit=use.limit,
        binding=binds(use, step=step),
        step=step,
        source=PriceSource.RELAXATION if price is not None else None,
        price_per_hour=price,
    )


def _priced_again(problem: Problem, planned: Plan, entry: LimitExplanation, ask: WhatIf) -> LimitExplanation:
    """With room for one more replica; where that saves nothing, for the fewest of `_TOGETHER` that save something."""
    first = entry
    for times in _TOGETHER:
        wider = replace(entry, step=times * entry.step)
        answer = ask.ask(raised(problem, wider)) if proven(planned) else None
        if answer is None:
            return first
        before = math.fsum(unmet_rps(service) for service in planned.services)
        more = before - math.fsum(unmet_rps(service) for service in answer.services)
        if more > before * SLACK:
            return replace(wider, source=PriceSource.NEW_PLAN, price_per_hour=None, step_served_rps=more)
        saving = saving_per_hour(total_per_hour(planned), total_per_hour(answer))
        if saving == 0 and not proven(answer):
            return first
        found = replace(
            wider, source=PriceSource.NEW_PLAN, price_per_hour=None, step_saving_per_hour=saving, step_served_rps=0.0
        )
        if saving > 0:
            return found
        first = found if first is entry else first
    return first
