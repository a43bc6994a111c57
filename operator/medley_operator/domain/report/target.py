"""The parts of a service's status about what is in force, what was before, and what waits. Pure.

The history grows only where the target changes, in the same write as the target, so that no change is lost or shown
twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import (
    HistoryStatus,
    LLMServiceStatus,
    LoadStatus,
    PlannedReplicasStatus,
    TargetStatus,
)
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.values.memories import TargetReason
from medley_planner.units import money, req_per_second

MAX_HISTORY_ROWS = 10


def target_status(outcome: ServiceDecision) -> TargetStatus | None:
    target = outcome.goal.target
    return None if target is None else TargetStatus(plan_id=target.plan_id, since=target.since, reason=target.reason)


def is_new_target(outcome: ServiceDecision) -> bool:
    """Whether the status does not show yet what is in force."""
    new, old = target_status(outcome), outcome.candidate.service.status.target
    return new is not None and (old is None or (old.plan_id, old.since) != (new.plan_id, new.since))


def history(outcome: ServiceDecision, load: LoadStatus | None) -> list[HistoryStatus]:
    """`load`: that of the new status."""
    before = outcome.candidate.service.status
    target = outcome.goal.target
    if target is None or not is_new_target(outcome):
        return before.history
    row = HistoryStatus(
        plan_id=target.plan_id,
        at=target.since,
        mix=_mix(target.replicas),
        cost_per_hour=money(outcome.cost_per_hour),
        reason=cause(outcome, load),
    )
    return [*before.history, row][-MAX_HISTORY_ROWS:]


def _mix(replicas: Mapping[str, int]) -> str:
    return " ".join(f"{name}:{count}" for name, count in sorted(replicas.items()))


def cause(outcome: ServiceDecision, after: LoadStatus | None) -> str:
    """Why the replicas in force change. `after`: the load of the new status."""
    target, before = outcome.goal.target, outcome.candidate.service.status.load
    if target is not None and target.reason == TargetReason.APPROVED:
        return f"plan {target.plan_id} was approved"
    if after is None:
        return "the plan changed"
    if before is None:
        return f"first plan, for {req_per_second(after.rate_rps)}"
    if before.requests_per_second != after.requests_per_second:
        return f"load changed from {req_per_second(before.rate_rps)} to {req_per_second(after.rate_rps)}"
    sizes = (before.prompt_tokens, before.generation_tokens), (after.prompt_tokens, after.generation_tokens)
    if sizes[0] != sizes[1]:
        return f"mean request {sizes[0][0]}+{sizes[0][1]}→{sizes[1][0]}+{sizes[1][1]} tokens (prompt+generation)"
    return "pools, prices, other services or the spec changed"


def planned_replicas(outcome: ServiceDecision) -> list[PlannedReplicasStatus] | None:
    """The rows of a plan that is not in force; None where it is, or where there is none."""
    plan = outcome.goal.plan
    if plan is None or outcome.goal.kind is GoalKind.PLANNED:
        return None
    rows: list[PlannedReplicasStatus] = []
    for name, replicas in sorted(plan.replicas().items()):
        known = outcome.candidate.variant(name)
        if replicas > 0 and known is not None:
            gpus, pool = known.variant.gpus_per_replica, known.variant.pool
            rows.append(PlannedReplicasStatus(variant=name, pool=pool, gpus=gpus, replicas=replicas))
    return rows


def recommended(status: LLMServiceStatus) -> dict[tuple[str, str], int]:
    """Replicas of the newest plan by (variant, pool); 0 where something runs that it does not want. Empty without a
    plan."""
    if status.plan is None:
        return {}
    if status.plan.replicas is None:
        return {(row.name, row.pool): row.desired for row in status.variants}
    nothing = {(row.name, row.pool): 0 for row in status.variants}
    return nothing | {(row.variant, row.pool): row.replicas for row in status.plan.replicas}
