"""Why a variant has no replica in a plan: a stable word and a sentence with the figures.

Every sentence states something that was computed for this plan; none guesses. A bucket whose two sizes are 0 is one
whose sizes are not known (a bare capacity table), and is named by its number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from medley_planner.model import Bucket, LimitKind, SingleType, Variant
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.optimize.answer.work_cost import WorkCost, WorkCosts, exceeds, work_of_rates
from medley_planner.optimize.program.distribute import Split
from medley_planner.optimize.task.cost import cost_per_hour, start_cost, switching_per_hour
from medley_planner.optimize.task.limits import Limit, Room
from medley_planner.optimize.task.task import Task
from medley_planner.units import money, per_hour

_NAMED_AT_MOST = 3
_SHOWN = 0.0005
"""A difference below it prints as 0.0 %."""


def explain_unused(
    task: Task, replicas: Sequence[int], split: Split, alone: Sequence[SingleType | None], *, room: Room, left: Room
) -> tuple[Omitted, ...]:
    """`alone` are the fleets of each variant alone for what the plan serves, `room` is what the pools and power domains
    hold, `left` what the whole plan leaves of it."""
    plan = _Planned(task, replicas, split, alone)
    explained = []
    for index, variant in enumerate(task.variants):
        if replicas[index] == 0:
            reason, message = _explain(plan, index, room=room, left=left)
            explained.append(Omitted(variant.name, variant.pool, reason, message))
    return tuple(explained)


class _Planned:
    """The plan of one service, and what its variants are compared by, counted when it is first asked for."""

    def __init__(self, task: Task, replicas: Sequence[int], split: Split, alone: Sequence[SingleType | None]) -> None:
        self.task = task
        self.replicas = replicas
        self.split = split
        self.alone = alone
        self.cost_per_hour = cost_per_hour(task, replicas)
        self.cost_text = per_hour(self.cost_per_hour)

    @cached_property
    def demanded(self) -> list[int]:
        """The buckets with requests."""
        return [bucket for bucket, share in enumerate(self.task.service.demand.shares) if share > 0]

    @cached_property
    def served(self) -> frozenset[int]:
        """Those of them that the task serves."""
        return frozenset(self.task.buckets)

    @cached_property
    def work(self) -> WorkCosts:
        """Beside those in use."""
        task = self.task
        used = [index for index, count in enumerate(self.replicas) if count > 0 and task.able[index]]
        served = 1 - np.array(self.split.unmet)
        if task.service.staffing_beta > 0:
            rates = [0.0] * len(task.service.demand.shares)
            for buckets, part in zip(task.classes, served.tolist(), strict=True):
                for bucket in buckets:
                    rates[bucket] = task.service.demand.bucket_rate_rps(bucket) * part
            return WorkCosts(task.service, used, *work_of_rates(task.service, task.classes, rates))
        kept = served > 0
        shares = np.array(task.rates)[kept] / task.service.demand.rate_rps
        return WorkCosts(task.service, used, task.work[:, kept] * served[kept], shares)


def _explain(plan: _Planned, index: int, *, room: Room, left: Room) -> tuple[OmittedReason, str]:
    task = plan.task
    variant = task.variants[index]
    demand = task.service.demand
    if variant.max_replicas == 0:
        return OmittedReason.MAX_REPLICAS_ZERO, "its maxReplicas is 0"
    if task.service.max_replicas == 0:
        return OmittedReason.MAX_REPLICAS_ZERO, f"maxReplicas of service {task.service.name} is 0"
    missing: list[int] = []
    if 0 in variant.capacity_rps:
        missing = [bucket for bucket in plan.demanded if variant.capacity_rps[bucket] == 0]
        if missing and len(missing) == len(plan.demanded):
            return OmittedReason.CANNOT_SERVE, f"it cannot serve {_name(demand.buckets, missing)} within the targets"
        missing = [bucket for bucket in missing if bucket in plan.served or not plan.served]
    if task.blind and missing:
        part = math.fsum(demand.shares[bucket] for bucket in missing)
        return OmittedReason.CANNOT_SERVE_ALL, (
            f"it cannot serve {_name(demand.buckets, missing)} ({part:.2%} of the requests) within the targets, "
            f"and {task.service.routing.value} routing would send it the whole mix"
        )
    if room.most(variant) < 1:
        return _never_fits(task, index, room)
    scarce = left.scarce(variant)
    if scarce:
        return _out_of(scarce[0], variant, room, left)
    if task.rate_rps == 0:
        return OmittedReason.NO_DEMAND, (
            f"there are no requests to serve, and no replica minimum needs it at {per_hour(variant.cost_per_hour)}"
        )
    return _compare(plan, index)


def _compare(plan: _Planned, index: int) -> tuple[OmittedReason, str]:
    """Dearer is only what costs more for the same requests; what costs more because replicas are whole is too large."""
    variant, work, alone = plan.task.variants[index], plan.work.of(index), plan.alone[index]
    budget = plan.task.service.max_cost_per_hour
    if budget is not None and not plan.split.complete and exceeds(plan.cost_per_hour + variant.cost_per_hour, budget):
        return OmittedReason.OVER_BUDGET, (
            f"a replica costs {per_hour(variant.cost_per_hour)}, and the plan leaves "
            f"{per_hour(max(budget - plan.cost_per_hour, 0.0))} of the service's budget of {per_hour(budget)}"
        )
    if not any(plan.replicas):
        return OmittedReason.NO_GAIN, "no plan found serves anything of this service, with it or without"
    if alone is not None and exceeds(alone.cost_per_hour, plan.cost_per_hour):
        if work is None or work.dearer:
            return OmittedReason.DEARER, (
                f"alone it takes {_replicas(alone)} at {per_hour(alone.cost_per_hour)} "
                f"against {plan.cost_text} of this plan"
            )
        return OmittedReason.TOO_LARGE, _too_large(alone, plan.cost_text, work)
    if work is not None and work.dearer and (alone is None or not exceeds(plan.cost_per_hour, alone.cost_per_hour)):
        return OmittedReason.DEARER, (
            f"it is more expensive per unit of work: the {work.share:.1%} of the requests that it can serve take "
            f"{per_hour(work.own_per_hour)} of {variant.name} (fractions of a replica counted) against "
            f"{per_hour(work.cheapest_per_hour)} of {' and '.join(plan.work.rivals(index))}"
        )
    return OmittedReason.NO_GAIN, _no_gain(plan, index, alone)


def _too_large(alone: SingleType, cost: str, work: WorkCost) -> str:
    cheaper = 1 - work.ratio
    later = f"it would be {100 * cheaper:.1f} % cheaper" if cheaper >= _SHOWN else "it would cost as much"
    figures = f"{per_hour(alone.cost_per_hour)} against {cost}"
    if alone.replicas == 1:
        return f"one replica already costs more than this plan ({figures}); {later} per request at a higher load"
    return (
        f"alone it takes {alone.replicas} whole replicas, which cost more than this plan ({figures}); {later} per "
        "request at a higher load"
    )


def _no_gain(plan: _Planned, index: int, alone: SingleType | None) -> str:
    cost = plan.cost_per_hour
    if alone is not None and not exceeds(cost, alone.cost_per_hour):
        return f"alone it takes {_replicas(alone)} at {per_hour(alone.cost_per_hour)}, as much as this plan"
    if alone is not None:
        fleet = [alone.replicas if other == index else 0 for other in range(len(plan.replicas))]
        start = switching_per_hour(plan.task, fleet)
        total = cost + switching_per_hour(plan.task, plan.replicas)
        if start > 0 and not exceeds(total, alone.cost_per_hour + start):
            return (
                f"alone it takes {_replicas(alone)} at {per_hour(alone.cost_per_hour)}, and starting new ones costs "
                f"${money(start_cost(plan.task, fleet))}: with the charge for starts no less than this plan"
            )
    return f"replicas come whole, and no plan that was found with one of them costs less than {plan.cost_text}"


def _replicas(fleet: SingleType) -> str:
    return f"{fleet.replicas} replica{'s' * (fleet.replicas > 1)}"


def _never_fits(task: Task, index: int, room: Room) -> tuple[OmittedReason, str]:
    """Even with nothing else on the pool not one replica fits."""
    variant = task.variants[index]
    scarce = room.scarce(variant)
    if scarce:
        return _out_of(scarce[0], variant, room, room)
    return OmittedReason.NODE_TOO_SMALL, (
        f"a replica takes {variant.gpus_per_replica} GPUs of one node, more than a node of pool {variant.pool} has"
    )


def _out_of(limit: Limit, variant: Variant, room: Room, left: Room) -> tuple[OmittedReason, str]:
    rest = max(0.0, *(left.left[row] for row, _ in left.uses(variant) if left.limits[row] is limit))
    if limit.kind is LimitKind.QUOTA_GPUS:
        return OmittedReason.OUT_OF_QUOTA, (
            f"quota {limit.name} allows {limit.total:.0f} GPUs, the plan leaves {rest:.0f} of them, "
            f"and a replica takes {variant.gpus_per_replica}"
        )
    if limit.kind is LimitKind.QUOTA_COST:
        return OmittedReason.OUT_OF_QUOTA, (
            f"quota {limit.name} allows {per_hour(limit.total)}, the plan leaves {per_hour(rest)} of it, "
            f"and a replica costs {per_hour(variant.cost_per_hour)}"
        )
    if limit.kind is LimitKind.POWER:
        return OmittedReason.OUT_OF_POWER, (
            f"power domain {limit.name} has a budget of {limit.total:.0f} W, the plan leaves {rest:.0f} W, "
            f"and a replica draws {variant.watts:.0f} W"
        )
    if limit.kind is LimitKind.SLOTS:
        return OmittedReason.OUT_OF_STOCK, (
            f"the nodes of pool {limit.name} have {limit.total:.0f} places for {limit.size} GPUs on one node, the plan "
            f"leaves {math.floor(rest)}, and a replica takes {variant.gpus_per_replica} GPUs"
        )
    return OmittedReason.OUT_OF_STOCK, (
        f"pool {limit.name} holds {limit.total:.0f} GPUs, the plan leaves {rest:.0f}, "
        f"and a replica takes {variant.gpus_per_replica}"
    )


def _name(buckets: Sequence[Bucket], chosen: Sequence[int]) -> str:
    names = [describe_bucket(buckets[bucket], bucket) for bucket in chosen[:_NAMED_AT_MOST]]
    more = len(chosen) - len(names)
    return "requests of " + "; ".join(names) + (f" and {more} more sizes" if more else "")


def describe_bucket(bucket: Bucket, index: int) -> str:
    """The bucket in words."""
    if bucket.prompt_tokens == 0 and bucket.generation_tokens == 0:
        return f"bucket {index}"
    return f"{bucket.prompt_tokens:.0f} prompt + {bucket.generation_tokens:.0f} generated tokens"
