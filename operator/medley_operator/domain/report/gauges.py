"""Figures of one service, and of pools that are paid by the node, for the exporter. Pure."""

from __future__ import annotations

from medley_operator.api.v1alpha1 import LLMServiceStatus
from medley_operator.domain.load.figures import LoadFigures, figures_of, figures_of_status
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.values.candidates import Prepared
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.snapshot import PoolGauges, ServiceGauges, VariantGauge
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import Plan


def service_gauges(outcome: ServiceDecision, status: LLMServiceStatus) -> ServiceGauges:
    figures = _figures(outcome, status)
    namespace, name = outcome.candidate.key
    plan = status.plan
    single = plan.best_single if plan is not None else None
    now = outcome.candidate.choice.now if outcome.candidate.choice is not None else None
    return ServiceGauges(
        namespace=namespace,
        name=name,
        rate_rps=figures.rate_rps,
        prompt_tokens_mean=figures.prompt_tokens_mean,
        generation_tokens_mean=figures.generation_tokens_mean,
        cost_per_hour=outcome.cost_per_hour,
        best_single_cost_per_hour=single.cost_per_hour_usd if single is not None else None,
        unserved_rps=_unserved(outcome, status),
        held=outcome.goal.reason is PlanReason.HELD,
        predicted_attainment=_predicted(status),
        variants=tuple(
            VariantGauge(variant=row.name, pool=row.pool, gpu=row.gpu, desired=row.desired, ready=row.ready)
            for row in outcome.rows
        ),
        measured_rps=now.measured_rps if now is not None else None,
        forecast_margin=now.forecast_margin if now is not None else None,
    )


def pool_gauges(prepared: Prepared, outcome: PlanOrFailure | None) -> tuple[PoolGauges, ...]:
    """One for each pool that is paid by the node.

    A round without a plan tells the nodes of the last one, since what runs is kept; without any service there are none.
    """
    plan = outcome if isinstance(outcome, Plan) else None
    counts = {count.pool: count for count in plan.nodes} if plan is not None else {}
    found: list[PoolGauges] = []
    for state in prepared.pools:
        if state.pool.spec.cost.per_node_hour is None:
            continue
        name = state.pool.metadata.name
        count = counts.get(name)
        if plan is None and prepared.services:
            nodes, idle = state.pool.status.planned_nodes or 0, None
        else:
            nodes, idle = (count.nodes, count.idle_cost_per_hour) if count is not None else (0, 0.0)
        found.append(PoolGauges(pool=name, planned_nodes=nodes, idle_cost_per_hour=idle))
    return tuple(found)


def _figures(outcome: ServiceDecision, status: LLMServiceStatus) -> LoadFigures:
    choice = outcome.candidate.choice
    if choice is not None and outcome.goal.kind is GoalKind.PLANNED:
        return figures_of(choice.demand)
    return figures_of_status(status.load)


def _predicted(status: LLMServiceStatus) -> float | None:
    """As the status tells it, so that a round that did not reach the service shows what the plan was found to be."""
    plan = status.plan
    if plan is None or plan.predicted_percent is None:
        return None
    return min(plan.predicted_percent / 100.0, 1.0)


def _unserved(outcome: ServiceDecision, status: LLMServiceStatus) -> float:
    if outcome.goal.plan is not None:
        return sum(part.rate_rps for part in outcome.goal.plan.unserved)
    if status.plan is None:
        return 0.0
    return sum(part.rate_rps for part in status.plan.unserved)
