"""From a plan to what its data path sends where: the load of one replica, the whole fleet behind its router. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from medley_planner.check.attain import ReplicaLoad, Subject, spec_of
from medley_planner.check.spread import parts_of
from medley_planner.engine import Balance, PromptRange, ReplicaGroup, Routing, SimulatedFleet
from medley_planner.model import Demand, ServicePlan


def served_loads(plan: ServicePlan, demand: Demand) -> dict[str, ReplicaLoad]:
    """The part of `demand` that one replica of each variant in use gets, by the plan's own shares; what it leaves out
    is not in it. Variants that get nothing are left out."""
    whole = parts_of(demand.buckets, demand.shares)
    loads: dict[str, ReplicaLoad] = {}
    for variant in plan.variants:
        if variant.replicas < 1:
            continue
        parts = [
            replace(part, share=part.share * share)
            for part, share in zip(whole, variant.bucket_shares, strict=True)
            if part.share * share > 0.0
        ]
        total = math.fsum(part.share for part in parts)
        if demand.rate_rps * total <= 0.0:
            continue
        loads[variant.variant] = ReplicaLoad(
            rate_rps=demand.rate_rps * total / variant.replicas,
            parts=tuple(replace(part, share=part.share / total) for part in parts),
            prefix_hit_rate=demand.prefix_hit_rate,
        )
    return loads


def routed_fleet(
    plan: ServicePlan,
    demand: Demand,
    subject: Subject,
    *,
    balance: Balance = Balance.RANDOM,
    edges: Sequence[float] = (),
) -> tuple[SimulatedFleet, Routing]:
    """The planned replicas and the router in front of them, to replay a trace on.

    `Service`: any replica. `HTTPRoute`: weights. `InferencePool`: weights by prompt range. A range ends between the
    sizes of neighbouring prompt classes: at the first of `edges` there (those of the histogram that the classes come
    from), else at their geometric mean. Raises ValueError for a plan without replicas and for `PerBucket`, which no
    router can do.
    """
    engines = dict(subject.replicas)
    used = [variant for variant in plan.variants if variant.replicas > 0 and variant.variant in engines]
    hits = demand.prefix_hit_rate
    fleet = SimulatedFleet(
        tuple(ReplicaGroup(v.variant, spec_of(engines[v.variant], prefix_hit_rate=hits), v.replicas) for v in used)
    )
    if plan.routing.oracle:
        raise ValueError(f"service {plan.service} is planned with routing {plan.routing.value}, which no router can do")
    if plan.routing.equal_pods:
        return fleet, Routing(balance)
    if plan.routing.blind:
        return fleet, Routing.weighted(tuple(v.share for v in used), balance=balance)
    classes = plan.routing.classes(demand.buckets, range(len(demand.buckets)))
    prompts = [demand.buckets[inside[0]].prompt_tokens for inside in classes]
    bounds = [_between(low, high, edges) for low, high in pairwise(prompts)] + [math.inf]
    ranges = []
    for inside, bound in zip(classes, bounds, strict=True):
        weights = tuple(math.fsum(demand.shares[b] * v.bucket_shares[b] for b in inside) for v in used)
        # What the plan leaves out arrives all the same, and goes where the plan sends most.
        ranges.append(PromptRange(bound, weights if any(weights) else tuple(v.share for v in used)))
    return fleet, Routing(balance, tuple(ranges))


def _between(low: float, high: float, edges: Sequence[float]) -> float:
    return next((edge for edge in edges if low <= edge < high), math.sqrt(low * high))
