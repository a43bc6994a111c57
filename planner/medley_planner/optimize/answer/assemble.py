"""From replicas and shares to the `ServicePlan` that leaves the planner."""

from __future__ import annotations

import math

from medley_planner.model import CheaperFleet, PlanStatus, ServicePlan, Unserved, UnservedReason, VariantPlan
from medley_planner.optimize.answer.explain import explain_unused
from medley_planner.optimize.answer.reasons import cut_reason
from medley_planner.optimize.program.solve import Answer
from medley_planner.optimize.task.cost import switching_per_hour
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import shortfall
from medley_planner.optimize.task.single import best_single, single_fleets
from medley_planner.optimize.task.task import Task


def service_plan(
    task: Task,
    answer: Answer,
    *,
    shed_reason: tuple[UnservedReason, tuple[str, ...]],
    room: Room,
    left: Room,
    cheaper: CheaperFleet | None = None,
) -> ServicePlan:
    """`room` is all that is shared, `left` what the whole plan leaves; `shed_reason` says why demand is unmet."""
    demand = task.service.demand
    variants = tuple(_variant_plan(task, answer, index) for index in range(len(task.variants)))
    shed = tuple(
        Unserved(bucket, demand.bucket_rate_rps(bucket) * part, *shed_reason)
        for buckets, rate, part in zip(task.classes, task.rates, answer.split.unmet, strict=True)
        if part > 0 and rate > 0
        for bucket in buckets
        if demand.bucket_rate_rps(bucket) > 0
    )
    cut = tuple(
        Unserved(bucket, demand.bucket_rate_rps(bucket), *cut_reason(task, variants, left))
        for bucket, variants in task.left_out
    )
    unserved = tuple(sorted((*task.unserved, *cut, *shed), key=lambda entry: entry.bucket))
    alone = single_fleets(task, answer.split.unmet)
    own = left.after(task, [-count for count in answer.replicas])
    return ServicePlan(
        service=task.service.name,
        status=_status(task, answer, unserved),
        routing=task.service.routing,
        variants=variants,
        cost_per_hour=math.fsum(variant.cost_per_hour for variant in variants),
        unserved=unserved,
        best_single=best_single(task, alone, own),
        unused=explain_unused(task, answer.replicas, answer.split, alone, room=room, left=left),
        switching_cost_per_hour=switching_per_hour(task, answer.replicas),
        cheaper=cheaper,
    )


def _status(task: Task, answer: Answer, unserved: tuple[Unserved, ...]) -> PlanStatus:
    demand = task.service.demand.rate_rps
    missed = math.fsum(entry.rate_rps for entry in unserved)
    if unserved and missed >= demand * (1 - 1e-12):
        return PlanStatus.INFEASIBLE
    short = shortfall(task, answer.replicas) > 0
    if short and not any(answer.replicas):
        return PlanStatus.INFEASIBLE
    if unserved or short:
        return PlanStatus.PARTIAL
    return PlanStatus.OPTIMAL if answer.proven else PlanStatus.FEASIBLE


def _variant_plan(task: Task, answer: Answer, index: int) -> VariantPlan:
    variant, count = task.variants[index], answer.replicas[index]
    demand = task.service.demand
    if count == 0:
        nothing = (0.0,) * len(demand.shares)
        return VariantPlan(variant.name, variant.pool, 0, 0.0, 0.0, nothing, 0.0)
    row = [float(share) for share in answer.split.shares[index]]
    shares = [0.0] * len(demand.shares)
    for buckets, share in zip(task.classes, row, strict=True):
        for bucket in buckets:
            shares[bucket] = share
    if task.rate_rps > 0:
        share = math.fsum(part * whole for part, whole in zip(shares, demand.shares, strict=True))
    else:
        share = _idle_share(task, answer, index)
    # The load is a share of the capacity itself; only the work is counted against the utilisation limit.
    load = math.fsum(
        demand.bucket_rate_rps(bucket) * part / variant.capacity_rps[bucket]
        for buckets, part, rate in zip(task.classes, row, task.rates, strict=True)
        # Without requests a size may be routed to where it cannot be served.
        if part > 0 and rate > 0
        for bucket in buckets
    )
    return VariantPlan(
        variant=variant.name,
        pool=variant.pool,
        replicas=count,
        cost_per_hour=task.cost[index] * count,
        share=share,
        bucket_shares=tuple(shares),
        load=load / count,
    )


def _idle_share(task: Task, answer: Answer, index: int) -> float:
    """Shares for a router without requests: replicas over all replicas that may get some."""
    total = sum(count for count, able in zip(answer.replicas, task.able, strict=True) if able)
    return answer.replicas[index] / total if total and task.able[index] else 0.0
