"""Whole nodes that plans pay for, by pool. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.domain.values.candidates import Prepared
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import Plan


@dataclass(frozen=True, slots=True)
class PoolNodes:
    """A pool that is paid by the node: nodes that the plan pays for, and what no replica on them accounts for.

    `idle_cost_per_hour`: US dollars; None where this round made no plan.
    """

    pool: str
    planned_nodes: int
    idle_cost_per_hour: float | None


def pool_nodes(prepared: Prepared, outcome: PlanOrFailure | None) -> tuple[PoolNodes, ...]:
    """One for each pool that is paid by the node.

    A round without a plan shows the nodes of the last one, because running replicas stay; without any service there are
    none.
    """
    plan = outcome if isinstance(outcome, Plan) else None
    counts = {count.pool: count for count in plan.nodes} if plan is not None else {}
    found: list[PoolNodes] = []
    for state in prepared.pools:
        if state.pool.spec.cost.per_node_hour is None:
            continue
        name = state.pool.metadata.name
        count = counts.get(name)
        if plan is None and prepared.services:
            nodes, idle = state.pool.status.planned_nodes or 0, None
        else:
            nodes, idle = (count.nodes, count.idle_cost_per_hour) if count is not None else (0, 0.0)
        found.append(PoolNodes(pool=name, planned_nodes=nodes, idle_cost_per_hour=idle))
    return tuple(found)
