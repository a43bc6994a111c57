"""From replicas and shares to the `ServicePlan` that leaves the planner."""

from __future__ import annotations

import math
from collections.abc import Mapping

from medley_planner.model import PlanStatus, ServicePlan, Unserved, UnservedReason, VariantPlan
from medley_planner.optimize.explain import explain_unused
from medley_planner.optimize.single import best_single
from medley_planner.optimize.solve import Answer
from medley_planner.optimize.stock import left_after
from medley_planner.optimize.task import Task


def service_plan(
    task: Task,
    answer: Answer,
    *,
    shed_reason: UnservedReason,
    stocks: Mapping[str, int],
    left: Mapping[str, int],
) -> ServicePlan:
    """`stocks` is what the pools hold, `left` what the whole plan leaves; `shed_reason` says why demand is unmet."""
    variants = tuple(_variant_plan(task, answer, index) for index in range(len(task.variants)))
    shed = tuple(
        Unserved(bucket, rate * part, shed_reason)
        for bucket, rate, part in zip(task.buckets, task.rates, answer.split.unmet, strict=True)
        if part > 0 and rate > 0
    )
    unserved = tuple(sorted((*task.unserved, *shed), key=lambda entry: entry.bucket))
    without_others = left_after(left, task, [-count for count in answer.replicas])
    return ServicePlan(
        service=task.service.name,
        status=_status(task, answer, unserved),
        routing=task.service.routing,
        variants=variants,
        cost_per_hour=math.fsum(variant.cost_per_hour for variant in variants),
        unserved=unserved,
        best_single=best_single(task, answer.split.unmet, without_others),
        unused=explain_unused(task, answer.replicas, answer.split, stocks=stocks, left=left),
    )


def short_of_minimum(task: Task, answer: Answer) -> bool:
    """Whether a minimum of the service or of a variant is not reached: only where limits contradict it."""
    if sum(answer.replicas) < task.service.min_replicas:
        return True
    return any(count < variant.min_replicas for count, variant in zip(answer.replicas, task.variants, strict=True))


def _status(task: Task, answer: Answer, unserved: tuple[Unserved, ...]) -> PlanStatus:
    demand = task.service.demand.rate_rps
    missed = math.fsum(entry.rate_rps for entry in unserved)
    if unserved and missed >= demand * (1 - 1e-12):
        return PlanStatus.INFEASIBLE
    short = short_of_minimum(task, answer)
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
    for bucket, share in zip(task.buckets, row, strict=True):
        shares[bucket] = share
    if task.rate_rps > 0:
        share = math.fsum(part * whole for part, whole in zip(shares, demand.shares, strict=True))
    else:
        share = _idle_share(task, answer, index)
    # Of the capacity itself: the work is counted against the utilisation limit, the load is not.
    load = math.fsum(
        rate * part / variant.capacity_rps[bucket]
        for bucket, rate, part in zip(task.buckets, task.rates, row, strict=True)
        if rate > 0 and part > 0
    )
    return VariantPlan(
        variant=variant.name,
        pool=variant.pool,
        replicas=count,
        cost_per_hour=variant.cost_per_hour * count,
        share=share,
        bucket_shares=tuple(shares),
        load=load / count,
    )


def _idle_share(task: Task, answer: Answer, index: int) -> float:
    """Without requests, what a router would be told: replicas over all replicas that may get some."""
    total = sum(count for count, able in zip(answer.replicas, task.able, strict=True) if able)
    return answer.replicas[index] / total if total and task.able[index] else 0.0
