"""The goal of each service after this round: the new plan's replicas, the last plan's, or what it has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.unserved import Shortage, minima_unmet, shortage, unserved_message
from medley_operator.domain.values.candidates import DemandChoice, Disposition, ServiceCandidate, Waiting
from medley_operator.domain.values.conditions import ConditionStatus, PlanReason
from medley_operator.domain.values.memories import Target
from medley_planner.check import Checked
from medley_planner.fleet_plan import FleetPlan, PlanFailure, PlanOrFailure, RoutingSaving
from medley_planner.model import LimitUse, Plan, PlanStatus, ServicePlan
from medley_planner.refusal import Refusal
from medley_planner.units import per_hour

_MOVING_MESSAGES = frozenset(
    {
        PlanReason.SOLVER_FAILED,
        PlanReason.INFEASIBLE,
        PlanReason.TARGET_IMPOSSIBLE,
        PlanReason.PLAN_REJECTED,
        PlanReason.INTERNAL_ERROR,
    }
)
"""Their messages hold figures of a load that is not remembered, since no plan was made for it."""


class GoalKind(StrEnum):
    PLANNED = "planned"
    HELD = "held"
    """The last plan stays: children are still kept as it wants them."""
    KEPT = "kept"
    """Nothing may be touched: no child is written, none is deleted."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of one service, and the text of PlanReady. `fleet` is the plan that `plan` is part of.

    `shortage` is what the cluster lacks for this service, also where so much is lacking that there is no `plan`.
    """

    kind: GoalKind
    replicas: dict[str, int]
    status: ConditionStatus
    reason: str
    """One of `PlanReason`, or of the refusal."""
    message: str
    plan: ServicePlan | None = None
    fleet: Plan | None = None
    shortage: Shortage | None = None
    routing_saving: RoutingSaving | None = None
    cost_per_million_tokens: float | None = None
    """US dollars, of the demand that the plan serves; None where it serves none."""
    binding: tuple[LimitUse, ...] = ()
    """Limits that leave no room for one more replica of the service."""
    checked: Checked | None = None
    """The simulated attainment of the plan; None where it was not checked this round."""
    capacity_factors: Mapping[str, float] = field(default_factory=dict)
    sticky_message: bool = field(default=False)
    target: Target | None = None
    """The target in force while this goal is acted on."""


def choose_goal(
    candidate: ServiceCandidate,
    outcome: PlanOrFailure | None,
    running: dict[str, RunningVariant],
    *,
    plans: Mapping[str, ServicePlan],
) -> Goal:
    """The goal of one service. `outcome` is None where no service was planned this round; `plans` are those in it, by
    the service's name in the problem."""
    if candidate.disposition is Disposition.REJECTED and candidate.refusal is not None:
        return kept_goal(candidate, candidate.refusal, running)
    if candidate.disposition is Disposition.HELD and candidate.choice is not None:
        return _held(candidate, _held_message(candidate.choice, candidate.waiting))
    refused = outcome.refused.get(candidate.key.problem_name) if isinstance(outcome, FleetPlan) else None
    if refused is not None:
        return kept_goal(candidate, refused, running)
    if isinstance(outcome, Plan):
        plan = plans.get(candidate.key.problem_name)
        if plan is not None:
            return _planned(candidate, plan, outcome, running)
    failure = (
        outcome
        if isinstance(outcome, PlanFailure)
        else PlanFailure(reason="PlanRejected", message="the plan does not contain this service")
    )
    if candidate.last_replicas:
        return _held(
            candidate, f"keeping the last plan: {failure.reason}: {failure.message}. The next round tries again"
        )
    message = f"no plan yet: {failure.reason}: {failure.message}. The next round tries again"
    return kept_goal(candidate, Refusal(PlanReason.SOLVER_FAILED, message), running)


def _held(candidate: ServiceCandidate, message: str) -> Goal:
    return Goal(
        kind=GoalKind.HELD,
        replicas=dict(candidate.last_replicas),
        status=ConditionStatus.TRUE,
        reason=PlanReason.HELD,
        message=message,
        sticky_message=True,
    )


def _held_message(choice: DemandChoice, waits: Waiting | None) -> str:
    if waits is not None and not choice.hold:
        return (
            f"keeping the last plan until the capacities of {', '.join(waits.variants)} are simulated again, because "
            "the plan was made with them (docs/capacity.md)"
        )
    return (
        f"keeping the last plan: the current load is unknown ({choice.reason}: {choice.message}). Planning resumes "
        "when Prometheus has data for this service"
    )


def kept_goal(candidate: ServiceCandidate, refusal: Refusal, running: dict[str, RunningVariant]) -> Goal:
    """The replicas that run, whatever they are, which stay because of the refusal."""
    wanted = {name: count for name, count in candidate.last_replicas.items() if name in running}
    return Goal(
        kind=GoalKind.KEPT,
        replicas={name: wanted.get(name, variant.replicas) for name, variant in running.items()},
        status=ConditionStatus.FALSE,
        reason=refusal.reason,
        message=refusal.message,
        sticky_message=refusal.reason in _MOVING_MESSAGES,
    )


def _planned(candidate: ServiceCandidate, plan: ServicePlan, fleet: Plan, running: dict[str, RunningVariant]) -> Goal:
    quota = candidate.bounds.quota_words()
    if plan.status is PlanStatus.INFEASIBLE:
        refusal = Refusal(PlanReason.INFEASIBLE, unserved_message(plan, kept=True, quota=quota))
        kept = kept_goal(candidate, refusal, running)
        return replace(kept, shortage=shortage(plan, quota=quota))
    status, message = ConditionStatus.TRUE, _mix_message(plan)
    reason, lacking = PlanReason(plan.status.value), shortage(plan, quota=quota)
    if plan.status is PlanStatus.PARTIAL:
        status, message = ConditionStatus.FALSE, unserved_message(plan, kept=False, quota=quota)
    unmet = minima_unmet(candidate, plan)
    if unmet is not None:
        status, reason, message = ConditionStatus.FALSE, PlanReason.PARTIAL, f"{message}; {unmet.message}"
        lacking = lacking or unmet
    beside = fleet if isinstance(fleet, FleetPlan) else FleetPlan.of(fleet)
    return Goal(
        kind=GoalKind.PLANNED,
        replicas={name: count for name, count in plan.replicas().items() if count > 0},
        status=status,
        reason=reason,
        message=message,
        plan=plan,
        fleet=fleet,
        shortage=lacking,
        routing_saving=beside.routing_savings.get(plan.service),
        cost_per_million_tokens=beside.token_costs.get(plan.service),
        binding=beside.binding.get(plan.service, ()),
        checked=beside.checked.get(plan.service),
        capacity_factors=beside.capacity_factors.get(plan.service, {}),
    )


def _mix_message(plan: ServicePlan) -> str:
    mix = ", ".join(f"{part.variant} {part.replicas}" for part in plan.variants if part.replicas > 0) or "no replicas"
    proven = "proven cheapest" if plan.cheaper is None else "proven cheapest while starts are charged"
    proof = (
        proven
        if plan.status is PlanStatus.OPTIMAL
        else "not proven to be the cheapest; status.plan.gap shows how far it may be off"
    )
    return f"{mix}: {per_hour(plan.cost_per_hour)}, {proof}"
