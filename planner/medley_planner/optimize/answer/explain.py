"""Why a variant has no replica in a plan: a stable word and a sentence with the figures.

Every sentence states something that was computed for this plan; none guesses. A bucket whose two sizes are 0 is one
whose sizes are not known (a bare capacity table), and is named by its number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from medley_planner.model import Bucket, LimitKind, SingleType, Variant
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.optimize.program.distribute import Split
from medley_planner.optimize.task.cost import cost_per_hour
from medley_planner.optimize.task.limits import Limit, Room
from medley_planner.optimize.task.single import single_fleets
from medley_planner.optimize.task.task import Task

_NAMED_AT_MOST = 3


def explain_unused(task: Task, replicas: Sequence[int], split: Split, *, room: Room, left: Room) -> tuple[Omitted, ...]:
    """`room` is what the pools and power domains hold, `left` what the whole plan leaves of it."""
    explained = []
    single = single_fleets(task, split.unmet)
    for index, variant in enumerate(task.variants):
        if replicas[index] == 0:
            reason, message = _explain(task, index, replicas, split, single, room=room, left=left)
            explained.append(Omitted(variant.name, variant.pool, reason, message))
    return tuple(explained)


def _explain(
    task: Task,
    index: int,
    replicas: Sequence[int],
    split: Split,
    single: Sequence[SingleType | None],
    *,
    room: Room,
    left: Room,
) -> tuple[OmittedReason, str]:
    variant = task.variants[index]
    demand = task.service.demand
    if variant.max_replicas == 0:
        return OmittedReason.MAX_REPLICAS_ZERO, "its maxReplicas is 0"
    if task.service.max_replicas == 0:
        return OmittedReason.MAX_REPLICAS_ZERO, f"maxReplicas of service {task.service.name} is 0"
    missing: list[int] = []
    if 0 in variant.capacity_rps:
        demanded = [bucket for bucket, share in enumerate(demand.shares) if share > 0]
        missing = [bucket for bucket in demanded if variant.capacity_rps[bucket] == 0]
        if demanded and len(missing) == len(demanded):
            return OmittedReason.CANNOT_SERVE, f"it cannot serve {_name(demand.buckets, missing)} within the targets"
        served = frozenset(bucket for buckets in task.classes for bucket in buckets)
        missing = [bucket for bucket in missing if bucket in served or not served]
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
            f"there are no requests to serve, and at ${variant.cost_per_hour:.2f}/h it is not needed for a minimum"
        )
    return _compare(task, index, replicas, split, single)


def _compare(
    task: Task, index: int, replicas: Sequence[int], split: Split, single: Sequence[SingleType | None]
) -> tuple[OmittedReason, str]:
    variant = task.variants[index]
    cost = cost_per_hour(task, replicas)
    alone = single[index]
    if alone is not None and alone.cost_per_hour >= cost:
        return OmittedReason.DEARER, (
            f"alone it takes {alone.replicas} replica{'s' * (alone.replicas > 1)} at ${alone.cost_per_hour:.2f}/h "
            f"against ${cost:.2f}/h of this plan"
        )
    served = [number for number in range(len(task.classes)) if _carries(task, index, split, number)]
    used = [other for other, count in enumerate(replicas) if count > 0 and task.able[other]]
    rivals = [(_work_cost(task, other, served), task.variants[other]) for other in used]
    if rivals and served:
        theirs, rival = min(rivals, key=lambda pair: pair[0])
        ours = _work_cost(task, index, served)
        if theirs < ours < math.inf:
            return OmittedReason.DEARER, _dearer_work(task, served, ours, theirs, variant, rival)
    return OmittedReason.NO_GAIN, f"replicas come whole, and no plan found with one of it costs less than ${cost:.2f}/h"


def _carries(task: Task, index: int, split: Split, number: int) -> bool:
    return math.isfinite(task.work[index, number]) and split.unmet[number] < 1


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
    row = next(row for row in left.rows_of[variant.pool] if left.limits[row] == limit)
    rest = max(0.0, left.left[row])
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


def _dearer_work(
    task: Task, served: Sequence[int], ours: float, theirs: float, variant: Variant, rival: Variant
) -> str:
    part = math.fsum(task.service.demand.shares[bucket] for number in served for bucket in task.classes[number])
    return (
        f"per unit of work it is dearer: the {part:.1%} of the requests that it can serve take ${ours:.2f}/h of "
        f"{variant.name} (fractions of a replica counted) against ${theirs:.2f}/h of {rival.name}"
    )


def _work_cost(task: Task, index: int, served: Sequence[int]) -> float:
    return task.cost[index] * math.fsum(float(task.work[index, number]) for number in served)


def _name(buckets: Sequence[Bucket], chosen: Sequence[int]) -> str:
    names = [describe_bucket(buckets[bucket], bucket) for bucket in chosen[:_NAMED_AT_MOST]]
    more = len(chosen) - len(names)
    return "requests of " + "; ".join(names) + (f" and {more} more sizes" if more else "")


def describe_bucket(bucket: Bucket, index: int) -> str:
    """The bucket in words."""
    if bucket.prompt_tokens == 0 and bucket.generation_tokens == 0:
        return f"bucket {index}"
    return f"{bucket.prompt_tokens:.0f} prompt + {bucket.generation_tokens:.0f} generated tokens"
