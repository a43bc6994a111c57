"""The whole status of an LLMService as it should read after this round.

Pure, and quiet on purpose: nothing in it moves unless the plan, the readiness of replicas or a condition does. The load
is the one the plan was made for; bounds of a plan that did not change are kept, since a solver that stopped at its
deadline finds another bound each time, and so are the shared limits, which other services fill and leave.
"""

from __future__ import annotations

import math

from medley_operator.api.v1alpha1 import (
    BestSingleStatus,
    CapacityCorrectionStatus,
    LimitStatus,
    LLMServiceStatus,
    LoadStatus,
    MarginMode,
    MarginStatus,
    PlanStateStatus,
    RoutingSavingsStatus,
    UnservedStatus,
    UnusedStatus,
    VariantStatus,
)
from medley_operator.domain.cluster.start_failures import failure_status
from medley_operator.domain.load.figures import load_status
from medley_operator.domain.margins.told import margin_status
from medley_operator.domain.report.service_conditions import service_drafts
from medley_operator.domain.report.target import history, planned_replicas, target_status
from medley_operator.domain.rollout.decision import ServiceDecision, plan_id
from medley_operator.domain.routing.routers import router_of
from medley_operator.domain.staying import staying_text
from medley_operator.domain.values.candidates import DemandChoice
from medley_operator.domain.values.conditions import merge, problem
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.fleet_plan import RoutingSaving
from medley_planner.model import Demand, LimitKind, LimitUse, Plan, ServicePlan
from medley_planner.units import decimal, money, percent, rate, unit_price

HELD_STATE = "Held"
MAX_UNSERVED_ROWS = 16
MAX_LIMIT_ROWS = 16
MAX_UNUSED_ROWS = 48
"""The sixteen variants that are planned with, and the first of those that are left out; `medley plan` shows all."""
STEADY_PERCENT = 0.5
"""The predicted attainment of an equal plan is written again if it moved by this many percent or more."""


def service_status(outcome: ServiceDecision, *, now: str) -> LLMServiceStatus:
    service = outcome.candidate.service
    generation = service.metadata.generation
    drafts = service_drafts(outcome)
    load = _load(outcome)
    conditions = merge(service.status.conditions, drafts, generation=generation, now=now)
    return LLMServiceStatus(
        observed_generation=generation,
        problem=problem(conditions),
        mix=" ".join(f"{row.name}:{row.ready}/{row.desired}" for row in outcome.rows),
        desired_replicas=outcome.desired_replicas,
        ready_replicas=outcome.ready_replicas,
        cost_per_hour=money(outcome.running_cost_per_hour),
        url=router_of(service).url(service),
        load=load,
        variants=[
            VariantStatus(
                name=row.name,
                pool=row.pool,
                gpu=row.gpu,
                gpus=row.gpus_per_replica,
                tensor_parallel=row.tensor_parallel,
                desired=row.desired,
                ready=row.ready,
                weight=row.weight,
                prompt_range=row.prompt_range,
                cost_per_hour=money(row.cost_per_hour),
                capacity_rps=rate(row.capacity_rps),
                provenance=row.provenance,
                startup_seconds=round(row.startup_seconds) if row.startup_seconds is not None else None,
                capacity_basis=row.basis,
            )
            for row in outcome.rows
        ],
        plan=_plan(outcome),
        margin=_margin(outcome),
        start_failures=[failure_status(failure) for failure in outcome.candidate.start_failures],
        memory=outcome.memory_status,
        target=target_status(outcome),
        history=history(outcome, load),
        conditions=conditions,
    )


def dump(status: LLMServiceStatus) -> Manifest:
    """The status as it is written: by wire name, absent fields left out."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def _load(outcome: ServiceDecision) -> LoadStatus | None:
    previous = outcome.candidate.service.status.load
    choice = outcome.candidate.choice
    if choice is None or (outcome.goal.plan is None and previous is not None):
        return previous
    return load_status(choice)


def _margin(outcome: ServiceDecision) -> MarginStatus | None:
    """The last one stays while the service is not planned."""
    learned = outcome.candidate.service.spec.scaling.margins is MarginMode.LEARNED
    return (margin_status(outcome) or outcome.candidate.service.status.margin) if learned else None


def _plan(outcome: ServiceDecision) -> PlanStateStatus | None:
    previous = outcome.candidate.service.status.plan
    goal = outcome.goal
    if goal.plan is None or goal.fleet is None or outcome.candidate.choice is None:
        return previous.model_copy(update={"state": HELD_STATE}) if previous is not None else None
    new = plan_state(outcome, plan=goal.plan, fleet=goal.fleet, choice=outcome.candidate.choice)
    if previous is not None and (previous.id, previous.state, previous.cost_per_hour) == (
        new.id,
        new.state,
        new.cost_per_hour,
    ):
        kept: dict[str, object] = {
            "lower_bound_per_hour": previous.lower_bound_per_hour,
            "gap": previous.gap,
            "routing_savings": previous.routing_savings or new.routing_savings,
            "cost_per_million_tokens": previous.cost_per_million_tokens or new.cost_per_million_tokens,
            "predicted_attainment_percent": _steady_percent(previous, new),
        }
        before, after = previous.capacity_corrections, new.capacity_corrections
        if [row.variant for row in before] == [row.variant for row in after]:
            kept["capacity_corrections"] = before
        # An empty list says that none bound; a missing one that an older operator, which did not report limits, wrote
        # it.
        if "limits" in previous.model_fields_set:
            kept["limits"] = previous.limits
        return new.model_copy(update=kept)
    return new


def plan_state(outcome: ServiceDecision, *, plan: ServicePlan, fleet: Plan, choice: DemandChoice) -> PlanStateStatus:
    single = plan.best_single
    token_cost = outcome.goal.cost_per_million_tokens
    checked = outcome.goal.checked
    return PlanStateStatus(
        id=plan_id(plan, choice.demand),
        state=plan.status.value,
        cost_per_hour=money(plan.cost_per_hour),
        lower_bound_per_hour=money(service_lower_bound(plan, fleet)),
        gap=f"{max(fleet.gap, 0.0):.4f}",
        best_single=BestSingleStatus(
            variant=single.variant, replicas=single.replicas, cost_per_hour=money(single.cost_per_hour)
        )
        if single is not None
        else None,
        savings_percent=_savings_percent(plan),
        routing_savings=_routing_savings(outcome.goal.routing_saving),
        cost_per_million_tokens=unit_price(token_cost) if token_cost is not None else None,
        predicted_attainment_percent=percent(checked.attainment) if checked is not None else None,
        capacity_corrections=[
            CapacityCorrectionStatus(variant=name, factor=f"{factor:.3f}")
            for name, factor in sorted(outcome.goal.capacity_factors.items())
        ][:MAX_UNUSED_ROWS],
        limits=_limits(outcome.goal.binding),
        replicas=planned_replicas(outcome),
        staying=staying_text(outcome.candidate, outcome.goal, outcome.memory_status),
        unused=[
            UnusedStatus(variant=part.variant, reason=part.reason.value, message=part.message)
            for part in (*plan.unused, *outcome.candidate.omitted)
        ][:MAX_UNUSED_ROWS],
        unserved=_unserved(plan, choice.demand),
        unserved_requests_per_second=_unserved_rate(plan),
    )


def _steady_percent(previous: PlanStateStatus, new: PlanStateStatus) -> str | None:
    """The figure of an unchanged plan moves only past the noise of measured step times."""
    before, now = previous.predicted_percent, new.predicted_percent
    if before is None or now is None:
        return new.predicted_attainment_percent or previous.predicted_attainment_percent
    steady = abs(now - before) < STEADY_PERCENT
    return previous.predicted_attainment_percent if steady else new.predicted_attainment_percent


def service_lower_bound(plan: ServicePlan, fleet: Plan) -> float:
    """Proven least cost of this service while the plans of the others stay: the whole fleet's slack is put on it.

    A plan that starts more replicas than this one is charged for their start, one that starts fewer is credited.
    """
    return max(plan.cost_per_hour - _slack(fleet), 0.0)


def fleet_lower_bound(fleet: Plan) -> float:
    """Proven least cost of the fleet, with starts charged as in `service_lower_bound`."""
    return max(fleet.cost_per_hour - _slack(fleet), 0.0)


def _slack(fleet: Plan) -> float:
    """How much the plan may lie above the optimum of what is minimised, cost and switching cost together."""
    return max(fleet.cost_per_hour + fleet.switching_cost_per_hour - fleet.lower_bound_per_hour, 0.0)


def _routing_savings(saving: RoutingSaving | None) -> RoutingSavingsStatus | None:
    if saving is None:
        return None
    return RoutingSavingsStatus(mode=saving.next_mode.value, saves_per_hour=money(saving.saving_per_hour))


def _limits(binding: tuple[LimitUse, ...]) -> list[LimitStatus]:
    """The limits with the highest shadow price first. Watts are whole numbers."""
    dearest = sorted(
        binding,
        key=lambda use: (-(use.shadow_price_per_hour or 0.0), use.kind.value, use.name, use.size),
    )[:MAX_LIMIT_ROWS]
    return [
        LimitStatus(
            kind=use.kind.value,
            name=use.name,
            size=use.size if use.kind is LimitKind.SLOTS else None,
            used=round(use.used),
            limit=round(use.limit),
            saves_per_hour=unit_price(use.shadow_price_per_hour) if use.shadow_price_per_hour is not None else None,
        )
        for use in dearest
    ]


def _savings_percent(plan: ServicePlan) -> str | None:
    single = plan.best_single
    if single is None or single.cost_per_hour <= 0:
        return None
    return f"{100 * (1 - plan.cost_per_hour / single.cost_per_hour) + 0.0:.1f}"


def _unserved_rate(plan: ServicePlan) -> str | None:
    """Rounded up, so that a service never holds more than it is served."""
    total = math.fsum(part.rate_rps for part in plan.unserved)
    return decimal(math.ceil(total * 1e6) / 1e6, digits=6) if total > 0 else None


def _unserved(plan: ServicePlan, demand: Demand) -> list[UnservedStatus]:
    largest = sorted(plan.unserved, key=lambda part: (-part.rate_rps, part.bucket))[:MAX_UNSERVED_ROWS]
    return [
        UnservedStatus(
            prompt_tokens=round(demand.buckets[part.bucket].prompt_tokens),
            generation_tokens=round(demand.buckets[part.bucket].generation_tokens),
            requests_per_second=rate(part.rate_rps),
            reason=part.reason.value,
            limits=list(part.limits),
        )
        for part in largest
    ]
